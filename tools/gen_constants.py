"""Write the tables of constants in ``docs/methods.md`` from the arch presets (``--check`` compares only)."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "methods.md"
BEGIN = "<!-- constants: begin; written by tools/gen_constants.py from the arch presets, do not edit -->"
END = "<!-- constants: end -->"
HEAD = "| constant | profiles | value | unit | confidence | source and note |\n|---|---|---|---|---|---|"

sys.path.insert(0, str(ROOT / "python"))
from wafersim.arch import Arch, Constant, describe  # noqa: E402
from wafersim.arch.fields import fields  # noqa: E402
from wafersim.program.schema import VOp  # noqa: E402

ARCHES = [Arch.load(name) for name in Arch.names()]
PARTS = {"simd": "elements per beat", "beat_cycles": "issue slots per beat", "pace": "pace"}


def _profiles(names: list[str]) -> str:
    if names == list(Arch.names()):
        return "all"
    for family in ("wse2", "wse3"):
        if {family, f"{family}-sdk"} <= set(names):
            names = [
                f"{family} and {family}-sdk" if n == family else n for n in names if n != f"{family}-sdk"
            ]
    return ", ".join(names)


def _key(c: Constant) -> tuple[str, ...]:
    origin = c.provenance() + (f": {c.note}" if c.note else "")
    return c.text(), c.unit, c.confidence, origin.replace("|", "\\|")


def _groups(names: list[str]) -> dict[tuple[str, ...], dict[str, list[str]]]:
    """(value, unit, confidence, origin) -> {arch: constants} over the given constants."""
    groups: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for arch in ARCHES:
        for name in names:
            if arch.has(name):
                groups.setdefault(_key(arch.get(name)), {}).setdefault(arch.name, []).append(name)
    return groups


def _single_table(names: list[str]) -> list[str]:
    lines = [HEAD]
    for name in names:
        for i, (key, arches) in enumerate(_groups([name]).items()):
            label = f"`{name}`: {describe(name)['description']}" if i == 0 else f"`{name}`"
            lines.append(f"| {label} | {_profiles(list(arches))} | {' | '.join(key)} |")
    return lines


def _vop_table(part: str) -> list[str]:
    names = [n for n in fields() if n.startswith("vop.") and n.endswith(f".{part}")]
    rows: dict[tuple[str, ...], list[str]] = {}
    for key, arches in _groups(names).items():
        by_ops: dict[tuple[str, ...], list[str]] = {}
        for arch, ops in arches.items():
            by_ops.setdefault(tuple(n.split(".")[1] for n in ops), []).append(arch)
        for ops, names_of in by_ops.items():
            rows.setdefault((_profiles(names_of), *key), []).extend(ops)
    return [HEAD, *(f"| {_ops(ops)} | {' | '.join(key)} |" for key, ops in rows.items())]


def _ops(ops: list[str]) -> str:
    if len(ops) <= 30:
        return " ".join(ops)
    others = [op.name for op in VOp if op.name not in ops]
    return "all ops" + (f" but {' '.join(others)}" if others else "")


def render() -> str:
    """The text between the marks."""
    singles = [f for f in fields().values() if "." not in f.name]
    out = ["", "### Constants the engine reads", "", *_single_table([f.name for f in singles if f.engine])]
    for part, title in PARTS.items():
        out += ["", f"### Vector ops: {title}", "", *_vop_table(part)]
    out += [
        "",
        "### Facts the engine does not read",
        "",
        *_single_table([f.name for f in singles if not f.engine]),
    ]
    return "\n".join([*out, ""])


def main() -> int:
    """Write or check; 1 when the page is stale."""
    text = TARGET.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    fresh = f"{before}{BEGIN}\n{render()}\n{END}{after}"
    if "--check" in sys.argv:
        if fresh != text:
            print(f"{TARGET.name} is stale: run python tools/gen_constants.py", file=sys.stderr)
            return 1
        return 0
    TARGET.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
