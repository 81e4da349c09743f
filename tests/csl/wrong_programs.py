"""The wrong programs in ``tests/csl/wrong``: what each expects, and compiling one.

The first line of a file is ``// line:column: text``: where the first error must be and what it must say; 0:0 is an
error without a place.  A second line ``// arch: wse3`` names the machine (else wse2).  A file without a layout block
is the program of one PE.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from wafersim.csl.compile import compile_csl

FOLDER = Path(__file__).parent / "wrong"
_HEADER = re.compile(r"// (\d+):(\d+): (.+)")


@dataclass
class Wrong:
    """A wrong program and what its error must say."""

    path: Path
    line: int
    column: int
    text: str
    arch: str

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}-{self.path.stem}"


def read(path: Path) -> Wrong:
    """The expectation in a file's head."""
    lines = path.read_text().splitlines()
    found = _HEADER.fullmatch(lines[0])
    assert found, f"{path}: first line {lines[0]!r}"
    arch = lines[1].removeprefix("// arch: ") if lines[1].startswith("// arch: ") else "wse2"
    return Wrong(path, int(found[1]), int(found[2]), found[3], arch)


def programs() -> list[Wrong]:
    """All of them."""
    return [read(path) for path in sorted(FOLDER.glob("*/*.csl")) if path.parent.name != "good"]


def compile_one(path: Path, arch: str, text: str | None = None, folder: Path = FOLDER):
    """Compile a file as it says: with its own layout block, or as the program of one PE."""
    text = path.read_text() if text is None else text
    if re.search(r"^layout\b|^// top\b", text, re.MULTILINE):
        return compile_csl(path, arch=arch, source_text=text)
    around = f'layout {{\n  @set_rectangle(1, 1);\n  @set_tile_code(0, 0, "{path}", .{{}});\n}}\n'
    return compile_csl(folder / "around.csl", arch=arch, source_text=around)
