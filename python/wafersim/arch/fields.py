"""The data dictionary of an arch: one row per constant with type, unit, range and meaning."""

from __future__ import annotations

import dataclasses
from typing import Any

#: How far a value can be trusted, best first.
CONFIDENCES: dict[str, str] = {
    "read": "read in the named source",
    "derived": "arithmetic on values read in the named source",
    "fitted": "fitted on the published rows listed in fitted_on",
    "secondary": "somebody's summary of a source",
    "inferred": "no source states it; follows from what sources do state",
    "memory": "from memory, unverified; nothing is tested against it",
    "choice": "design choice, nothing public says",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One constant of an arch: how its value is written and what it means.

    ``kind`` is ``int``, ``number``, ``bool``, ``simd`` (name of a ``Simd`` member), ``ints`` (a list)
    or ``pace`` (a pair ``[num, den]``).  ``low`` and ``high`` bound every number in the value.
    """

    name: str
    kind: str
    unit: str
    low: float
    high: float
    description: str
    required: bool = True
    engine: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Derived:
    """A constant that follows from another one and cannot be set."""

    name: str
    parent: str
    description: str


def _build() -> dict[str, Field]:
    from wafersim.arch.engine_fields import ENGINE_FIELDS, VOP_FIELDS
    from wafersim.arch.fact_fields import FACT_FIELDS
    from wafersim.program.schema import VOp

    table = {f.name: f for f in (*ENGINE_FIELDS, *FACT_FIELDS)}
    for op in VOp:
        for f in VOP_FIELDS:
            name = f"vop.{op.name}.{f.name}"
            table[name] = dataclasses.replace(f, name=name, description=f"{op.name}: {f.description}")
    return table


_FIELDS: dict[str, Field] = {}

DERIVED: dict[str, Derived] = {
    "num_iq": Derived("num_iq", "iq_depth", "input queues of a PE; the length of iq_depth"),
    "num_oq": Derived("num_oq", "oq_depth", "output queues of a PE; the length of oq_depth"),
}


def fields() -> dict[str, Field]:
    """Every field that a file may set, by dotted name, in the order of the dictionary."""
    if not _FIELDS:
        _FIELDS.update(_build())
    return _FIELDS


def describe(name: str) -> dict[str, Any]:
    """The dictionary row of a field as plain data.

    Raises
    ------
    KeyError
        No such field.
    """
    if name in DERIVED:
        d = DERIVED[name]
        return {"name": name, "kind": "int", "unit": fields()[d.parent].unit, "description": d.description,
                "derived_from": d.parent}  # fmt: skip
    return dataclasses.asdict(fields()[name])
