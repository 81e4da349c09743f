"""The machine program: immutable tables and metadata."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.arch import Arch
from wafersim.errors import ProgramError
from wafersim.program.checks import check_program
from wafersim.program.container import read_program, write_program
from wafersim.program.model_tables import TABLES
from wafersim.program.validate import validate


class MachineProgram:
    """A program for the machine: tables of `schema` plus metadata; the arrays are read-only.

    Attributes: ``tables`` (name -> array), ``meta`` (JSON-like dict), ``warnings`` (findings of the last
    check).
    """

    def __init__(self, tables: dict[str, npt.NDArray[Any]], meta: dict[str, Any]) -> None:
        self.tables = {name: _frozen(name, tables[name], dtype) for name, (dtype, _) in TABLES.items()}
        self.meta = meta
        self.warnings: list[str] = []
        self._passed: tuple[str, str, list[Any]] | None = None

    def __repr__(self) -> str:
        return (
            f"MachineProgram({self.name!r}, {self.width}x{self.height}, {len(self.tables['tiles'])} tiles, "
            f"{len(self.tables['code'])} instructions)"
        )

    @property
    def name(self) -> str:
        """The program's name."""
        return str(self.meta.get("name", ""))

    @property
    def generation(self) -> int:
        """The generation it was built for (0: any)."""
        return int(self.meta.get("generation", 0))

    @property
    def width(self) -> int:
        """PEs in x."""
        return int(self.tables["grid"][0])

    @property
    def height(self) -> int:
        """PEs in y."""
        return int(self.tables["grid"][1])

    def check(self, arch: str | Arch) -> None:
        """Raise ProgramError if the arch cannot run the program; findings that are no errors go to
        ``warnings``.
        """
        loaded = Arch.load(arch)
        self._passed = None
        self.warnings = check_program(self.tables, self.meta, loaded)
        self._passed = loaded.name, loaded.fingerprint(), list(self.tables.values())

    def check_once(self, arch: str | Arch) -> None:
        """`check`, unless these tables passed it for this arch the last time."""
        loaded = Arch.load(arch)
        if self._passed is not None:
            name, fingerprint, tables = self._passed
            same = len(tables) == len(self.tables) and all(
                one is other for one, other in zip(tables, self.tables.values(), strict=True)
            )
            if same and (name, fingerprint) == (loaded.name, loaded.fingerprint()):
                return
        self.check(loaded)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MachineProgram:
        """Read a program file (``.wsp``); raises ProgramError for anything that is not a valid program."""
        return cls(*read_program(path))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to a file (``.wsp``)."""
        validate(self.tables, self.meta)
        write_program(path, self.tables, self.meta)


def _frozen(name: str, array: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    out = np.ascontiguousarray(array, dtype=np.dtype(dtype))
    if out.dtype != array.dtype and not np.array_equal(out, array):
        raise ProgramError(f"table {name!r}: some values do not fit {out.dtype}")
    if out is array:
        out = out.view()
    out.flags.writeable = False
    return out
