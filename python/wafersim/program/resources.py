"""Clashes of a PE's resources that are legal to write and wrong to run: queues, microthreads, registers.

The static checks refuse what a machine cannot hold; here is looked for what can go wrong in time: a second op
on a queue, microthread or descriptor register whose first user may still be running, tasks that nothing
starts, colors that the host link needs.  Every finding names the lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wafersim.arch import Arch
from wafersim.program import schema as s
from wafersim.program.checking import Checking
from wafersim.program.model import MachineProgram
from wafersim.program.overlap import TileFlow
from wafersim.program.schema import CodeCol, DsdCol, DsdKind, Op, OperandKind, SettingsCol, TaskCol, TaskKind

#: Colors and task ids that the host's copies use, as the vendor's examples list them.
HOST_COLORS = (21, 22, 23)
HOST_TASKS = (21, 22, 23, 27, 28, 30)

_OPERANDS = (CodeCol.DST, CodeCol.A, CodeCol.B, CodeCol.C)
_NAMES = {"queue": "{} queue {}", "microthread": "microthread {1}", "register": "descriptor register {} {}"}

Claim = tuple[str, str, int]  # kind, which, number


@dataclass
class VectorUse:
    """A vector op and what it holds until it has completed."""

    row: int
    asynchronous: bool
    claims: list[Claim]
    registers: list[Claim]


def clashes(program: MachineProgram, arch: str | Arch, host_link: bool = False) -> list[str]:
    """Findings, one line each, in the order of the tiles.

    Parameters
    ----------
    program : MachineProgram
        A program that passes `MachineProgram.check`.
    arch : str or Arch
        The machine.
    host_link : bool
        The program uses host copies, whose colors and tasks are taken.
    """
    check = Checking(program.tables, program.meta, Arch.load(arch))
    tiles: dict[str, list[str]] = {}
    for tile in range(len(check.t["tiles"])):
        for line in _Tile(check, tile, host_link).findings():
            tiles.setdefault(line, []).append(check.locator.tile(tile))
    found = []
    for line, names in tiles.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        found.append(f"tile {names[0]}{more}: {line}")
    return found


def _register(dsr: int) -> Claim:
    return "register", s.DsrFile(dsr // 32).name.lower(), dsr % 32


class _Tile:
    def __init__(self, check: Checking, tile: int, host_link: bool) -> None:
        self.check = check
        self.tile = tile
        self.host_link = host_link
        self.base = check.dsd_first(tile)
        named = check.meta.get("csl", {}).get("registers", {}).get(f"tile:{tile}", ())
        self.named = set(named)  # registers that the program chose itself; others are the compiler's business
        self.uses = list(self._collect())

    def findings(self) -> Sequence[str]:
        """All clashes of this tile."""
        out: list[str] = []
        if any(use.asynchronous for use in self.uses):
            out += self._overlaps()
        out += self._queue_colors()
        out += self._data_queues()
        out += self._tasks()
        if self.host_link:
            out += self._host()
        return out

    # --- what ops hold

    def _collect(self) -> list[VectorUse]:
        loaded: dict[int, int] = {}
        default: dict[int, int] = {}
        for row in self.check.rows_of("dsr_init", s.DsrInitCol.TILE, self.tile):
            init = self.check.t["dsr_init"][row]
            loaded[int(init[s.DsrInitCol.DSR])] = self.base + int(init[s.DsrInitCol.DSD])
            default[int(init[s.DsrInitCol.DSR])] = int(init[s.DsrInitCol.SETTINGS])
        uses = []
        for row in self.check.code_range(self.tile):
            instr = self.check.t["code"][row]
            op = instr[CodeCol.OP]
            if op == Op.LOAD_DSR:
                dsr = int(instr[CodeCol.DST])
                loaded[dsr] = self.base + int(instr[CodeCol.A]) if instr[CodeCol.AUX] < 0 else -1
                default[dsr] = int(instr[CodeCol.SETTINGS])
                if dsr in self.named:
                    uses.append(VectorUse(row, False, [], [_register(dsr)]))
            elif op == Op.VOP:
                uses.append(self._use(row, loaded, default))
        return uses

    def _use(self, row: int, loaded: dict[int, int], default: dict[int, int]) -> VectorUse:
        instr = self.check.t["code"][row]
        settings = int(instr[CodeCol.SETTINGS])
        queues: dict[str, list[Claim]] = {"input": [], "output": []}
        registers: list[Claim] = []
        for column in _OPERANDS:
            value = int(instr[column])
            if value >> 24 != OperandKind.DSR:
                continue
            dsr = value & 0xFFFFFF
            if dsr in self.named:
                registers.append(_register(dsr))
            if settings < 0:
                settings = default.get(dsr, -1)
            dsd = loaded.get(dsr, -1)
            kind = int(self.check.t["dsds"][dsd, DsdCol.KIND]) if dsd >= 0 else DsdKind.NONE
            if kind in (DsdKind.FABIN, DsdKind.FABOUT):
                which = "output" if kind == DsdKind.FABOUT else "input"
                queues[which].append(("queue", which, int(self.check.t["dsds"][dsd, DsdCol.QUEUE])))
        options = self.check.t["settings"][settings] if settings >= 0 else None
        if options is None or not options[SettingsCol.ASYNC]:
            return VectorUse(row, False, queues["input"] + queues["output"], registers)
        claims = queues["input"] + queues["output"]
        ut = int(options[SettingsCol.UT])
        derived = queues["output"] or queues["input"]
        if ut < 0 and derived:
            ut = derived[0][2]
        if ut >= 0:
            claims = [("microthread", "", ut), *claims]
        return VectorUse(row, True, claims, registers)

    # --- findings

    def _where(self, row: int, table: str = "code") -> str:
        return self.check.locator.source(table, row).strip(" ()") or f"{table} row {row}"

    def _overlaps(self) -> list[str]:
        """Ops that may begin while an asynchronous op holds what they need."""
        flow = TileFlow(self.check, self.tile)
        out: list[str] = []
        told: set[tuple[Claim, frozenset[str]]] = set()
        for first in self.uses:
            if not first.asynchronous:
                continue
            rows = flow.during(first.row)
            for second in self.uses:
                if second.row not in rows:
                    continue
                held = [c for c in first.claims if c in second.claims]
                if not held and second is not first:
                    held = [c for c in first.registers if c in second.registers]
                held = held[:1]
                for claim in held:
                    places = frozenset((self._where(first.row), self._where(second.row)))
                    if (claim, places) in told:
                        continue
                    told.add((claim, places))
                    out.append(self._overlap(claim, first, second))
        return out

    def _overlap(self, claim: Claim, first: VectorUse, second: VectorUse) -> str:
        kind, which, number = claim
        name = _NAMES[kind].format(which, number)
        one, other = self._where(first.row), self._where(second.row)
        both = (
            f"at {one} is used again"
            if one == other
            else f"of the asynchronous op at {one} is used at {other}"
        )
        end = "activate a task on completion and go on there"
        return f"{name} {both} while that op may still run; {end}"

    def _queue_colors(self) -> list[str]:
        """One queue for several colors."""
        if self.check.has_op(self.tile, Op.QUEUE_BIND):
            return []
        colors: dict[tuple[str, int], dict[int, int]] = {}
        count = int(self.check.t["tiles"][self.tile, s.TileCol.NUM_DSDS])
        for row in range(self.base, self.base + count):
            dsd = self.check.t["dsds"][row]
            which = {int(DsdKind.FABIN): "input", int(DsdKind.FABOUT): "output"}.get(int(dsd[DsdCol.KIND]))
            if which is not None and dsd[DsdCol.COLOR] >= 0:
                known = colors.setdefault((which, int(dsd[DsdCol.QUEUE])), {})
                known.setdefault(int(dsd[DsdCol.COLOR]), row)
        out = []
        for (which, queue), by_color in colors.items():
            if len(by_color) > 1 and (which == "input" or self.check.generation == 3):
                places = ", ".join(
                    f"{self.check.locator.color(color)} at {self._where(row, 'dsds')}"
                    for color, row in by_color.items()
                )
                out.append(f"{which} queue {queue} stands for several colors: {places}")
        return out

    def _data_queues(self) -> list[str]:
        """A queue that feeds a data task and is read by an op as well."""
        tasks = {}
        for row in self.check.rows_of("tasks", TaskCol.TILE, self.tile):
            task = self.check.t["tasks"][row]
            if task[TaskCol.KIND] == TaskKind.DATA and not task[TaskCol.BLOCKED]:
                tasks[int(task[TaskCol.QUEUE])] = row
        out = []
        for use in self.uses:
            for kind, which, number in use.claims:
                if kind == "queue" and which == "input" and number in tasks:
                    name = self.check.locator.string(int(self.check.t["tasks"][tasks[number], TaskCol.NAME]))
                    blocks = any(
                        self.check.t["code"][r, CodeCol.OP] == Op.BLOCK
                        for r in self.check.code_range(self.tile)
                    )
                    if not blocks:
                        where = self._where(use.row)
                        out.append(
                            f"input queue {number} feeds data task {name!r} and is read at {where}; "
                            "block the task while the op runs"
                        )
        return out

    def _tasks(self) -> list[str]:
        """Local tasks that nothing activates, blocked tasks that nothing unblocks."""
        flow = TileFlow(self.check, self.tile)
        activated: set[int] = set()
        unblocked: set[int] = set()
        for row in self.check.code_range(self.tile):
            begun = flow.starts(row)
            activated |= begun.activates
            unblocked |= begun.unblocks
            if self.check.t["code"][row, CodeCol.OP] == Op.LOAD_DSR:
                begun = flow.completion(int(self.check.t["code"][row, CodeCol.SETTINGS]))
                activated |= begun.activates
                unblocked |= begun.unblocks
        for row in self.check.rows_of("dsr_init", s.DsrInitCol.TILE, self.tile):
            begun = flow.completion(int(self.check.t["dsr_init"][row, s.DsrInitCol.SETTINGS]))
            activated |= begun.activates
            unblocked |= begun.unblocks
        for row in self.check.rows_of("fifos", s.FifoCol.TILE, self.tile):
            for column in (s.FifoCol.ACTIVATE_PUSH, s.FifoCol.ACTIVATE_POP):
                activated.add(int(self.check.t["fifos"][row, column]))
        for row in self.check.rows_of("queues", s.QueueCol.TILE, self.tile):
            activated.add(int(self.check.t["queues"][row, s.QueueCol.EMPTY_TASK]))
        out = []
        for row in self.check.rows_of("tasks", TaskCol.TILE, self.tile):
            task = self.check.t["tasks"][row]
            number = int(task[TaskCol.ID])
            name = self.check.locator.string(int(task[TaskCol.NAME]))
            where = self._where(int(row), "tasks")
            local = task[TaskCol.KIND] == TaskKind.LOCAL and number != s.TEARDOWN_TASK
            if local and not task[TaskCol.ACTIVE] and number not in activated:
                out.append(f"task {name!r} (id {number}, {where}) is never activated")
            if task[TaskCol.BLOCKED] and number not in unblocked:
                out.append(f"task {name!r} (id {number}, {where}) is blocked and never unblocked")
        return out

    def _host(self) -> list[str]:
        """Task ids and colors that the host's copies need."""
        out = []
        for row in self.check.rows_of("tasks", TaskCol.TILE, self.tile):
            task = self.check.t["tasks"][row]
            if int(task[TaskCol.ID]) in HOST_TASKS and task[TaskCol.KIND] != TaskKind.CONTROL:
                name = self.check.locator.string(int(task[TaskCol.NAME]))
                where = self._where(int(row), "tasks")
                taken = ", ".join(map(str, HOST_TASKS))
                out.append(
                    f"task {name!r} at {where} has id {int(task[TaskCol.ID])}; host copies use {taken}"
                )
        return out


def host_colors(program: MachineProgram) -> list[str]:
    """Routes of colors that the host's copies use."""
    return [
        f"color {int(color)} has routes; host copies use {', '.join(map(str, HOST_COLORS))}"
        for number, color in enumerate(program.tables["colors"])
        if int(color) in HOST_COLORS and (program.tables["route_map"][number] >= 0).any()
    ]


def memory_lines(program: MachineProgram, arch: str | Arch, largest: int = 12) -> list[str]:
    """SRAM of every tile, by symbol: a line for the tile, then its largest arrays."""
    limit = int(Arch.load(arch).sram_bytes)
    check = Checking(program.tables, program.meta, Arch.load(arch))
    out = []
    for tile, row in enumerate(program.tables["tiles"]):
        end, code = int(row[s.TileCol.DATA_BYTES]), int(row[s.TileCol.CODE_BYTES])
        region = check.locator.tile_region(tile)[0]
        top = max(end, code)
        out.append(
            f"tile {check.locator.tile(tile)} on {region}: {top} of {limit} bytes ({100 * top // limit} %), "
            f"code {code}, registers {int(row[s.TileCol.NUM_REGS])}"
        )
        arrays = _variables(check, tile)
        for name, address, size, text in arrays[:largest]:
            out.append(f"  {size:6} {address:#06x}  {name}: {text}")
        rest = arrays[largest:]
        if rest:
            out.append(f"  {sum(size for _, _, size, _ in rest):6}         {len(rest)} more")
    return out


def _variables(check: Checking, tile: int) -> list[tuple[str, int, int, str]]:
    """Name, address, bytes, type of a tile's arrays, the largest first; names for parts are left out."""
    found: list[tuple[str, int, int, str]] = []
    for row in check.rows_of("arrays", s.ArrayCol.TILE, tile):
        entry = check.t["arrays"][row]
        address, size = int(entry[s.ArrayCol.ADDRESS]), int(entry[s.ArrayCol.BYTES])
        shape = ", ".join(map(str, check.meta["shapes"][row]))
        kind = s.Type(int(entry[s.ArrayCol.TYPE])).name.lower()
        found.append((check.locator.string(int(entry[s.ArrayCol.NAME])), address, size, f"[{shape}]{kind}"))
    found.sort(key=lambda item: (-item[2], item[1]))
    kept: list[tuple[str, int, int, str]] = []
    end = -1
    for item in sorted(found, key=lambda item: (item[1], -item[2])):
        if item[1] + item[2] > end:
            kept.append(item)
            end = item[1] + item[2]
    return [item for item in found if item in kept]
