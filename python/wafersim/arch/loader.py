"""From names and TOML files to arches: base chain, provenance, all faults in one go."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wafersim.arch.checks import check_together, closest, sentences, show
from wafersim.arch.entries import MAX_FAULTS, META, Collector
from wafersim.arch.fields import fields
from wafersim.arch.model import Arch, Constant
from wafersim.arch.reader import Document, read
from wafersim.errors import ConfigError, InternalError
from wafersim.program.schema import VOp

_PRESETS = Path(__file__).parent / "presets"
_MAX_CHAIN = 8


@functools.cache
def preset_names() -> tuple[str, ...]:
    """Names of the presets, sorted."""
    return tuple(sorted(p.stem for p in _PRESETS.glob("*.toml")))


def load(name_or_path: str | Path | Arch) -> Arch:
    """See :meth:`Arch.load`."""
    if isinstance(name_or_path, Arch):
        return name_or_path
    if isinstance(name_or_path, str):
        if name_or_path in preset_names():
            return _preset(name_or_path)
        if not _looks_like_path(name_or_path):
            hint = closest(name_or_path, preset_names())
            known = f"Known: {', '.join(preset_names())}, or the path of a TOML file"
            raise ConfigError(sentences(f"arch {show(name_or_path)}: unknown", hint, known))
    elif not isinstance(name_or_path, Path):
        raise ConfigError(f"arch: found {show(name_or_path)}, expected a preset's name or a TOML file's path")
    try:
        return _load_file(Path(name_or_path), ())
    except ConfigError as e:
        raise _capped(e.faults) from None


def _looks_like_path(text: str) -> bool:
    if text.endswith(".toml") or "/" in text or "\\" in text:
        return "\0" not in text
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):
        return False


def _capped(faults: tuple[str, ...]) -> ConfigError:
    extra = len(faults) - MAX_FAULTS
    return ConfigError.of([*faults[:MAX_FAULTS], *([f"... and {extra} more"] if extra > 0 else [])])


@functools.cache
def _preset(name: str) -> Arch:
    doc = read(_PRESETS / f"{name}.toml")
    base_name = doc.data.get("from")
    base = _preset(base_name) if base_name else None
    try:
        return _build(doc, name, base=base, root=name, strict=True)
    except ConfigError as e:
        raise InternalError(f"preset {name}: {e}") from e


def _load_file(path: Path, chain: tuple[Path, ...]) -> Arch:
    doc = read(path)
    real = path.resolve()
    if real in chain:
        names = " -> ".join(p.name for p in (*chain[chain.index(real) :], real))
        raise ConfigError(doc.fault(("from",), f"circular: {names}. One of these must start from a preset"))
    if len(chain) >= _MAX_CHAIN:
        raise ConfigError(doc.fault(("from",), f"a chain of more than {_MAX_CHAIN} files"))
    faults: list[str] = []
    base = _base(doc, (*chain, real), faults)
    return _build(doc, path.stem, base, root=base.base if base else "", faults=faults)


def _base(doc: Document, chain: tuple[Path, ...], faults: list[str]) -> Arch | None:
    """The arch a user's file starts from, or None after noting why there is none."""
    known = ", ".join(preset_names())
    name = doc.data.get("from")
    if name is None:
        hint = f'Name the preset to start from, as in from = "wse2"; known: {known}'
        faults.append(doc.fault(("from",), f"missing. {hint}"))
    elif not isinstance(name, str):
        faults.append(
            doc.fault(("from",), f"found {show(name)}, expected a preset's name in quotes ({known})")
        )
    elif name in preset_names():
        return _preset(name)
    elif not name.endswith(".toml"):
        hint = sentences(closest(name, preset_names()), f"Known: {known}, or a TOML file beside this one")
        faults.append(doc.fault(("from",), sentences(f"unknown preset {show(name)}", hint)))
    else:
        return _base_file(doc, name, chain, faults)
    return None


def _base_file(doc: Document, name: str, chain: tuple[Path, ...], faults: list[str]) -> Arch | None:
    folder = chain[-1].parent
    inside = "\0" not in name and (folder / name).resolve().is_relative_to(folder)
    if Path(name).is_absolute() or not inside:
        problem = f"{show(name)} lies outside the folder of this file; only files in it are read"
        faults.append(doc.fault(("from",), problem))
    elif not (folder / name).exists():
        faults.append(doc.fault(("from",), f"no file {show(name)} beside this one"))
    else:
        try:
            return _load_file(folder / name, chain)
        except ConfigError as e:
            faults.extend(e.faults)
    return None


def _build(
    doc: Document,
    name: str,
    base: Arch | None,
    root: str,
    strict: bool = False,
    faults: list[str] | None = None,
) -> Arch:
    """The arch of a parsed file on top of its base; ``strict`` is for presets."""
    faults = [] if faults is None else faults
    collector = Collector(doc, faults, strict=strict)
    found = collector.collect()
    constants = {} if base is None else {c.name: c for c in base}
    constants.update(found)
    if strict and base is None:
        _fill_vops(constants)
        missing = [k for k, f in fields().items() if f.required and k not in constants]
        faults.extend(f"{doc.label}:1: {k}: missing" for k in missing)
    if not faults:
        values = {k: c.value for k, c in constants.items()}
        for keys, problem in check_together(values):
            key = next((k for k in keys if k in found), keys[0])
            faults.append(doc.fault(tuple(key.split(".")), problem))
    if faults:
        raise ConfigError.of(faults)
    ordered = {k: constants[k] for k in fields() if k in constants}
    title = collector.title or (f"{name}, from {base.name}" if base else name)
    return Arch(collector.name or name, title, root, ordered)


def _fill_vops(constants: dict[str, Constant]) -> None:
    """Give every vector op that says nothing of its own the values of the row ``default``."""
    for op in VOp:
        for part in ("simd", "beat_cycles", "pace"):
            default, key = constants.get(f"vop.default.{part}"), f"vop.{op.name}.{part}"
            if default is not None and key not in constants:
                description = fields()[key].description
                constants[key] = dataclasses.replace(default, name=key, description=description)
    for part in ("simd", "beat_cycles", "pace"):
        constants.pop(f"vop.default.{part}", None)


def replace(arch: Arch, name: str | None, source: str, confidence: str, values: Mapping[str, Any]) -> Arch:
    """See :meth:`Arch.replace`."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        parts = key.split(".")
        table = nested
        for part in parts[:-1]:
            table = table.setdefault(part, {})
        table[parts[-1]] = value
    faults = [f"replace: {k}: not a constant" for k in nested if k in META]
    data = {k: v for k, v in nested.items() if k not in META} | {"source": source, "confidence": confidence}
    doc = Document("replace", Path("replace"), data, {})
    try:
        changed = _build(doc, arch.name.rstrip("*") + "*", arch, arch.base, faults=faults)
    except ConfigError as e:
        raise _capped(tuple(f.replace("replace:1:", "replace:", 1) for f in e.faults)) from None
    return Arch(name or changed.name, f"{arch.title}, changed", arch.base, {c.name: c for c in changed})
