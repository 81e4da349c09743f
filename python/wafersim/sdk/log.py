"""``sim.log``: what PEs print, a line per newline, with its cycle; and the host's commands as comments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wafersim.program.schema import CodeCol, Op

if TYPE_CHECKING:
    from wafersim.sdk.machine import Machine


class SimLog:
    """The log of one session; lines of the program begin with ``@CYCLE``, others with ``#``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("w", encoding="utf-8")
        self._seen = 0
        self._open_lines: dict[tuple[int, int], str] = {}
        self._can_print: bool | None = None

    def note(self, text: str) -> None:
        """A line that is no print of the program."""
        if not self._file.closed:
            self._file.write(f"# {text}\n")

    def prints(self, sim: Machine) -> None:
        """Write what the PEs printed since the last call; a text without newline waits for the next one."""
        if self._can_print is None:
            self._can_print = bool((sim.program.tables["code"][:, CodeCol.OP] == Op.PRINT).any())
        if not self._can_print:
            return
        lines = sim.prints()
        for line in lines[self._seen :]:
            *whole, rest = (self._open_lines.get((line.x, line.y), "") + line.text).split("\n")
            for text in whole:
                self._file.write(f"@{line.cycle} {text}\n")
            self._open_lines[line.x, line.y] = rest
        self._seen = len(lines)
        self._file.flush()

    def close(self) -> None:
        """Write texts that no newline ended, and close."""
        for (x, y), text in sorted(self._open_lines.items()):
            if text:
                self._file.write(f"@end PE({x},{y}) printed without a newline: {text}\n")
        self._open_lines.clear()
        self._file.close()
