"""A function's answers kept in a store; a store that cannot be used is no error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError
from wafersim.store.key import key_of
from wafersim.store.results import ResultStore


def remember(
    folder: Path,
    facts: Mapping[str, Any],
    compute: Callable[[], Mapping[str, Any]],
    is_sound: Callable[[Mapping[str, Any]], bool] = bool,
) -> dict[str, Any]:
    """The answer that the store in ``folder`` has for the facts, else a computed one, which is then kept.

    Parameters
    ----------
    folder : Path
        Directory of the store.
    facts : dict
        All that decides the answer, the code included (`code_digest`).
    compute : callable
        Gives the answer as plain JSON values.
    is_sound : callable
        Says whether a kept answer can be one.

    Notes
    -----
    What cannot be read is computed; what cannot be written is not kept.
    """
    try:
        store = ResultStore(folder)
        known = store.get(key_of(facts))
    except ConfigError:
        return dict(compute())
    if known is not None and is_sound(known):
        return known
    answer = dict(compute())
    try:
        store.put(facts, answer)
        store.flush()
    except ConfigError:
        pass
    return answer
