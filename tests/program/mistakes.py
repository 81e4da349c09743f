"""Registering user mistakes for the tests, and the programs they are made in."""

from __future__ import annotations

import pytest
from program_helpers import one_tile

from wafersim.errors import ProgramError


class Mistakes:
    """Functions that make a mistake, with what the message must hold."""

    def __init__(self, file):
        self.here = f"{file}:"
        self.cases = []

    def __call__(self, *fragments, line=True, error=ProgramError):
        """Register a mistake; ``line``: the message names the line of the test file."""

        def register(function):
            wanted = (*fragments, self.here) if line else fragments
            self.cases.append(pytest.param(function, wanted, error, id=function.__name__))
            return function

        return register


def check(function, fragments, error):
    """One line with everything that was asked for."""
    with pytest.raises(error) as caught:
        function()
    text = str(caught.value)
    assert all(f in text for f in fragments), text
    assert "\n" not in text and len(text) < 600


def tile(arch="wse2"):
    lay, pe = one_tile(arch)
    lay.place(pe)
    return lay, pe


def build_main(lay, pe, body):
    with pe.function("main"):
        body()
        pe.done()
    return lay.build()
