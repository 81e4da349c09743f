"""What code runs while an asynchronous op is still under way: a walk over one tile's code.

The walk starts behind the op and follows jumps, calls, activations and unblocks: what comes without any wait.
It stops at the end of a task: what data tasks and the completions of other ops start comes after a wait, and
often after one that includes this op.  It knows no values, so it may take a branch that never goes with the
first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wafersim.program import schema as s
from wafersim.program.checking import Checking
from wafersim.program.schema import BlockSpace, CodeCol, CodeFlag, Op, SettingsCol, TaskCol

_BRANCHES = (Op.BZ, Op.BNZ, Op.LOOP, Op.ENDLOOP)


@dataclass
class Completion:
    """What the end of an op, or an instruction, sets going: tasks activated and tasks unblocked."""

    activates: set[int] = field(default_factory=set)
    unblocks: set[int] = field(default_factory=set)


class TileFlow:
    """Control flow of a tile: where code goes on, and which tasks what starts."""

    def __init__(self, check: Checking, tile: int) -> None:
        self.code = check.t["code"]
        self.settings = check.t["settings"]
        self.rows = check.code_range(tile)
        self.entries: dict[int, list[int]] = {}  # local or other task id -> first rows
        self.blocked: set[int] = set()
        self.launched: list[int] = []
        for row in check.rows_of("tasks", TaskCol.TILE, tile):
            task = check.t["tasks"][row]
            number, entry = int(task[TaskCol.ID]), int(task[TaskCol.ENTRY])
            self.entries.setdefault(number, []).append(entry)
            if task[TaskCol.BLOCKED]:
                self.blocked.add(number)
        for row in check.rows_of("functions", s.FunctionCol.TILE, tile):
            self.launched.append(int(check.t["functions"][row, s.FunctionCol.ENTRY]))
        self.callers: dict[int, list[int]] = {}
        for row in self.rows:
            if self.code[row, CodeCol.OP] in (Op.CALL, Op.MAP):
                self.callers.setdefault(int(self.code[row, CodeCol.IMM]), []).append(row + 1)
        self.body_of: dict[int, int] = {}
        first = self.rows.start
        for row in self.rows:
            self.body_of[row] = first
            if self.code[row, CodeCol.OP] == Op.RET and (row + 1 in self._starts()):
                first = row + 1

    def _starts(self) -> set[int]:
        if not hasattr(self, "_known_starts"):
            tasks = {entry for entries in self.entries.values() for entry in entries}
            self._known_starts = tasks | set(self.launched) | set(self.callers)
        return self._known_starts

    def completion(self, settings: int) -> Completion:
        """What the end of an op with these settings starts."""
        done = Completion()
        if settings < 0:
            return done
        row = self.settings[settings]
        for column, numbers in ((SettingsCol.ACTIVATE, done.activates), (SettingsCol.UNBLOCK, done.unblocks)):
            if row[column] >= 0:
                numbers.add(int(row[column]))
        if row[SettingsCol.ON_CONTROL] == s.OnControl.ACTIVATE:
            done.activates.add(int(row[SettingsCol.ON_CONTROL_TASK]))
        elif row[SettingsCol.ON_CONTROL] == s.OnControl.UNBLOCK:
            done.unblocks.add(int(row[SettingsCol.ON_CONTROL_TASK]))
        return done

    def starts(self, row: int) -> Completion:
        """What the instruction itself activates or unblocks."""
        instr = self.code[row]
        op = Op(int(instr[CodeCol.OP]))
        done = Completion()
        if op is Op.ACTIVATE:
            done.activates |= {int(instr[CodeCol.IMM])} if instr[CodeCol.A] < 0 else set(self.entries)
        elif op is Op.UNBLOCK and instr[CodeCol.TYPE] != BlockSpace.UT:
            fixed = instr[CodeCol.A] < 0 or instr[CodeCol.FLAGS] & CodeFlag.A_IMM
            done.unblocks |= {int(instr[CodeCol.IMM])} if fixed else set(self.entries)
        elif op in (Op.VOP, Op.MAP):
            done = self.completion(int(instr[CodeCol.SETTINGS]))
        return done

    def successors(self, row: int) -> Iterator[int]:
        """Rows that may come next within the main thread's task."""
        instr = self.code[row]
        op = Op(int(instr[CodeCol.OP]))
        if op is Op.RET:
            yield from self.callers.get(self.body_of[row], ())
            return
        if op is Op.JMP:
            yield int(instr[CodeCol.IMM])
            return
        if op in _BRANCHES:
            yield int(instr[CodeCol.IMM])
        if op in (Op.CALL, Op.MAP):
            yield int(instr[CodeCol.IMM])
        yield row + 1

    def during(self, op_row: int) -> set[int]:
        """Rows that may run before the op at ``op_row`` has completed."""
        seen: set[int] = set()
        active: set[int] = set()
        open_tasks = set(self.entries) - self.blocked
        waiting = [row for row in self.successors(op_row) if row in self.rows]
        while waiting:
            row = waiting.pop()
            if row in seen or row not in self.rows:
                continue
            seen.add(row)
            waiting.extend(next_ for next_ in self.successors(row) if next_ not in seen)
            if row == op_row:
                continue
            if self.code[row, CodeCol.OP] in (Op.VOP, Op.MAP):
                continue
            begun = self.starts(row)
            active |= begun.activates
            open_tasks |= begun.unblocks
            for number in active & open_tasks:
                waiting.extend(entry for entry in self.entries.get(number, ()) if entry not in seen)
        return seen
