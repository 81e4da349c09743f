"""Rows that the encoder writes: columns, operands, settings, lines, sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from program_helpers import one_tile, pair

from wafersim.program import control_payload
from wafersim.program.control import decode_payload
from wafersim.program.isa import DSD_BYTES, ISA
from wafersim.program.scalars import raw_bits, round_small_float
from wafersim.program.schema import (
    ENDLESS,
    CodeCol,
    CodeFlag,
    DsdCol,
    DsdKind,
    Op,
    OperandKind,
    Priority,
    RouteCol,
    SettingsCol,
    Simd,
    SwitchCommand,
    TaskCol,
    TileCol,
    Type,
    VOp,
)


def built(lay, pe, body, args=()):
    with pe.function("main", args=list(args)) as regs:
        body(*regs)
        pe.done()
    lay.place(pe, 0, 0, lay.width, lay.height)
    return lay.build()


def rows(program, op):
    code = program.tables["code"]
    return [dict(zip((c.name for c in CodeCol), r.tolist(), strict=True)) for r in code[code[:, 0] == op]]


def operand(kind, value=0):
    return int(kind) << 24 | value


def test_every_opcode_has_a_description_and_a_size():
    assert set(ISA) == set(Op)
    assert all(spec.bytes >= 0 for spec in ISA.values())


def test_vector_op_loads_descriptors_into_the_highest_free_dsrs_in_turn():
    lay, pe = one_tile()
    x = pe.array("x", "f32", 8)
    pe.dsr("src0", 15)  # taken: the builder leaves it alone
    d = pe.mem_dsd(x)

    def body():
        for _ in range(5):
            pe.fadds(d, d, 1.5)

    program = built(lay, pe, body)
    loads, ops = rows(program, Op.LOAD_DSR), rows(program, Op.VOP)
    assert [r["DST"] % 32 for r in loads if r["DST"] // 32 == 0] == [15, 14, 13, 12, 15]
    assert [r["DST"] % 32 for r in loads if r["DST"] // 32 == 1] == [14, 13, 12, 11, 14]
    first = ops[0]
    assert first["TYPE"] == VOp.fadds
    assert first["DST"] == operand(OperandKind.DSR, 15)
    assert first["A"] == operand(OperandKind.DSR, 32 + 14)
    assert first["B"] == operand(OperandKind.IMM)
    assert first["C"] == 0
    assert first["IMM2"] == int(np.float32(1.5).view(np.int32))
    assert first["SETTINGS"] == first["AUX"] == -1


def test_the_multiplier_takes_the_source_file_that_is_left():
    lay, pe = one_tile()
    x = pe.array("x", "f32", 8)
    d = pe.mem_dsd(x)

    def body():
        r = pe.let("f32", 0)
        pe.fmacs(r, r, d, d)

    op = rows(built(lay, pe, body), Op.VOP)[0]
    assert op["A"] >> 24 == OperandKind.REG == op["DST"] >> 24
    assert op["A"] == op["DST"]
    assert (op["B"] & 0xFFFFFF) // 32 == 2 and (op["C"] & 0xFFFFFF) // 32 == 1


def test_a_fifo_source_is_never_the_first_source():
    lay, pe = one_tile()
    x = pe.array("x", "i16", 8)
    f = pe.fifo("f", "i16", 8)
    program = built(lay, pe, lambda: pe.mov16(pe.mem_dsd(x), f))
    op = rows(program, Op.VOP)[0]
    assert op["A"] == 0 and (op["B"] & 0xFFFFFF) // 32 == 2
    assert op["AUX"] >= 0
    fifo_rows = program.tables["dsds"][program.tables["dsds"][:, DsdCol.KIND] == DsdKind.FIFO]
    assert fifo_rows[0, DsdCol.EXT0] == ENDLESS


def test_settings_rows_are_shared_and_hold_every_option():
    lay, red, sender, receiver = pair("wse3")
    x = sender.array("x", "f16", 8)
    done = sender.local_task("done", id=20)
    with done:
        sender.done()
    out = sender.fabout_dsd(sender.output_queue(2, red), extent=8)
    options = dict(async_=True, ut=5, priority="medium", activate=done, simd="off", advance_switch=True)

    with sender.function("main"):
        index = sender.let("u16", 3)
        sender.fmovh(out, sender.mem_dsd(x), **options, index=index)
        sender.fmovh(out, sender.mem_dsd(x, extent=4), **options, index=index)
        sender.fmovh(out, sender.mem_dsd(x), unblock=done)
    iq = receiver.input_queue(2, red)
    with receiver.control_task("stop", id=7):
        pass
    with receiver.local_task("next", id=9):
        pass
    with receiver.function("main"):
        fin = receiver.fabin_dsd(iq)
        y = receiver.array("y", "f16", 8)
        receiver.fmovh(receiver.mem_dsd(y), fin, on_control="activate", on_control_task=9, async_=True)
        receiver.done()
    program = lay.build()
    settings = program.tables["settings"]
    assert [r["SETTINGS"] for r in rows(program, Op.VOP)] == [0, 0, 1, 2]
    c = SettingsCol
    first = settings[0]
    expected = {c.ASYNC: 1, c.UT: 5, c.PRIORITY: Priority.UT_MEDIUM, c.ACTIVATE: 20, c.UNBLOCK: -1,
                c.SIMD: Simd.OFF, c.ADVANCE_SWITCH: 1, c.SAVE_ADDRESS: 0, c.ON_CONTROL: 0}  # fmt: skip
    assert {k: int(first[k]) for k in expected} == {k: int(v) for k, v in expected.items()}
    assert first[c.INDEX_REG] >= 0
    assert settings[1][c.UNBLOCK] == 20 and settings[1][c.ASYNC] == 0 and settings[1][c.SIMD] == -1
    assert settings[2][c.ON_CONTROL] == 2 and settings[2][c.ON_CONTROL_TASK] == 9


def test_scalar_immediates_and_registers():
    lay, pe = one_tile()

    def body(n):
        _ = n + 5
        _ = 5 - n
        _ = pe.let("f32", 1.0) * 2.0

    program = built(lay, pe, body, args=[("n", "i16")])
    add, sub, mul = rows(program, Op.ADD)[0], rows(program, Op.SUB)[0], rows(program, Op.MUL)[0]
    assert (add["FLAGS"], add["IMM"], add["B"], add["TYPE"]) == (CodeFlag.B_IMM, 5, -1, Type.I16)
    assert sub["FLAGS"] == 0 and sub["B"] == 0 and sub["A"] != 0
    assert mul["FLAGS"] == 0 and mul["TYPE"] == Type.F32
    assert [r["IMM2"] for r in rows(program, Op.LI)] == [0, 0, 0]


def test_negative_literals_fill_the_upper_half():
    lay, pe = one_tile()
    program = built(
        lay, pe, lambda: (pe.let("i16", -2), pe.let("u32", 0xFFFFFFFE), pe.let("i64", -(1 << 33)))
    )
    assert [(r["IMM"], r["IMM2"]) for r in rows(program, Op.LI)] == [(-2, -1), (-2, 0), (0, -2)]


def test_loops_point_at_their_ends():
    lay, pe = one_tile()

    def body(n):
        with pe.for_range(n) as i:
            pe.store(out, 0, i)
        with pe.for_range(7):
            pass

    out = pe.array("out", "i16", 1)
    program = built(lay, pe, body, args=[("n", "i16")])
    code = program.tables["code"]
    starts = np.flatnonzero(code[:, CodeCol.OP] == Op.LOOP)
    for row in starts:
        end = int(code[row, CodeCol.IMM]) - 1
        assert code[end, CodeCol.OP] == Op.ENDLOOP
        assert code[end, CodeCol.IMM] == row + 1
        assert code[end, CodeCol.DST] == code[row, CodeCol.DST]
        assert code[end, CodeCol.C] == code[row, CodeCol.C]
    first, second = (dict(zip((c.name for c in CodeCol), code[r].tolist(), strict=True)) for r in starts)
    assert (first["B"], first["FLAGS"]) == (0, 0)
    assert (second["B"], second["IMM2"], second["FLAGS"]) == (-1, 7, CodeFlag.B_IMM)


def test_every_instruction_has_the_callers_line():
    lay, pe = one_tile()
    x = pe.array("x", "f32", 4)

    def body():
        pe.fadds(pe.mem_dsd(x), pe.mem_dsd(x), 2.0)  # the line

    program = built(lay, pe, body)
    lines = program.meta["lines"]
    op = rows(program, Op.VOP)[0]
    file, number, text = lines[op["LINE"]]
    assert file == "test_program_encode.py" and "# the line" in text
    assert Path(__file__).read_text().splitlines()[number - 1].strip() == text
    assert all(0 <= r["LINE"] < len(lines) for r in rows(program, Op.LOAD_DSR))
    assert program.tables["code"][:, CodeCol.LINE].min() >= 0


def test_data_starts_at_a_multiple_of_16_above_the_code():
    lay, pe = one_tile()
    a = pe.array("a", "i16", 3)
    b = pe.array("b", "f32", 2)
    c = pe.array("c", "f32", 5, align=16)
    d = pe.array("d", "u8", 3, address=0x2000)
    e = pe.array("e", "u8", 1)
    f = pe.array("f", "u64", 1)
    program = built(lay, pe, lambda: pe.fmovs(pe.mem_dsd(c), pe.mem_dsd(c)))
    code_bytes = int(program.tables["tiles"][0, TileCol.CODE_BYTES])
    ops = program.tables["code"][:, CodeCol.OP].tolist()
    assert code_bytes == sum(ISA[Op(o)].bytes for o in ops) + 2 * DSD_BYTES
    start = -(-code_bytes // 16) * 16
    assert [v.address - start for v in (a, b, c, e, f)] == [0, 8, 16, 36, 40]
    assert d.address == 0x2000
    assert program.tables["tiles"][0, TileCol.DATA_BYTES] == 0x2003


def test_automatic_arrays_step_over_fixed_ones():
    lay, pe = one_tile()
    pe.array("wall", "u8", 64, address=512)
    a = pe.array("a", "f32", 200)
    built(lay, pe, lambda: None)
    assert a.address == 576


def test_images_hold_initial_values_at_their_addresses():
    lay, pe = one_tile()
    a = pe.array("a", "i16", 3, init=[1, -2, 3])
    b = pe.array("b", "bf16", 2, init=[1.5, -2.0])
    pe.array("c", "f32", 2)
    program = built(lay, pe, lambda: None)
    tile = program.tables["tiles"][0]
    image = program.tables["image"][tile[TileCol.IMAGE_OFFSET] :][: tile[TileCol.IMAGE_BYTES]].tobytes()
    assert image[a.address : a.address + 6] == b"\x01\x00\xfe\xff\x03\x00"
    assert image[b.address : b.address + 4] == bytes.fromhex("c03f00c0")
    assert len(image) == b.address + 4


def test_four_dimensional_descriptors_run_innermost_first():
    lay, pe = one_tile()
    x = pe.array("x", "f32", (2, 3, 4, 5))

    def body():
        pe.fmovs(pe.mem_dsd(x, extents=(2, 3, 4, 5), strides=(60, 20, 5, 1), offset=0), 0.0)

    dsd = built(lay, pe, body).tables["dsds"][0]
    assert dsd[DsdCol.NDIM] == 4
    assert dsd[DsdCol.EXT0 : DsdCol.EXT3 + 1].tolist() == [5, 4, 3, 2]
    assert dsd[DsdCol.STR0 : DsdCol.STR3 + 1].tolist() == [1, 5, 20, 60]
    assert dsd[DsdCol.BASE] == x.address


def test_fabric_descriptors_take_the_width_of_the_op():
    lay, red, sender, receiver = pair()
    out = sender.output_queue(2, red)
    narrow, wide, raw = (sender.fabout_dsd(out, extent=4) for _ in range(3))
    loaded = sender.fabout_dsd(out, extent=4)
    dsr = sender.dsr("dest", 4)
    with sender.function("main"):
        sender.fmovh(narrow, 1.0)
        sender.fmovs(wide, 1.0)
        sender.load_to_dsr(dsr, loaded)
        sender.mov16(dsr, 1)
        sender.done()
    with receiver.function("main"):
        receiver.done()
    widths = lay.build().tables["dsds"][:, DsdCol.ELEM_BYTES].tolist()
    assert [widths[d.slot] for d in (narrow, wide, raw, loaded)] == [2, 4, 4, 2]


def test_tasks_rows():
    lay, red, sender, receiver = pair()
    with sender.function("main"):
        sender.done()
    iq = receiver.input_queue(3, red)
    with receiver.local_task("low", id=4, blocked=True):
        pass
    with receiver.local_task("auto", priority="high", active=True):
        pass
    with receiver.data_task("word", iq, args=("data", "index"), type="f16") as (value, index):
        pass
    with receiver.teardown_task():
        pass
    assert (value.type, index.type) == (Type.F16, Type.U16)
    tasks = lay.build().tables["tasks"]
    c = TaskCol
    assert tasks[:, c.ID].tolist() == [4, 28, 1, 29]
    assert tasks[:, c.KIND].tolist() == [0, 0, 1, 0]
    assert tasks[:, c.BLOCKED].tolist() == [1, 0, 0, 0]
    assert tasks[:, c.PRIORITY].tolist() == [0, 1, 0, 0]
    assert tasks[:, c.ACTIVE].tolist() == [0, 1, 0, 0]
    assert tasks[:, c.QUEUE].tolist() == [-1, -1, 3, -1]
    assert tasks[2, [c.NARGS, c.ARG0, c.ARG1]].tolist() == [2, 0, 1]


def test_data_task_ids_follow_the_generation():
    for arch, expected in (("wse2", 1), ("wse3", 3)):
        _, red, _, receiver = pair(arch)
        assert receiver.data_task("word", receiver.input_queue(3, red)).id == expected


def test_a_body_that_returns_needs_no_second_return():
    lay, pe = one_tile()
    f = pe.function("f", returns="i16", export=False)
    g = pe.function("g", args=[("n", "i16")], returns="i16", export=False)
    with f:
        pe.return_(1)
    with g as (n,), pe.if_(n == 0):
        pe.return_(2)
    lay.place(pe)
    code = lay.build().tables["code"][:, CodeCol.OP].tolist()
    assert code.count(Op.RET) == 1 + 2


def test_routes_of_switches_and_filters():
    lay, _ = one_tile()
    cls = lay.route_class(
        rx="WEST", tx=("RAMP", "EAST"), switches=[{"rx": "RAMP"}, {"tx": "N"}], ring=True, initial=1,
        pop="on_advance", filter={"kind": "counter", "limit1": 5, "max": 2, "count_control": True},
    )  # fmt: skip
    row = dict(zip(RouteCol, cls.columns, strict=True))
    assert (row[RouteCol.IN0], row[RouteCol.OUT0]) == (0b01000, 0b10010)
    assert (row[RouteCol.IN1], row[RouteCol.OUT1]) == (0b10000, 0b10010)
    assert (row[RouteCol.IN2], row[RouteCol.OUT2]) == (0b10000, 0b00001)  # what is not given stays as before
    assert (row[RouteCol.NUM_POSITIONS], row[RouteCol.INITIAL], row[RouteCol.RING]) == (3, 1, 1)
    assert row[RouteCol.POP_MODE] == 2
    assert (row[RouteCol.FILTER], row[RouteCol.FILTER_LIMIT1], row[RouteCol.FILTER_MAX]) == (1, 5, 2)
    assert (row[RouteCol.FILTER_COUNT_DATA], row[RouteCol.FILTER_COUNT_CONTROL]) == (1, 1)
    assert cls.ports(0) == (("WEST",), ("EAST", "RAMP"))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((5,), 5 << 16),
        ((0, "advance"), 1 << 22),
        ((63, [("advance", True)]), 63 << 16 | 0b101 << 22),
        ((0, ["nop", "teardown"]), 0b11 << 25),
        ((0, ["nop", "nop", ("reset", True)]), 0b10 << 28 | 1),
        ((0, ["nop"] * 7 + [("teardown", True)]), 0b111 << 13),
    ],
)
def test_control_payloads(args, expected):
    assert control_payload(*args) == expected


def test_control_payloads_decode_to_what_was_encoded():
    commands = [("advance", True), ("nop", False), ("reset", True), ("teardown", False)] * 2
    task, pairs = decode_payload(control_payload(41, commands))
    assert task == 41
    assert pairs == [(SwitchCommand[n.upper()], i) for n, i in commands]
    assert decode_payload(control_payload(3, "reset", data=0xABCD))[0] == 3
    assert control_payload(3, "reset", data=0xABCD) & 0xFFFF == 0xABCD


@pytest.mark.parametrize("bits", [8, 6])
def test_small_floats_round_to_nearest_even(bits):
    mantissa = 15 - bits
    bias = {8: 127, 6: 42}[bits]
    one, top = bias << mantissa, ((1 << bits) - 1) << mantissa
    assert round_small_float(1.0, bits) == one
    assert round_small_float(1.0 + 2.0 ** -(mantissa + 1), bits) == one
    assert round_small_float(1.0 + 3 * 2.0 ** -(mantissa + 1), bits) == one + 2
    assert round_small_float(-0.0, bits) == 0x8000
    assert round_small_float(float("inf"), bits) == round_small_float(1e300, bits) == top
    smallest = 2.0 ** (1 - bias - mantissa)
    assert round_small_float(smallest, bits) == 1
    assert round_small_float(smallest / 2, bits) == 0


def test_bf16_bits_are_those_of_a_rounded_f32():
    rng = np.random.default_rng(1)
    for value in rng.normal(size=200) * 10.0 ** rng.integers(-30, 30, 200):
        bits = int(np.float32(value).view(np.uint32))
        expected = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
        assert raw_bits(Type.BF16, float(np.float32(value))) == expected
