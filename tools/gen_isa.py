"""Write the instruction table of ``docs/program-format.md`` from ``isa.py`` (``--check`` compares only)."""

from __future__ import annotations

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "program-format.md"
BEGIN = "<!-- instructions: begin; written by tools/gen_isa.py from isa.py, do not edit -->"
END = "<!-- instructions: end -->"
BEGIN_ENUMS = "<!-- enumerations: begin; written by tools/gen_isa.py from schema.py, do not edit -->"
END_ENUMS = "<!-- enumerations: end -->"
ENUMS = (
    "Port", "Type", "MathFn", "DsdField", "FifoField", "FilterField", "QueueField", "BlockSpace",
    "Priority", "SwitchCommand", "Event",
)  # fmt: skip
HEAD = "| op | number | bytes | columns | does |\n|---|---|---|---|---|"

sys.path.insert(0, str(ROOT / "python"))
from wafersim.program import schema  # noqa: E402
from wafersim.program.isa import ISA, OpSpec, Use  # noqa: E402
from wafersim.program.isa_text import MEANING  # noqa: E402

_NAMES = ("type", "dst", "a", "b", "c", "imm", "imm2", "aux")


def _columns(spec: OpSpec) -> str:
    parts = []
    for name in _NAMES:
        use: Use = getattr(spec, name)
        if use is not Use.NONE:
            text = spec.enum if use is Use.ENUM else use.value
            parts.append(f"{name.upper()}: {text}")
    return "; ".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def render() -> str:
    """The table."""
    rows = [
        f"| {op.name} | {int(op)} | {ISA[op].bytes} | {_columns(ISA[op])} | {_cell(MEANING[op])} |"
        for op in sorted(ISA)
    ]
    return "\n".join([HEAD, *rows])


def render_enums() -> str:
    """One line per enumeration."""
    rows = ["| enumeration | members |", "|---|---|"]
    for name in ENUMS:
        members = ", ".join(f"{m.name} {int(m)}" for m in getattr(schema, name))
        rows.append(f"| {name} | {members} |")
    rows += [
        "",
        "| vector op | number | sources | bytes of an element of DST, A, B (C as B) |",
        "|---|---|---|---|",
    ]
    for op, (dst, a, b, sources) in sorted(schema.VOP_SHAPE.items()):
        widths = [dst, a, b][: 1 + min(sources, 2)]
        rows.append(f"| {op.name} | {int(op)} | {sources} | {', '.join(map(str, widths))} |")
    return "\n".join(rows)


def _between(page: str, begin: str, end: str, text: str) -> str:
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n{text}\n{end}{after}"


def updated(page: str) -> str:
    """The page with the tables put between the marks."""
    page = _between(page, BEGIN, END, render())
    return _between(page, BEGIN_ENUMS, END_ENUMS, render_enums())


def main() -> int:
    page = TARGET.read_text(encoding="utf-8")
    new = updated(page)
    if "--check" in sys.argv[1:]:
        if page != new:
            print("docs/program-format.md is stale: run tools/gen_isa.py")
        return int(page != new)
    TARGET.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
