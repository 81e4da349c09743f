"""Calls the command line inside the test's process and catches what it says."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass


@dataclass
class Said:
    """Exit code, standard output and standard error of one call."""

    code: int
    out: str
    err: str


def call(*arguments: str) -> Said:
    """``wafersim ARGUMENTS...`` without starting a process."""
    from wafersim.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main.call(list(arguments))
    return Said(code, out.getvalue(), err.getvalue())
