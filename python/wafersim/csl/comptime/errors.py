"""What the interpreter raises besides `CslError`."""

from __future__ import annotations

from wafersim.csl import ast


class RunTime(Exception):
    """A value is needed that exists only at run time; ``why`` says which."""

    def __init__(self, node: ast.Node, why: str) -> None:
        super().__init__(why)
        self.node = node
        self.why = why


class NoVector(Exception):
    """A loop cannot run all its iterations at once: run them one after the other."""
