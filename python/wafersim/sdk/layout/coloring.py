"""Numbers for colors: connected ones share a number, those that meet on a PE get different ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wafersim.errors import ConfigError
from wafersim.program.schema import NUM_COLORS
from wafersim.sdk.layout.parts import Place

#: generation 3 switches on these colors only
_SWITCHED_WSE3 = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 20, 21)


def classes_of(names: Iterable[str], joined: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Name of each color's class: the first name among those it is connected to."""
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    order = {name: i for i, name in enumerate(parent)}
    for a, b in joined:
        first, second = sorted((root(a), root(b)), key=order.__getitem__)
        parent[second] = first
    return {name: root(name) for name in parent}


def allocate(
    places: Mapping[str, set[Place]], fixed: Mapping[str, int], switched: set[str], arch: str
) -> dict[str, int]:
    """A number for each class.

    Parameters
    ----------
    places : mapping
        Class -> PEs that route it or name it.
    fixed : mapping
        Class -> number that the user gave.
    switched : set
        Classes with more than one position somewhere.
    arch : str

    Raises
    ------
    ConfigError
        Two classes with one given number meet, or no number is left.
    """
    taken: dict[Place, dict[int, str]] = {}
    result: dict[str, int] = {}

    def take(name: str, number: int) -> None:
        for place in places[name]:
            other = taken.setdefault(place, {}).setdefault(number, name)
            if other != name:
                raise ConfigError(
                    f"colors {other!r} and {name!r} both have number {number} and meet on PE {place}"
                )
        result[name] = number

    for name, number in fixed.items():
        take(name, number)
    for name in places:
        if name in result:
            continue
        allowed = _SWITCHED_WSE3 if arch == "wse3" and name in switched else range(NUM_COLORS)
        used = {number for place in places[name] for number in taken.get(place, ())}
        free = next((number for number in allowed if number not in used), None)
        if free is None:
            raise ConfigError(
                f"color {name!r}: no number is left; {len(used)} other colors share a PE with it"
            )
        take(name, free)
    return result
