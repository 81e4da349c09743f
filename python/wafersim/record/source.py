"""What a run was made from: its program and the constants of its arch, kept so that runs can be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError, ProgramError

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import MachineProgram

#: a larger program is not kept beside its record, only the digests of its tables are
MAX_PROGRAM_BYTES = 16 << 20

#: file of a record directory that holds the program
PROGRAM_FILE = "program.wsp"
SOURCE_FILE = "source.json"

#: most constants and tables that a saved source may have
_MOST_ENTRIES = 10_000


@dataclass
class Source:
    """The program and the arch of a run.

    Attributes
    ----------
    arch : str
        Name of the arch.
    base : str
        Preset that it starts from.
    constants : dict
        Its values by name, plain.
    digests : dict
        SHA-256 (hex) of each table of the program, and of its metadata (``meta``).
    """

    arch: str
    base: str
    constants: dict[str, Any]
    digests: dict[str, str] = field(default_factory=dict)
    _program: MachineProgram | bytes | None = None

    @classmethod
    def of(cls, program: MachineProgram, arch: Arch) -> Source:
        """The source of a run that has just happened."""
        return cls(arch.name, arch.base, {c.name: c.plain_value() for c in arch}, {}, program)

    def program(self) -> MachineProgram | None:
        """The machine program; None if it was too large to be kept.

        Raises
        ------
        ConfigError
            The kept program is damaged.
        """
        if isinstance(self._program, bytes):
            from wafersim.program import MachineProgram
            from wafersim.program.container import read_program_bytes

            try:
                self._program = MachineProgram(*read_program_bytes(self._program))
            except ProgramError as error:
                raise ConfigError(f"record: {PROGRAM_FILE}: {error}") from None
        return self._program

    def parts(self) -> dict[str, bytes]:
        """The files of a record directory that hold it."""
        from wafersim.program.container import program_bytes

        program = self.program()
        found: dict[str, bytes] = {}
        if program is not None:
            self.digests = table_digests(program.tables, program.meta)
            if sum(table.nbytes for table in program.tables.values()) <= MAX_PROGRAM_BYTES:
                found[PROGRAM_FILE] = program_bytes(program.tables, program.meta)
        about = {
            "arch": {"name": self.arch, "base": self.base, "constants": self.constants},
            "program": {"file": PROGRAM_FILE if PROGRAM_FILE in found else None, "sha256": self.digests},
        }
        found[SOURCE_FILE] = (json.dumps(about, indent=1, allow_nan=False) + "\n").encode()
        return found

    @classmethod
    def from_parts(cls, about: Mapping[str, Any], program: bytes | None) -> Source:
        """The source that `parts` wrote; raises ConfigError if ``about`` is none."""
        arch, kept = about.get("arch"), about.get("program")
        constants = arch.get("constants") if isinstance(arch, dict) else None
        digests = kept.get("sha256") if isinstance(kept, dict) else None
        sound = (
            isinstance(arch, dict)
            and isinstance(arch.get("name"), str)
            and isinstance(arch.get("base"), str)
            and isinstance(constants, dict)
            and isinstance(digests, dict)
            and len(constants) + len(digests) <= _MOST_ENTRIES
            and all(isinstance(digest, str) for digest in digests.values())
        )
        if not sound or not isinstance(arch, dict) or not isinstance(constants, dict):
            raise ConfigError(f"record: {SOURCE_FILE} does not describe an arch and a program")
        return cls(arch["name"], arch["base"], constants, dict(digests or {}), program)


def table_digests(tables: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 (hex) of each table's shape and bytes, and of the metadata as canonical JSON."""
    found = {}
    for name, table in tables.items():
        digest = hashlib.sha256(repr(table.shape).encode())
        digest.update(memoryview(table).cast("B") if table.size else b"")
        found[name] = digest.hexdigest()
    text = json.dumps(meta, sort_keys=True, separators=(",", ":"), default=str)
    return found | {"meta": hashlib.sha256(text.encode()).hexdigest()}
