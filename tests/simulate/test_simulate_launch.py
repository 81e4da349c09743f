"""Launch arguments: names, counts, types."""

from __future__ import annotations

import struct

import pytest

from wafersim.errors import ConfigError
from wafersim.simulate.launch import FunctionTable

TABLE = FunctionTable(
    {
        "main": {"number": 3, "args": [["n", "i16"], ["scale", "f32"]]},
        "stop": {"number": 1, "args": []},
        "half": {"number": 2, "args": [["b", "bf16"]]},
    }
)


def test_arguments_become_raw_bits():
    number, raw = TABLE.call("main", (-2,), {"scale": 1.5})
    assert number == 3
    assert raw == [2**64 - 2, struct.unpack("<I", struct.pack("<f", 1.5))[0]]
    assert TABLE.call("half", (1.0,), {}) == (2, [0x3F80])
    assert TABLE.call("stop", (), {}) == (1, [])


MISTAKES = {
    "unknown": (("mian", (), {}), "'mian' is not exported by the program; did you mean 'main'"),
    "missing": (("main", (1,), {}), r"'scale' is missing; main\(n: i16, scale: f32\) wanted"),
    "surplus": (("stop", (1,), {}), r"1 arguments given, stop\(\) wanted"),
    "twice": (("main", (1, 2.0), {"n": 3}), "'n' is given twice"),
    "unknown argument": (("main", (1, 2.0), {"m": 3}), "'m' is unknown"),
    "too large": (("main", (70000, 1.0), {}), "main, argument 'n': 70000 is outside i16"),
    "fraction": (("main", (1.5, 1.0), {}), "fractions"),
    "array": (("main", ([1, 2], 1.0), {}), "one number of type i16 wanted"),
    "text": (("main", ("1", 1.0), {}), "numbers of type i16 wanted"),
    "overflow": (("main", (1, 1e300), {}), "1e\\+300 is too large for f32"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what):
    call, message = MISTAKES[what]
    with pytest.raises(ConfigError, match=message):
        TABLE.call(*call)
