"""The targets of a sweep file: kernels, program files beside the file, language models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wafersim.arch.checks import closest, show
from wafersim.errors import ConfigError
from wafersim.sweep.spec import Target

if TYPE_CHECKING:
    from wafersim.sweep.spec_reader import SpecReader

KINDS = ("kernel", "program", "model")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")

#: request fields that a target may set
RUN_FIELDS = ("grid", "params", "fidelity", "values", "grain", "seed", "max_cycles", "max_events", "launch")
#: options of a model, with the type of each
MODEL_FIELDS: dict[str, type | tuple[type, ...]] = {
    "prompt": int, "output": int, "users": int, "wafers": int, "dtype": str, "draft_tokens": int,
    "acceptance": (int, float), "draft_cost": (int, float), "ttft": (int, float), "tpot": (int, float),
}  # fmt: skip

#: names that a target cannot have: they begin the names of axes
TAKEN = ("arch", "grid", "params")


def is_inside(name: str, folder: Path) -> bool:
    """Whether a file's name stays in a folder, links resolved; plain words do."""
    if "\0" in name or Path(name).is_absolute() or "\\" in name:
        return False
    try:
        return (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


class TargetReader:
    """Reads ``[[targets]]``; faults go to the reader of the file."""

    def __init__(self, reader: SpecReader) -> None:
        self._reader = reader
        self._folder = reader.doc.path.parent

    def targets(self, entries: list[tuple[tuple[str, ...], dict[str, Any]]]) -> tuple[Target, ...]:
        """All targets that can be read; their names differ."""
        found: list[Target] = []
        for key, table in entries:
            target = self._target(key, table)
            if target is None:
                continue
            if target.name in [other.name for other in found]:
                self._reader.fault(key, f"two targets have the name {show(target.name)}")
            found.append(target)
        return tuple(found)

    def _target(self, key: tuple[str, ...], table: dict[str, Any]) -> Target | None:
        kinds = [kind for kind in KINDS if kind in table]
        if len(kinds) != 1:
            self._reader.fault(key, f"exactly one of {', '.join(KINDS)} is wanted, found {len(kinds)}")
            return None
        kind, what = kinds[0], table[kinds[0]]
        name = table.get("name", what if isinstance(what, str) and _NAME.fullmatch(what) else kind)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in TAKEN:
            self._reader.fault(key, f"name is {show(name)}, expected a word, but not {', '.join(TAKEN)}")
            return None
        more = MODEL_FIELDS if kind == "model" else RUN_FIELDS
        before = len(self._reader.faults)
        self._reader.unknown(key, table, ("name", kind, *more))
        if not isinstance(what, str):
            self._reader.fault(key, f"{kind} is {show(what)}, expected a name in quotes")
        fields = {word: value for word, value in table.items() if word != "name"}
        if len(self._reader.faults) > before:
            return None
        checked = {"kernel": self._kernel, "program": self._program, "model": self._model}[kind](key, fields)
        return None if checked is None else Target(name, kind, checked)

    def _kernel(self, key: tuple[str, ...], fields: dict[str, Any]) -> dict[str, Any] | None:
        from wafersim import kernels
        from wafersim.simulate import request as requests

        if fields["kernel"] not in kernels.names():
            hint = closest(fields["kernel"], kernels.names()) or f"There are: {', '.join(kernels.names())}"
            self._reader.fault(key, f"kernel {show(fields['kernel'])} is unknown. {hint}")
            return None
        for name, value in (
            (fields.get("params") or {}).items() if isinstance(fields.get("params"), dict) else ()
        ):
            if isinstance(value, str) and ("/" in value or "\\" in value or value.startswith(".")):
                self._reader.fault(
                    key, f"parameter {name}: {show(value)} is a path; paths are not allowed here"
                )
                return None
        try:
            requests.from_fields(fields)
        except ConfigError as error:
            self._reader.fault(key, str(error))
            return None
        return fields

    def _program(self, key: tuple[str, ...], fields: dict[str, Any]) -> dict[str, Any] | None:
        from wafersim.simulate import request as requests

        if not is_inside(fields["program"], self._folder):
            self._reader.fault(key, f"program {show(fields['program'])} lies outside the folder of this file")
            return None
        path = self._folder / fields["program"]
        if not path.is_file():
            self._reader.fault(key, f"there is no file {show(fields['program'])} beside this one")
            return None
        try:
            requests.from_fields(fields)
        except ConfigError as error:
            self._reader.fault(key, str(error))
            return None
        return fields | {"program": str(path.absolute())}

    def _model(self, key: tuple[str, ...], fields: dict[str, Any]) -> dict[str, Any] | None:
        from wafersim.models.accounting.config import ModelConfig

        for word, kind in MODEL_FIELDS.items():
            value = fields.get(word)
            if value is not None and (isinstance(value, bool) or not isinstance(value, kind)):
                self._reader.fault(key, f"{word} is {show(value)}, expected another type")
                return None
        if not is_inside(fields["model"], self._folder):
            self._reader.fault(key, f"model {show(fields['model'])} lies outside the folder of this file")
            return None
        beside = self._folder / fields["model"]
        if beside.is_file():
            fields = fields | {"model": str(beside.absolute())}
        try:
            ModelConfig.load(fields["model"])
        except ConfigError as error:
            self._reader.fault(key, str(error).splitlines()[0])
            return None
        return fields
