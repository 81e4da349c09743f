"""Reads the constants of a parsed arch file: value, unit, source, confidence, note, fitted_on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from wafersim.arch.checks import BadValue, check_value, closest, sentences, show
from wafersim.arch.fields import CONFIDENCES, DERIVED, Field, fields
from wafersim.arch.model import Constant
from wafersim.arch.reader import Document
from wafersim.program.schema import VOp

#: Keys of a file that are no constants.
META = ("from", "name", "title", "source", "confidence")
_ROW = ("value", "unit", "source", "confidence", "note", "fitted_on")
_VOP_PARTS = ("simd", "beat_cycles", "pace")
_PROVENANCE = ("source", "confidence", "note", "fitted_on")
_MAX_TEXT = 2000
#: Faults of a file that are reported singly.
MAX_FAULTS = 50


@dataclasses.dataclass(frozen=True, slots=True)
class _Provenance:
    source: str = ""
    confidence: str = ""
    note: str = ""
    fitted_on: tuple[str, ...] = ()


class Collector:
    """Collects the constants of one file and notes every fault.

    ``strict`` (presets): a unit and a confidence are required with every top-level value, and the row
    ``vop.default`` is allowed.
    """

    def __init__(self, doc: Document, faults: list[str], strict: bool) -> None:
        self.doc = doc
        self.faults = faults
        self.strict = strict
        self.title = ""
        self.name = ""
        self._found: dict[str, Constant] = {}

    def collect(self) -> dict[str, Constant]:
        """The file's constants by dotted name."""
        data = self.doc.data
        self.title = self._text(data, "title", ())
        self.name = self._text(data, "name", ())
        outer = self._provenance(data, (), _Provenance(confidence="" if self.strict else "choice"))
        tops = {k: f for k, f in fields().items() if "." not in k}
        for key, raw in data.items():
            if key in META:
                continue
            if key == "vop":
                self._vops(raw, outer)
            elif key in tops:
                self._constant(tops[key], (key,), raw, outer)
            else:
                self._unknown((key,), (*tops, "vop", *META))
        return self._found

    def _fault(self, key: tuple[str, ...], problem: str) -> None:
        self.faults.append(self.doc.fault(key, problem))

    def _unknown(self, key: tuple[str, ...], candidates: tuple[str, ...]) -> None:
        last = key[-1]
        if len(self.faults) >= MAX_FAULTS:
            self._fault(key, "unknown key")
            return
        if last in DERIVED and len(key) == 1:
            parent = DERIVED[last].parent
            self._fault(key, f"follows from {parent} and cannot be set. Set {parent}")
            return
        hint = closest(last, candidates)
        if not hint and len(candidates) <= 8:
            hint = f"Allowed: {', '.join(candidates)}"
        self._fault(key, f"unknown key. {hint or 'wafersim arch show wse2 lists all keys'}")

    def _text(self, table: Mapping[str, Any], part: str, key: tuple[str, ...]) -> str:
        raw = table.get(part, "")
        if not isinstance(raw, str) or (part in table and not raw.strip()):
            self._fault((*key, part), f"found {show(raw)}, expected a text")
            return ""
        if len(raw) > _MAX_TEXT:
            self._fault((*key, part), f"a text of {len(raw)} characters, allowed {_MAX_TEXT}")
            return ""
        return raw

    def _provenance(self, table: Mapping[str, Any], key: tuple[str, ...], outer: _Provenance) -> _Provenance:
        source = self._text(table, "source", key) or outer.source
        confidence = self._text(table, "confidence", key)
        if confidence and confidence not in CONFIDENCES:
            hint = closest(confidence, CONFIDENCES)
            allowed = f"found {show(confidence)}, allowed {', '.join(CONFIDENCES)}"
            self._fault((*key, "confidence"), sentences(allowed, hint))
        rows = table.get("fitted_on", [])
        if not isinstance(rows, list) or not all(isinstance(r, str) and r.strip() for r in rows):
            self._fault((*key, "fitted_on"), f"found {show(rows)}, expected a list of row ids in quotes")
            rows = []
        if confidence == "fitted" and not rows:
            self._fault(key or ("confidence",), "confidence 'fitted' needs fitted_on, the list of its rows")
        note = self._text(table, "note", key)
        return _Provenance(source, confidence or outer.confidence, note, tuple(rows))

    def _constant(self, field: Field, key: tuple[str, ...], raw: object, outer: _Provenance) -> None:
        origin = dataclasses.replace(outer, note="", fitted_on=())
        if isinstance(raw, dict):
            for part in raw:
                if part not in _ROW:
                    self._unknown((*key, part), _ROW)
            origin = self._provenance(raw, key, outer)
            self._unit(field, key, raw)
            if "value" not in raw:
                self._fault(key, f'no value. Write {key[-1]} = {{ value = ..., source = "..." }}')
                return
            raw = raw["value"]
        if not origin.source:
            self._fault(
                key, 'no source. Give it one, or the file one for all its bare values: source = "..."'
            )
        elif not origin.confidence:
            self._fault(key, f"no confidence; one of {', '.join(CONFIDENCES)}")
        try:
            value = check_value(field, raw)
        except BadValue as e:
            self._fault(key, str(e))
            return
        self._found[field.name] = Constant(field.name, value, field.unit, origin.source, origin.confidence,
                                           field.description, origin.note, origin.fitted_on)  # fmt: skip

    def _unit(self, field: Field, key: tuple[str, ...], raw: dict[str, Any]) -> None:
        if "unit" in raw and raw["unit"] != field.unit:
            self._fault(key, f"unit {show(raw['unit'])}, allowed {field.unit}. Convert the value")
        if self.strict and "unit" not in raw and len(key) == 1:
            self._fault(key, "no unit")

    def _vops(self, raw: object, outer: _Provenance) -> None:
        if not isinstance(raw, dict):
            self._fault(("vop",), f"found {show(raw)}, expected a table of vector ops, as in [vop.fmacs]")
            return
        origin = self._provenance(raw, ("vop",), outer)
        names = (*VOp.__members__, *(("default",) if self.strict else ()))
        for op, row in raw.items():
            if op in _PROVENANCE:
                continue
            if op not in names:
                self._unknown(("vop", op), names)
            elif not isinstance(row, dict):
                self._fault(("vop", op), f"found {show(row)}, expected a table such as {{ simd = 2 }}")
            else:
                self._vop(op, row, origin)

    def _vop(self, op: str, row: dict[str, Any], outer: _Provenance) -> None:
        origin = self._provenance(row, ("vop", op), outer)
        for part, raw in row.items():
            if part in _VOP_PARTS:
                field = fields()[f"vop.{VOp(0).name if op == 'default' else op}.{part}"]
                field = dataclasses.replace(field, name=f"vop.{op}.{part}")
                self._constant_of_row(field, ("vop", op, part), raw, origin)
            elif part not in _PROVENANCE:
                self._unknown(("vop", op, part), (*_VOP_PARTS, *_PROVENANCE))

    def _constant_of_row(self, field: Field, key: tuple[str, ...], raw: object, row: _Provenance) -> None:
        """A part of a vector op's row: bare, it takes the row's note and rows too."""
        before = len(self.faults)
        self._constant(field, key, raw, row)
        if len(self.faults) == before and not isinstance(raw, dict):
            self._found[field.name] = dataclasses.replace(
                self._found[field.name], note=row.note, fitted_on=row.fitted_on
            )
