"""A small assembler that writes the tables of a machine program directly."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.program.schema import (
    ARRAY_COLS,
    CODE_COLS,
    DSD_COLS,
    FIFO_COLS,
    FUNCTION_COLS,
    QUEUE_COLS,
    ROUTE_COLS,
    SETTINGS_COLS,
    TASK_COLS,
    TILE_COLS,
    CodeCol,
    DsdCol,
    DsdKind,
    DsrInitCol,
    FifoCol,
    FunctionCol,
    Op,
    OperandKind,
    ParamCol,
    QueueCol,
    RouteCol,
    SettingsCol,
    TaskCol,
    TileCol,
)

JUMPS = frozenset(
    int(o) for o in (Op.JMP, Op.BZ, Op.BNZ, Op.CALL, Op.LOOP, Op.ENDLOOP, Op.MAP)
)  # IMM is a row


def row_of(columns: Any, count: int, default: int, values: dict[str, int]) -> list[int]:
    """A table row from column names."""
    row = [default] * count
    for name, value in values.items():
        row[columns[name.upper()]] = int(value)
    return row


def int32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


class Label:
    """A place in a tile's code, bound by ``TileAsm.bind``."""

    row: int | None = None


class TileAsm:
    """One tile under construction; rows, slots and addresses are the tile's own."""

    def __init__(self, number: int, program: Asm) -> None:
        self.number, self.program = number, program
        self.code: list[tuple[list[int], Label | None]] = []
        self.num_regs = 0
        self.dsds: list[list[int]] = []
        self.image = bytearray(16)  # address 0 stays unused
        self.tasks: list[list[Any]] = []
        self.queues: list[list[int]] = []
        self.fifos: list[list[int]] = []
        self.functions: list[list[Any]] = []
        self.dsr_init: list[list[int]] = []
        self.params: list[tuple[int, list[bytes]]] = []

    def reg(self) -> int:
        self.num_regs += 1
        return self.num_regs - 1

    def data(self, raw: bytes, align: int = 4, skew: int = 0) -> int:
        """Place bytes in SRAM; returns their address."""
        while len(self.image) % align != skew:
            self.image.append(0)
        address = len(self.image)
        self.image += raw
        return address

    def bind(self, label: Label) -> Label:
        label.row = len(self.code)
        return label

    def label(self) -> Label:
        """A label bound here."""
        return self.bind(Label())

    def emit(self, op: int, target: Label | None = None, **columns: int) -> int:
        """Append an instruction; returns its row."""
        values = {"type": 0, "imm": 0, "imm2": 0, "flags": 0, **columns}
        row = row_of(CodeCol, CODE_COLS, -1, values)
        row[CodeCol.OP] = int(op)
        row[CodeCol.IMM], row[CodeCol.IMM2] = int32(row[CodeCol.IMM]), int32(row[CodeCol.IMM2])
        self.code.append((row, target))
        return len(self.code) - 1

    def dsd(self, kind: DsdKind, **columns: int) -> int:
        """Append a descriptor; returns its slot."""
        defaults = {"ndim": 1, "ext0": 1, "ext1": 1, "ext2": 1, "ext3": 1, "str0": 1, "elem_bytes": 2}
        row = row_of(DsdCol, DSD_COLS, 0, {**defaults, "name": -1, **columns})
        row[DsdCol.KIND] = int(kind)
        for name in ("QUEUE", "COLOR", "FIFO"):
            if name.lower() not in columns:
                row[DsdCol[name]] = -1
        self.dsds.append(row)
        return len(self.dsds) - 1

    def task(self, kind: int, number: int, entry: Label, **columns: int) -> None:
        values = {"priority": 0, "blocked": 0, "active": 0, "nargs": 0, **columns}
        row: list[Any] = row_of(TaskCol, TASK_COLS, -1, values)
        row[TaskCol.TILE], row[TaskCol.KIND], row[TaskCol.ID] = self.number, int(kind), number
        row[TaskCol.ENTRY] = entry
        self.tasks.append(row)

    def queue(
        self, direction: int, number: int, color: int, priority: int = -1, empty_task: int = -1
    ) -> None:
        values = {"tile": self.number, "direction": direction, "id": number}
        values |= {"color": color, "priority": priority, "empty_task": empty_task}
        self.queues.append(row_of(QueueCol, QUEUE_COLS, -1, values))

    def fifo(self, base: int, capacity: int, elem_bytes: int, push: int = -1, pop: int = -1) -> int:
        """Append a FIFO; returns its number."""
        values = {"tile": self.number, "id": len(self.fifos), "base": base, "capacity": capacity}
        values |= {"elem_bytes": elem_bytes, "activate_push": push, "activate_pop": pop}
        self.fifos.append(row_of(FifoCol, FIFO_COLS, -1, values))
        return len(self.fifos) - 1

    def function(self, number: int, entry: Label, nargs: int = 0, arg0: int = -1) -> None:
        row: list[Any] = row_of(FunctionCol, FUNCTION_COLS, -1, {"tile": self.number, "nargs": nargs})
        row[FunctionCol.FUNCTION], row[FunctionCol.ARG0] = number, arg0
        row[FunctionCol.ENTRY] = entry
        self.functions.append(row)

    def preload(self, dsr: int, slot: int, settings: int = -1) -> None:
        values = {"tile": self.number, "dsr": dsr, "dsd": slot, "settings": settings}
        self.dsr_init.append(row_of(DsrInitCol, len(DsrInitCol), -1, values))


def dsr_operand(file: int, index: int) -> int:
    return int(OperandKind.DSR) << 24 | file * 32 + index


def reg_operand(register: int) -> int:
    return int(OperandKind.REG) << 24 | register


def ptr_operand(register: int) -> int:
    return int(OperandKind.PTR) << 24 | register


IMM_OPERAND = int(OperandKind.IMM) << 24


class Asm:
    """A whole program."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.tiles: list[TileAsm] = []
        self.placed: dict[tuple[int, int], int] = {}
        self.settings_rows: list[list[int]] = []
        self.routes: list[list[int]] = []
        self.route_at: dict[tuple[int, int, int], int] = {}  # (color, x, y) -> class
        self.strings: list[str] = []

    def tile(self) -> TileAsm:
        self.tiles.append(TileAsm(len(self.tiles), self))
        return self.tiles[-1]

    def settings(self, **columns: int) -> int:
        """The number of a settings row."""
        defaults = {"async": 0, "on_control": 0, "save_address": 0, "advance_switch": 0}
        row = row_of(SettingsCol, SETTINGS_COLS, -1, {**defaults, **columns})
        if row not in self.settings_rows:
            self.settings_rows.append(row)
        return self.settings_rows.index(row)

    def route_class(self, positions: list[tuple[int, int]], **columns: int) -> int:
        """The number of a route class."""
        values = {"num_positions": len(positions), **columns}
        for k, (inputs, outputs) in enumerate(positions):
            values |= {f"in{k}": inputs, f"out{k}": outputs}
        row = row_of(RouteCol, ROUTE_COLS, 0, values)
        if row not in self.routes:
            self.routes.append(row)
        return self.routes.index(row)

    def build(self) -> dict[str, np.ndarray]:
        """The tables."""
        starts, code = [], []
        for tile in self.tiles:
            starts.append(len(code))
            for row, target in tile.code:
                if target is not None:
                    assert target.row is not None and row[CodeCol.OP] in JUMPS
                    row = [*row]
                    row[CodeCol.IMM] = starts[-1] + target.row
                code.append(row)

        def entries(rows: list[list[Any]], column: int, start: int) -> list[list[int]]:
            return [[v if k != column else start + v.row for k, v in enumerate(row)] for row in rows]

        tiles, dsds, image = [], [], b""
        for tile, start in zip(self.tiles, starts, strict=True):
            row = [0] * TILE_COLS
            row[TileCol.NUM_REGS], row[TileCol.DSD_FIRST] = tile.num_regs, len(dsds)
            row[TileCol.NUM_DSDS] = len(tile.dsds)
            row[TileCol.CODE_FIRST], row[TileCol.NUM_CODE] = start, len(tile.code)
            row[TileCol.DATA_BYTES] = row[TileCol.IMAGE_BYTES] = len(tile.image)
            row[TileCol.IMAGE_OFFSET], row[TileCol.NUM_FIFOS] = len(image), len(tile.fifos)
            row[TileCol.NAME] = -1
            tiles.append(row)
            dsds += tile.dsds
            image += bytes(tile.image)
        params, values = self._params()
        pairs = list(zip(self.tiles, starts, strict=True))
        colors = sorted({c for c, _, _ in self.route_at})
        return {
            "grid": table([self.width, self.height]),
            "tile_map": self._tile_map(),
            "tiles": table(tiles, TILE_COLS),
            "code": table(code, CODE_COLS),
            "dsds": table(dsds, DSD_COLS),
            "settings": table(self.settings_rows, SETTINGS_COLS),
            "tasks": table([r for t, s in pairs for r in entries(t.tasks, TaskCol.ENTRY, s)], TASK_COLS),
            "queues": table([r for t in self.tiles for r in t.queues], QUEUE_COLS),
            "fifos": table([r for t in self.tiles for r in t.fifos], FIFO_COLS),
            "functions": table(
                [r for t, s in pairs for r in entries(t.functions, FunctionCol.ENTRY, s)], FUNCTION_COLS
            ),
            "dsr_init": table([r for t in self.tiles for r in t.dsr_init], len(DsrInitCol)),
            "routes": table(self.routes, ROUTE_COLS),
            "colors": table(colors),
            "route_map": self._route_map(colors),
            "image": np.frombuffer(image, np.uint8).copy(),
            "params": table(params, len(ParamCol)),
            "param_values": np.frombuffer(values, np.uint8).copy(),
            "arrays": table([], ARRAY_COLS),
        }

    def _params(self) -> tuple[list[list[int]], bytes]:
        rows, values = [], b""
        for tile in self.tiles:
            for address, per_pe in tile.params:
                rows.append([tile.number, address, len(per_pe[0]), len(values)])
                values += b"".join(per_pe)
        return rows, values

    def _tile_map(self) -> np.ndarray:
        out = np.full((self.height, self.width), -1, np.int16)
        for (x, y), number in self.placed.items():
            out[y, x] = number
        return out

    def _route_map(self, colors: list[int]) -> np.ndarray:
        out = np.full((len(colors), self.height, self.width), -1, np.int16)
        for (color, x, y), number in self.route_at.items():
            out[colors.index(color), y, x] = number
        return out


def table(rows: Any, columns: int | None = None) -> np.ndarray:
    """An int32 table, with its columns even when it has no rows."""
    if columns is not None and not rows:
        return np.zeros((0, columns), np.int32)
    return np.array(rows, np.int32)
