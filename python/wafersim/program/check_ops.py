"""Checks of vector ops: descriptors, widths, queues, microthreads, SIMD modes, absolute addresses."""

from __future__ import annotations

from dataclasses import dataclass

from wafersim.program import schema as s
from wafersim.program.check_routes import ramp_classes
from wafersim.program.checking import Checking
from wafersim.program.schema import CodeCol, DsdCol, DsdKind, Op, OperandKind, QueueCol, SettingsCol

_OPERANDS = (CodeCol.DST, CodeCol.A, CodeCol.B, CodeCol.C)
_ENDS_BLOCK = (Op.JMP, Op.BZ, Op.BNZ, Op.CALL, Op.RET, Op.LOOP, Op.ENDLOOP)


@dataclass
class _Use:
    """A descriptor operand of a vector op: the column and the descriptor rows its DSR may hold."""

    column: CodeCol
    latest: int  # row loaded last before the op, in the order of the code
    all: list[int]


def check_ops(check: Checking) -> None:
    """Walk every tile's code once."""
    for tile in range(len(check.t["tiles"])):
        _Walk(check, tile).run()


class _Walk:
    def __init__(self, check: Checking, tile: int) -> None:
        self.check = check
        self.tile = tile
        self.base = check.dsd_first(tile)
        self.loads: dict[int, list[int]] = {}  # DSR -> descriptor rows
        self.latest: dict[int, int] = {}
        self.default: dict[int, int] = {}  # DSR -> settings row loaded last
        self.block: dict[tuple[str, int], int] = {}  # what an async op of this straight piece of code claims
        self.queues = {
            (int(q[QueueCol.DIRECTION]), int(q[QueueCol.ID])): int(q[QueueCol.COLOR])
            for q in check.t["queues"][check.rows_of("queues", QueueCol.TILE, tile)]
        }

    def run(self) -> None:
        self._collect_loads()
        self._descriptors()
        for row in self.check.code_range(self.tile):
            instr = self.check.t["code"][row]
            op = Op(int(instr[CodeCol.OP]))
            if op is Op.LOAD_DSR:
                dsr = int(instr[CodeCol.DST])
                if int(instr[CodeCol.AUX]) < 0:
                    self.latest[dsr] = self.base + int(instr[CodeCol.A])
                self.default[dsr] = int(instr[CodeCol.SETTINGS])
            elif op in (Op.VOP, Op.MAP):
                self._vector(row, op)
            elif op in (Op.LOAD, Op.STORE):
                self._absolute(row)
            if op in _ENDS_BLOCK:
                self.block = {}

    def _fail(self, row: int, problem: str, color: int | None = None) -> Exception:
        return self.check.error("code", row, self.tile, problem, color)

    def _collect_loads(self) -> None:
        c = s.DsrInitCol
        for row in self.check.rows_of("dsr_init", c.TILE, self.tile):
            init = self.check.t["dsr_init"][row]
            dsr = int(init[c.DSR])
            self.loads.setdefault(dsr, []).append(self.base + int(init[c.DSD]))
            self.latest[dsr] = self.base + int(init[c.DSD])
            self.default[dsr] = int(init[c.SETTINGS])
        dynamic: list[int] = []
        for row in self.check.code_range(self.tile):
            instr = self.check.t["code"][row]
            if instr[CodeCol.OP] == Op.LOAD_DSR:
                dsr = int(instr[CodeCol.DST])
                slots = self.loads.setdefault(dsr, [])
                if instr[CodeCol.AUX] < 0:
                    slots.append(self.base + int(instr[CodeCol.A]))
                else:
                    dynamic.append(dsr)
        for dsr in dynamic:
            self.loads[dsr] = []  # run-time slot: anything may be in it

    def _descriptors(self) -> None:
        """Lengths and queues of the tile's fabric descriptors."""
        count = int(self.check.t["tiles"][self.tile, s.TileCol.NUM_DSDS])
        for row in range(self.base, self.base + count):
            dsd = self.check.t["dsds"][row]
            kind = DsdKind(int(dsd[DsdCol.KIND]))
            if kind is DsdKind.MEM:
                self._memory(row)
                continue
            if int(dsd[DsdCol.EXT0]) > s.ENDLESS:
                raise self.check.error(
                    "dsds", row, self.tile,
                    f"a fabric or FIFO descriptor of {int(dsd[DsdCol.EXT0])} elements; "
                    f"allowed up to {s.ENDLESS - 1} ({s.ENDLESS} is endless)",
                )  # fmt: skip
            if kind in (DsdKind.FABIN, DsdKind.FABOUT):
                self._fabric(row, kind)

    def _memory(self, row: int) -> None:
        dsd = self.check.t["dsds"][row]
        elem = int(dsd[DsdCol.ELEM_BYTES])
        low = high = int(dsd[DsdCol.BASE])
        for k in range(int(dsd[DsdCol.NDIM])):
            extent = int(dsd[DsdCol.EXT0 + k])
            if extent == 0:
                return
            reach = (extent - 1) * int(dsd[DsdCol.STR0 + k]) * elem
            low, high = low + min(0, reach), high + max(0, reach)
        limit = int(self.check.arch.sram_bytes)
        if low < 0 or high + elem > limit:
            self.check.warn(
                f"tile {self.check.locator.tile(self.tile)}{self.check.locator.source('dsds', row)}: a "
                "memory "
                f"descriptor reaches bytes {low} .. {high + elem - 1}, a PE has {limit}"
            )

    def _fabric(self, row: int, kind: DsdKind) -> None:
        dsd = self.check.t["dsds"][row]
        queue, color = int(dsd[DsdCol.QUEUE]), int(dsd[DsdCol.COLOR])
        direction = 0 if kind is DsdKind.FABIN else 1
        name = ("input", "output")[direction]
        limit = int(self.check.arch.num_oq if direction else self.check.arch.num_iq)
        if queue >= limit:
            raise self.check.error(
                "dsds", row, self.tile, f"{name} queue {queue}: {self.check.arch.name} has 0 .. {limit - 1}"
            )
        bound = self.queues.get((direction, queue))
        if bound is None and (direction == 0 or self.check.generation == 3):
            problem = (
                f"{name} queue {queue} of a fabric descriptor is not initialised (pe.{name}_queue); "
                "the op would wait for ever"
            )
            if self._routed(color, sends=bool(direction)):
                raise self.check.error("dsds", row, self.tile, problem)
            self.check.unreached("dsds", row, self.tile, problem)
            return
        rebinds = self.check.has_op(self.tile, Op.QUEUE_BIND)
        if direction == 1 and self.check.generation == 3 and bound != color and not rebinds:
            raise self.check.error(
                "dsds", row, self.tile,
                f"output queue {queue} is bound to "
                f"{self.check.locator.color(bound if bound is not None else -1)}, "
                f"the descriptor sends {self.check.locator.color(color)}; generation 3 has one color per "
                "queue",
                color,
            )  # fmt: skip

    def _routed(self, color: int, sends: bool) -> bool:
        """Whether some PE of the tile routes the color from (or to) its RAMP: then the op is meant to run."""
        colors = self.check.t["colors"].tolist()
        if color not in colors:
            return False
        classes = self.check.t["route_map"][colors.index(color)][self.check.t["tile_map"] == self.tile]
        return bool(ramp_classes(self.check, sends)[classes].any())

    # --- vector ops ----------------------------------------------------------------------------------

    def _vector(self, row: int, op: Op) -> None:
        instr = self.check.t["code"][row]
        uses = self._uses(row)
        if op is Op.VOP:
            self._widths(row, uses)
        fabric_in = [u for u in uses if u.column is not CodeCol.DST and self._kind(u.latest) is DsdKind.FABIN]
        limit = int(self.check.arch.max_fabric_sources)
        if len(fabric_in) > limit:
            raise self._fail(
                row,
                f"{len(fabric_in)} fabric sources in one op; generation {self.check.generation} "
                f"allows {limit}",
            )
        numbers = [self._dsd(u.latest, DsdCol.QUEUE) for u in fabric_in]
        if len(set(numbers)) != len(numbers):
            raise self._fail(row, f"both fabric sources read input queue {numbers[0]}; give each a queue")
        settings = self._settings(row, uses)
        if settings is not None:
            self._options(row, uses, settings)
        if (
            int(instr[CodeCol.SETTINGS]) >= 0
            and op is Op.MAP
            and settings is not None
            and settings[SettingsCol.ASYNC]
        ):
            raise self._fail(row, "map cannot be asynchronous")

    def _uses(self, row: int) -> list[_Use]:
        out = []
        for column in _OPERANDS:
            value = int(self.check.t["code"][row, column])
            if value >> 24 != OperandKind.DSR:
                continue
            dsr = value & 0xFFFFFF
            if dsr not in self.loads:
                file = s.DsrFile(dsr // 32).name.lower()
                raise self._fail(
                    row,
                    f"DSR {file} {dsr % 32} is used but never loaded; use pe.load_to_dsr or pe.preload_dsr",
                )
            out.append(_Use(column, self.latest.get(dsr, -1), self.loads[dsr]))
        return out

    def _dsd(self, row: int, column: DsdCol) -> int:
        return int(self.check.t["dsds"][row, column]) if row >= 0 else -1

    def _kind(self, row: int) -> DsdKind:
        return DsdKind(self._dsd(row, DsdCol.KIND)) if row >= 0 else DsdKind.NONE

    def _widths(self, row: int, uses: list[_Use]) -> None:
        """An op's width against the descriptors its DSR may hold: an error if none of them fits."""
        op = s.VOp(int(self.check.t["code"][row, CodeCol.TYPE]))
        if op is s.VOp.dfilt:
            return
        shape = s.VOP_SHAPE[op]
        single = shape[3] == 1
        wanted = {
            CodeCol.DST: shape[0], CodeCol.A: shape[1], CodeCol.B: shape[1] if single else shape[2],
            CodeCol.C: shape[2],
        }  # fmt: skip
        for use in uses:
            found = {self._dsd(d, DsdCol.ELEM_BYTES) for d in use.all}
            if found and wanted[use.column] not in found:
                raise self._fail(
                    row,
                    f"{op.name}: operand {use.column.name} has {8 * min(found)}-bit elements, "
                    f"the op needs {8 * wanted[use.column]}-bit ones",
                )
            wrong = DsdKind.FABIN if use.column is CodeCol.DST else DsdKind.FABOUT
            kinds = {self._kind(d) for d in use.all}
            if kinds == {wrong}:
                raise self._fail(row, f"{op.name}: operand {use.column.name} is a {wrong.name} descriptor")
            if use.column is CodeCol.A and not single and kinds == {DsdKind.FIFO}:
                raise self._fail(row, f"{op.name}: a FIFO cannot be the first source; swap the sources")

    def _settings(self, row: int, uses: list[_Use]) -> list[int] | None:
        """The settings that hold: the instruction's, else the first DSR's that has some."""
        number = int(self.check.t["code"][row, CodeCol.SETTINGS])
        if number < 0:
            for use in uses:
                dsr = int(self.check.t["code"][row, use.column]) & 0xFFFFFF
                if self.default.get(dsr, -1) >= 0:
                    number = self.default[dsr]
                    break
        if number < 0:
            return None
        return [int(v) for v in self.check.t["settings"][number]]

    def _options(self, row: int, uses: list[_Use], settings: list[int]) -> None:
        arch = self.check.arch
        ut = settings[SettingsCol.UT]
        if ut >= int(arch.num_uts):
            raise self._fail(row, f"microthread {ut}; {arch.name} has 0 .. {int(arch.num_uts) - 1}")
        if not settings[SettingsCol.ASYNC]:
            return
        derived = self._derived_ut(uses)
        if not arch.ut_free_choice and ut >= 0 and derived is not None and ut != derived[0]:
            raise self._fail(
                row,
                f"microthread {ut} cannot be chosen on generation {self.check.generation}: the op runs on "
                f"{derived[0]}, the number of its {derived[1]} queue",
            )
        self._claims(row, uses, ut if ut >= 0 else (derived[0] if derived is not None else -1))

    def _derived_ut(self, uses: list[_Use]) -> tuple[int, str] | None:
        """Number of the microthread that follows from the fabric operands, and which queue gives it."""
        for use in uses:
            if use.column is CodeCol.DST and self._kind(use.latest) is DsdKind.FABOUT:
                return self._dsd(use.latest, DsdCol.QUEUE), "output"
        for use in uses:
            if use.column is not CodeCol.DST and self._kind(use.latest) is DsdKind.FABIN:
                return self._dsd(use.latest, DsdCol.QUEUE), "input"
        return None

    def _claims(self, row: int, uses: list[_Use], ut: int) -> None:
        """Two asynchronous ops of a straight piece of code on one microthread or queue: the second waits."""
        claims: list[tuple[str, int]] = [("microthread", ut)] if ut >= 0 else []
        for use in uses:
            kind = self._kind(use.latest)
            if use.column is CodeCol.DST and kind is DsdKind.FABOUT:
                claims.append(("output queue", self._dsd(use.latest, DsdCol.QUEUE)))
            elif use.column is not CodeCol.DST and kind is DsdKind.FABIN:
                claims.append(("input queue", self._dsd(use.latest, DsdCol.QUEUE)))
        for claim in claims:
            if claim in self.block:
                other = self.check.locator.source("code", self.block[claim])
                self.check.warn(
                    f"tile {self.check.locator.tile(self.tile)}{self.check.locator.source('code', row)}: "
                    f"{claim[0]} "
                    f"{claim[1]} is in use by the asynchronous op before it{other}; the second waits, and on "
                    "hardware the result is undefined"
                )
                break
        for claim in claims:
            self.block[claim] = row

    def _absolute(self, row: int) -> None:
        """Loads and stores at a fixed address hit SRAM or a configuration word."""
        instr = self.check.t["code"][row]
        if instr[CodeCol.A] >= 0:
            return
        address = int(instr[CodeCol.IMM])
        size = s.TYPE_BYTES[s.Type(int(instr[CodeCol.TYPE]))]
        arch = self.check.arch
        blocks = (
            (int(arch.color_config_base), s.NUM_COLORS),
            (int(arch.switch_config_base), s.NUM_COLORS),
            (int(arch.counter_config_base), 4),
            (int(arch.queue_config_base), int(arch.num_iq)),
        )
        bases = [base for base, _ in blocks if base >= 0]
        config = size == 2 and any(base >= 0 and base <= address < base + 2 * n for base, n in blocks)
        inside = address >= 0 and address + size <= int(arch.sram_bytes)
        if not (inside or config) or address % min(size, 2):
            raise self._fail(
                row,
                f"{Op(int(instr[CodeCol.OP])).name.lower()} of {size} bytes at address {address}; allowed "
                "are even "
                f"addresses in 0 .. {int(arch.sram_bytes) - size}"
                + ("".join(f", 16-bit words from {hex(b)}" for b in bases)),
            )
