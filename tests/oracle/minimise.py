"""Shrink a seed on which oracle and engine differ: leave out flows, blocks and mishaps."""

from __future__ import annotations

import contextlib
from typing import Any

from .diff import check

MOST = {"flow": 5, "block": 8, "mishap": 1}


class Keep:
    """Which parts of a program stay."""

    def __init__(self, dropped: frozenset[tuple[str, int]] = frozenset()) -> None:
        self.dropped = dropped

    def __call__(self, kind: str, number: int) -> bool:
        return (kind, number) not in self.dropped

    def __repr__(self) -> str:
        return ",".join(f"{kind}:{number}" for kind, number in sorted(self.dropped)) or "nothing dropped"

    @classmethod
    def parse(cls, text: str) -> Keep:
        """From the form of ``repr``."""
        parts = [p.split(":") for p in text.split(",") if ":" in p]
        return cls(frozenset((kind, int(number)) for kind, number in parts))


def shrink(seed: int, machine: Any, prefix: str = "") -> Keep:
    """The largest set of parts whose absence keeps a difference (that begins with ``prefix``)."""
    dropped: frozenset[tuple[str, int]] = frozenset()
    parts = [(kind, n) for kind, count in MOST.items() for n in range(count)]
    for part in parts:
        trial = dropped | {part}
        with contextlib.suppress(Exception):
            found = check(seed, machine, Keep(trial)).differences
            if found and found[0].startswith(prefix):
                dropped = trial
    return Keep(dropped)
