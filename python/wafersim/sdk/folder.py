"""The output folder of the compiler: ``out.json`` for host scripts, the machine program, start values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError
from wafersim.program import MachineProgram

JSON_NAME = "out.json"
RPC_NAME = "out_rpc.json"
PROGRAM_NAME = "program.wsp"
START_NAME = "start_values.npz"

#: what the format number means: 1: as described here
FOLDER_FORMAT = 1


@dataclass(frozen=True)
class Export:
    """A name that the host can use: a variable or a function, with its number and its type in CSL."""

    id: int
    name: str
    is_function: bool
    type: str
    mutable: bool = True


@dataclass
class Folder:
    """A compiled program as the host sees it.

    Attributes
    ----------
    path : Path
    program : MachineProgram
    params, colors : dict
        As given on the compiler's command line.
    start_values : dict
        ``symbol@x,y`` -> array [H, W, elements] that the host writes before the start, from PE (x, y) on
        (layouts made in Python).
    ports : dict
        Stream name -> description (layouts made in Python).
    """

    path: Path
    program: MachineProgram
    params: dict[str, Any] = field(default_factory=dict)
    colors: dict[str, Any] = field(default_factory=dict)
    start_values: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    ports: dict[str, Any] = field(default_factory=dict)

    @property
    def csl(self) -> Mapping[str, Any]:
        """What the compiler says about the program's source."""
        found: Mapping[str, Any] = self.program.meta.get("csl", {})
        return found

    @property
    def arch(self) -> str:
        """The compiler's name of the target, ``wse2`` or ``wse3``."""
        return str(self.csl.get("arch", "wse2" if self.program.generation == 2 else "wse3"))

    @property
    def offsets(self) -> tuple[int, int]:
        """Place of the program's rectangle on the fabric."""
        x, y = self.csl.get("fabric_offsets", (0, 0))
        return int(x), int(y)

    @property
    def exports(self) -> list[Export]:
        """What the host can use, in the order of the numbers."""
        listed = self.csl.get("exports")
        if listed is None:
            meta = self.program.meta
            names = [(name, False) for name in meta.get("symbols", {})]
            names += [(name, True) for name in meta.get("functions", {})]
            return [Export(i, name, is_function, "") for i, (name, is_function) in enumerate(names)]
        return [
            Export(
                int(entry["id"]),
                str(entry["name"]),
                entry.get("kind") == "Func",
                str(entry.get("type", "")),
                bool(entry.get("mutable", True)),
            )
            for entry in listed
        ]

    def save(self) -> None:
        """Write the folder; older files of an earlier compilation are replaced."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.program.save(self.path / PROGRAM_NAME)
        # as text: the scripts convert what they read, and some join it into options
        document = {
            "params": {name: str(value) for name, value in self.params.items()},
            "colors": {name: str(value) for name, value in self.colors.items()},
            "arch": self.arch,
            "fabric_dims": list(self.csl.get("fabric_dims") or ()),
            "fabric_offsets": list(self.offsets),
            "width": self.program.width,
            "height": self.program.height,
            "exports": [vars(export) for export in self.exports],
            "ports": self.ports,
            "wafersim": {"format": FOLDER_FORMAT, "program": PROGRAM_NAME},
        }
        _write_json(self.path / JSON_NAME, document)
        _write_json(self.path / RPC_NAME, {"rpc_symbols": self._rpc_symbols()})
        if self.start_values:
            np.savez(self.path / START_NAME, **self.start_values)  # type: ignore[arg-type]
        else:
            (self.path / START_NAME).unlink(missing_ok=True)

    def _rpc_symbols(self) -> list[dict[str, Any]]:
        functions = self.program.meta.get("functions", {})
        return [
            {
                "id": export.id,
                "name": export.name,
                "sym_name": export.name,
                "kind": "Func" if export.is_function else "Var",
                "type": export.type,
                "inputs": [
                    {"name": name, "type": kind}
                    for name, kind in functions.get(export.name, {}).get("args", [])
                ],
            }
            for export in self.exports
        ]

    @classmethod
    def load(cls, path: Path) -> Folder:
        """Read a folder.

        Raises
        ------
        ConfigError
            The folder is missing or is not one of ours.
        """
        document = _read_json(path)
        program = MachineProgram.load(path / PROGRAM_NAME)
        start: dict[str, npt.NDArray[Any]] = {}
        if (path / START_NAME).exists():
            with np.load(path / START_NAME, allow_pickle=False) as stored:
                start = {name: stored[name] for name in stored.files}
        return cls(path, program, document["params"], document["colors"], start, document.get("ports", {}))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    name = path / JSON_NAME
    try:
        document = json.loads(name.read_text())
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no compiled program there ({JSON_NAME} is missing); run cslc first"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: cannot be read ({error})") from None
    ours = isinstance(document, dict) and isinstance(document.get("wafersim"), dict)
    if not ours or document["wafersim"].get("format") != FOLDER_FORMAT:
        raise ConfigError(
            f"{name}: not written by this version's cslc; compile the program again with `wafersim "
            "cslc` (or the "
            "cslc of `wafersim sdk-shims`)"
        )
    loaded: dict[str, Any] = document
    return loaded
