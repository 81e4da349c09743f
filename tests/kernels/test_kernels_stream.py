"""Why fidelity stream refuses a kernel (equal times where it runs: the table of tests)."""

from __future__ import annotations

import pytest

from wafersim.errors import UnsupportedError
from wafersim.simulate import run

REFUSED = [
    ("cg", {"allreduce": "turns"}, "branch that depends on array data"),
    ("cg", {"allreduce": "chain"}, "branch that depends on array data"),
    ("spmm", {"format": "coo"}, "depends on array data"),
    ("spmm", {"format": "csr"}, "depends on array data"),
]


@pytest.mark.parametrize(("kernel", "params", "reason"), REFUSED, ids=str)
def test_stream_says_why_it_refuses(kernel, params, reason):
    with pytest.raises(UnsupportedError, match=reason):
        run(kernel, "wse2", "4x4", params, fidelity="stream", values=False)
