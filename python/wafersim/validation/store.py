"""Metrics of earlier runs on disk, found again by what would be run and by all code that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wafersim.record.plain import plain
from wafersim.store import ResultStore, key_of
from wafersim.store.digest import code_digest
from wafersim.validation.plan import Measurement


def stored(
    runner: Callable[[Measurement], Mapping[str, Any]], folder: Path
) -> Callable[..., Mapping[str, Any]]:
    """``runner`` with a memory: a `ResultStore` in ``folder``.

    An entry is used only if it was made from the same code (any changed byte of a room that can change a run
    makes a new key); broken entries are made anew.  Failed runs are not kept.

    Raises
    ------
    ConfigError
        The folder holds something that is no store.
    """
    store = ResultStore(folder)

    def run(spec: Measurement) -> Mapping[str, Any]:
        facts = {
            "kind": "measurement", "type": type(spec).__name__, "spec": repr(spec), "run": spec.text(),
            "code": code_digest(),
        }  # fmt: skip
        known = store.get(key_of(facts))
        if known is not None:
            return known
        metrics = dict(plain(dict(runner(spec))))
        store.put(facts, metrics)
        return metrics

    return run
