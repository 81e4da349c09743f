"""The simulated machine behind a host script: runs between commands, log, records, the link's clock."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from wafersim.arch import Arch
from wafersim.errors import DeadlockError, FaultError
from wafersim.record import Record
from wafersim.sdk import settings
from wafersim.sdk.borders import Borders
from wafersim.sdk.folder import Folder
from wafersim.sdk.link import Link
from wafersim.sdk.log import SimLog
from wafersim.sdk.machine import new_machine
from wafersim.simulate import stuck


class Device:
    """One program loaded on one simulated machine.

    Parameters
    ----------
    folder : Folder
    log_path : Path
        Where the simulator's log goes.
    """

    def __init__(self, folder: Folder, log_path: Path) -> None:
        chosen = settings.current()
        self.folder = folder
        self.fidelity = chosen.fidelity
        self.arch = Arch.load(chosen.profiles[folder.arch])
        self._borders = Borders(folder.program)
        self.sim = new_machine(self._borders.program, self.arch, chosen)
        self.link = Link.of(self.arch, int(folder.csl.get("channels", 1)))
        self.log = SimLog(log_path)
        self.commands: list[dict[str, Any]] = []
        self.last_record: Record | None = None
        self._record_dir = chosen.record_dir
        self._num_records = 0
        self._log_header()

    def _log_header(self) -> None:
        program = self.folder.program
        self.log.note(
            f"{self.folder.path}: {program.width}x{program.height} PEs, profile {self.arch.name}, "
            f"fidelity {self.fidelity}; "
            "lines with @ "
            "are prints of the program, with the cycle"
        )

    # -- running -------------------------------------------------------------------------------------------

    def run(self, label: str) -> Record:
        """Let the machine run until nothing can happen any more.

        Returns
        -------
        Record
            Its status is ``finished`` or ``stuck``: waiting for the host is no error by itself.

        Raises
        ------
        FaultError, KeyboardInterrupt
        """
        record = self.sim.run(raise_on_stuck=False)
        self.last_record = record
        self.log.prints(self.sim)
        self._save_record(label, record)
        if record.status == "fault":
            fault = record.info["fault"]
            self.log.note(f"fault: {fault['text']}")
            raise FaultError(fault["text"], fault.get("pe"), fault, record=record)
        if record.status == "interrupted":
            raise KeyboardInterrupt
        return record

    def stuck_error(self, reason: str) -> DeadlockError:
        """The error of a run that cannot go on, with who waits for what; the whole list goes to the log."""
        record = self.last_record
        said = list(record.info.get("waits", ())) if record is not None else []
        self.log.note(f"stuck: {reason}")
        for wait in said:
            place = f"PE ({wait['pe'][0]}, {wait['pe'][1]}): " if "pe" in wait else ""
            self.log.note(f"  {place}{wait['text']}")
        waits = [wait for wait in said if "pe" in wait]  # fidelity stream does not say who waits
        detail = (
            f"; {stuck.headline(waits, self.sim.cycle)}"
            if waits
            else "".join(f"; {wait['text']}" for wait in said)
        )
        hint = f" ({self.log.path} lists every wait)" if len(waits) > 1 else ""
        return DeadlockError(f"{reason}{detail}{hint}", waits, record=record)

    # -- bookkeeping ---------------------------------------------------------------------------------------

    def note_command(
        self,
        kind: str,
        name: str,
        begin: int,
        link_seconds: float,
        words: int = 0,
        row: dict[str, Any] | None = None,
    ) -> None:
        """Keep one finished host command for the log and the session's table, ``row`` becomes its row."""
        end = self.sim.cycle
        entry = {} if row is None else row
        entry |= {
            "kind": kind,
            "name": name,
            "words": words,
            "begin": begin,
            "end": end,
            "link_s": link_seconds,
        }
        self.commands.append(entry)
        self.log.note(f"{kind} {name}: cycles {begin} .. {end}" + (f", {words} words" if words else ""))

    def close(self) -> None:
        """End of the session: the table of commands is written, the log closed."""
        for line in self._borders.lost(self.sim):
            self.log.note(f"warning: {line}")
            sys.stderr.write(f"warning: {line}\n")
        link = sum(entry["link_s"] for entry in self.commands)
        self.log.note(
            f"stop at cycle {self.sim.cycle}; host link {link:.6f} s (modelled, not part of the cycles)"
        )
        self.log.close()
        if self._record_dir is not None:
            self._record_dir.mkdir(parents=True, exist_ok=True)
            table = {
                "program": str(self.folder.path),
                "arch": self.arch.name,
                "fidelity": self.fidelity,
                "cycles": self.sim.cycle,
                "link_seconds": link,
                "commands": self.commands,
            }
            (self._record_dir / "session.json").write_text(json.dumps(table, indent=1) + "\n")

    def _save_record(self, label: str, record: Record) -> None:
        if self._record_dir is None:
            return
        self._num_records += 1
        record.info["program_file"] = str(self.folder.path)
        record.info["launch"] = label
        record.save(self._record_dir / f"{self._num_records:03d}-{_file_name(label)}")


def _file_name(label: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in label)
