"""The program file: round trip, and every way in which a file can be wrong."""

from __future__ import annotations

import json
import os
import tracemalloc

import numpy as np
import pytest
from program_helpers import pair

from wafersim.errors import ProgramError
from wafersim.program import MachineProgram
from wafersim.program.container import MAX_HEADER_BYTES
from wafersim.program.model_tables import TABLES


def sample():
    """A program with something in every table."""
    lay, red, sender, receiver = pair()
    x = sender.array("x", "f32", 4, init=[1, 2, 3, 4])
    sender.param("n", "i16")
    finished = sender.local_task("finished")
    with finished:
        sender.done()
    fifo = sender.fifo("queue", "f32", 8, activate_push=finished)
    out = sender.fabout_dsd(sender.output_queue(2, red), extent=4)
    dsr = sender.dsr("src1", 2)
    sender.preload_dsr(dsr, sender.mem_dsd(x))
    lookup = sender.function("lookup", args=[("a", "f32")], returns="f32", export=False)
    with lookup as (a,):
        sender.return_(a + 1.0)
    with sender.function("main", args=[("n", "i16")]) as (n,):
        sender.fmovs(fifo, sender.mem_dsd(x))
        sender.map(lookup, sender.mem_dsd(x), sender.mem_dsd(x))
        sender.print_("n is {}", n)
        with sender.for_range(n):
            sender.fmovs(out, sender.mem_dsd(x), async_=True, activate=finished)
    with receiver.data_task("word", receiver.input_queue(3, red)):
        receiver.done()
    with receiver.function("main", args=[("n", "i16")]):
        pass
    lay.placements[0].params["n"] = np.array([7, 0], np.uint8).reshape(1, 1, 2)
    lay.stream("in", red, "WEST", to_host=False)
    return lay.build()


@pytest.fixture(scope="module")
def program():
    return sample()


@pytest.fixture
def file(program, tmp_path):
    path = tmp_path / "p.wsp"
    program.save(path)
    return path


def split(data):
    """Header as a dict, and the tensor bytes."""
    n = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + n]), data[8 + n :]


def join(header, body, raw=None):
    text = json.dumps(header).encode() if raw is None else raw
    return len(text).to_bytes(8, "little") + text + body


def refused(path, data, fragment):
    path.write_bytes(data)
    with pytest.raises(ProgramError) as error:
        MachineProgram.load(path)
    text = str(error.value)
    assert fragment in text, text
    assert str(path) in text and "\n" not in text


def test_round_trip(program, file):
    again = MachineProgram.load(file)
    assert again.meta == program.meta
    for name in TABLES:
        assert again.tables[name].dtype == program.tables[name].dtype
        assert np.array_equal(again.tables[name], program.tables[name]), name
    assert (again.name, again.generation, again.width, again.height) == ("pair", 2, 2, 1)
    again.check("wse2")
    assert all(len(program.tables[n]) for n in TABLES), "the sample fills every table"


def test_the_same_program_gives_the_same_bytes(program, file, tmp_path):
    sample().save(tmp_path / "q.wsp")
    assert file.read_bytes() == (tmp_path / "q.wsp").read_bytes()


def test_tables_are_read_only(program):
    with pytest.raises(ValueError, match="read-only"):
        program.tables["code"][0, 0] = 1


def test_a_failed_save_leaves_the_old_file(program, file, monkeypatch):
    before = file.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(ProgramError, match="disk full"):
        program.save(file)
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_a_directory_that_is_missing(program, tmp_path):
    with pytest.raises(ProgramError, match="cannot be written"):
        program.save(tmp_path / "none" / "p.wsp")


def test_missing_file_and_directory(tmp_path):
    for path in (tmp_path / "no.wsp", tmp_path):
        with pytest.raises(ProgramError, match=str(path)):
            MachineProgram.load(path)


def test_truncation_at_every_header_byte(file):
    n = int.from_bytes(file.read_bytes()[:8], "little")
    for end in range(8 + n - 1, -1, -1):
        os.truncate(file, end)
        with pytest.raises(ProgramError):
            MachineProgram.load(file)


def test_truncation_within_the_data_and_bytes_too_many(file):
    data = file.read_bytes()
    n = int.from_bytes(data[:8], "little")
    for end in (8 + n, 8 + n + 1, len(data) - 1):
        refused(file, data[:end], "data")
    refused(file, data + b"\0", "bytes of data")


def test_header_lengths_that_lie(file):
    data = file.read_bytes()
    for claim in (0, 1, 1 << 20, MAX_HEADER_BYTES + 1, 1 << 63, (1 << 64) - 1):
        file.write_bytes(claim.to_bytes(8, "little") + data[8:])
        with pytest.raises(ProgramError):
            MachineProgram.load(file)


def test_header_bytes_replaced(file):
    """One wrong byte never gives anything but a program or a ProgramError."""
    data = file.read_bytes()
    n = int.from_bytes(data[:8], "little")
    outcomes = set()
    with file.open("r+b", buffering=0) as handle:
        for at in range(0, 8 + n, 11):
            for byte in (0, 0x22, 0x39, 0xFF):
                handle.seek(at)
                handle.write(bytes([byte]))
                try:
                    MachineProgram.load(file)
                    outcomes.add("loaded")
                except ProgramError:
                    outcomes.add("refused")
            handle.seek(at)
            handle.write(data[at : at + 1])
    assert "refused" in outcomes


HEADER_EDITS = [
    ("dtype", lambda h: h["code"].update(dtype="I64"), "dtype"),
    ("negative size", lambda h: h["code"].update(shape=[-1, 12]), "shape"),
    ("boolean size", lambda h: h["code"].update(shape=[True, 12]), "shape"),
    ("huge size", lambda h: h["code"].update(shape=[1 << 62, 12]), "shape"),
    ("huge product", lambda h: h["code"].update(shape=[1 << 40, 1 << 40, 12]), "needs"),
    ("four dimensions", lambda h: h["code"].update(shape=[1, 1, 1, 12]), "shape"),
    ("text shape", lambda h: h["code"].update(shape="12"), "shape"),
    ("flipped offsets", lambda h: h["code"].update(data_offsets=h["code"]["data_offsets"][::-1]), "data_offsets"),
    ("negative offset", lambda h: h["code"].update(data_offsets=[-4, 4]), "data_offsets"),
    ("offset behind the end", lambda h: h["code"].update(data_offsets=[0, 1 << 40]), "data_offsets"),
    ("overlap", lambda h: h["code"].update(data_offsets=[0, h["code"]["data_offsets"][1] - h["code"]["data_offsets"][0]]), "starts at"),
    ("missing table", lambda h: h.pop("routes"), "missing"),
    ("unknown table", lambda h: h.update(more=h["grid"]), "unknown"),
    ("entry no object", lambda h: h.update(code=[1]), "entry"),
    ("extra key in entry", lambda h: h["code"].update(x=1), "entry"),
    ("no metadata", lambda h: h.pop("__metadata__"), "__metadata__"),
    ("metadata number", lambda h: h["__metadata__"].update(schema=1), "__metadata__"),
    ("other format", lambda h: h["__metadata__"].update(format="pt"), "format"),
    ("other schema", lambda h: h["__metadata__"].update(schema="1"), "schema 1 was a draft"),
    ("later schema", lambda h: h["__metadata__"].update(schema="3"), "build the program again"),
    ("wide map", lambda h: h["tile_map"].update(dtype="I32"), "I16"),
    ("metadata no JSON", lambda h: h["__metadata__"].update(program="{"), "JSON"),
    ("metadata list", lambda h: h["__metadata__"].update(program="[]"), "no JSON object"),
    ("metadata nan", lambda h: h["__metadata__"].update(program='{"name": NaN}'), "NaN"),
    ("metadata empty", lambda h: h["__metadata__"].update(program="{}"), "missing"),
    ("metadata twice", lambda h: h["__metadata__"].update(program='{"name": "a", "name": "b"}'), "twice"),
    ("metadata deep", lambda h: h["__metadata__"].update(program="[" * 100000), "JSON"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "fragment"), [e[1:] for e in HEADER_EDITS], ids=[e[0] for e in HEADER_EDITS]
)
def test_header_edits(file, edit, fragment):
    header, body = split(file.read_bytes())
    edit(header)
    refused(file, join(header, body), fragment)


@pytest.mark.parametrize(
    ("raw", "fragment"),
    [
        (b"[]", "no JSON object"),
        (b"\xff\xfe{}", "JSON"),
        (b"{" * 50000, "JSON"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": Infinity}', "Infinity"),
        (b'{"a": ' + b"9" * 5000 + b"}", "JSON"),
        (b"", "JSON"),
    ],
)
def test_headers_that_are_no_header(file, raw, fragment):
    _, body = split(file.read_bytes())
    refused(file, join({}, body, raw), fragment)


def test_a_huge_claim_allocates_nothing(file):
    header, body = split(file.read_bytes())
    header["image"].update(shape=[1 << 46], data_offsets=[0, 1 << 46])
    file.write_bytes(join(header, body))
    tracemalloc.start()
    with pytest.raises(ProgramError):
        MachineProgram.load(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


META_EDITS = [
    ("schema", lambda m: m.update(schema=3), "schema"),
    ("generation", lambda m: m.update(generation=9), "generation"),
    ("strings", lambda m: m.update(strings=[1]), "strings"),
    ("lines", lambda m: m.update(lines=[["a", -1, ""]]), "line"),
    ("symbol tile", lambda m: m["symbols"]["x"].update({"tile:9": {}}), "tile:9"),
    ("symbol address", lambda m: m["symbols"]["x"]["tile:0"].update(address=1 << 20), "address"),
    ("symbol negative", lambda m: m["symbols"]["x"]["tile:0"].update(address=-4), "address"),
    ("symbol type", lambda m: m["symbols"]["x"]["tile:0"].update(type="f80"), "f80"),
    ("symbol shape", lambda m: m["symbols"]["x"]["tile:0"].update(shape=[1 << 30, 1 << 30]), "shape"),
    ("symbol empty shape", lambda m: m["symbols"]["x"]["tile:0"].update(shape=[]), "shape"),
    ("function number", lambda m: m["functions"]["main"].update(number=5), "number"),
    ("function args", lambda m: m["functions"]["main"].update(args=[["n"]]), "args"),
    ("function type", lambda m: m["functions"]["main"].update(args=[["n", "x9"]]), "x9"),
    ("shapes", lambda m: m.update(shapes=[]), "shapes of arrays"),
    ("shape", lambda m: m["shapes"].__setitem__(0, [0]), "shape [0]"),
    ("shape and bytes", lambda m: m["shapes"].__setitem__(0, [3]), "BYTES is 16; allowed 12"),
    ("symbol elsewhere", lambda m: m["symbols"]["x"]["tile:0"].update(address=0), "symbol 'x' of tile:0"),
    ("no such symbol", lambda m: m["symbols"].pop("x"), "symbol 'x' of tile:0 is missing"),
    ("tile names", lambda m: m.update(tile_names=["a"]), "tile names"),
    ("color name", lambda m: m.update(color_names={"99": "x"}), "color name"),
    ("stream port", lambda m: m["host"]["streams"][0].update(port="UP"), "stream"),
    ("stream direction", lambda m: m["host"]["streams"][0].update(direction="in"), "stream"),
    ("stream places", lambda m: m["host"]["streams"][0].update(places=[0, 0, 9, 9]), "stream"),
    ("stream twice", lambda m: m["host"]["streams"].append(m["host"]["streams"][0]), "stream"),
    ("missing key", lambda m: m.pop("lines"), "lines"),
    ("wrong kind", lambda m: m.update(symbols=[]), "symbols"),
]


@pytest.mark.parametrize(("edit", "fragment"), [e[1:] for e in META_EDITS], ids=[e[0] for e in META_EDITS])
def test_metadata_edits(file, edit, fragment):
    header, body = split(file.read_bytes())
    meta = json.loads(header["__metadata__"]["program"])
    edit(meta)
    header["__metadata__"]["program"] = json.dumps(meta)
    refused(file, join(header, body), fragment)


EXTREMES = (
    -(1 << 31),
    -2,
    -1,
    0,
    1,
    2,
    5,
    31,
    64,
    97,
    1 << 12,
    1 << 16,
    1 << 24,
    2 << 24 | 99,
    (1 << 31) - 1,
)


@pytest.mark.parametrize("name", [n for n in TABLES if n not in ("image", "param_values")])
def test_every_value_of_every_table_at_extremes(program, name):
    """A changed value is refused with table, row and column, or leaves a program that passes again."""
    refusals = 0
    table = program.tables[name]
    for at in range(table.size):
        few = EXTREMES if table.size < 60 else [EXTREMES[(7 * at + k) % len(EXTREMES)] for k in range(3)]
        for value in few:
            changed = {k: v for k, v in program.tables.items()}
            changed[name] = table.copy()
            value = max(min(value, np.iinfo(table.dtype).max), np.iinfo(table.dtype).min)
            changed[name].reshape(-1)[at] = value
            if changed[name].reshape(-1)[at] == table.reshape(-1)[at]:
                continue
            candidate = MachineProgram(changed, program.meta)
            try:
                candidate.check("wse2")
            except ProgramError as error:
                refusals += 1
                assert "\n" not in str(error)
    assert refusals > 0


VALUE_EDITS = [
    ("code", "OP", 0, 63, "an opcode"),
    ("code", "LINE", 0, 9999, "LINE"),
    ("code", "SETTINGS", 0, 0, "SETTINGS"),
    ("tiles", "NUM_CODE", 0, 5, "5"),
    ("tiles", "IMAGE_BYTES", 0, 1 << 20, "IMAGE_BYTES"),
    ("tiles", "CODE_FIRST", 1, -1, "CODE_FIRST"),
    ("tiles", "NUM_REGS", 0, 0, "allowed"),
    ("tasks", "ENTRY", 0, 9999, "ENTRY"),
    ("tasks", "TILE", 0, 2, "TILE"),
    ("tasks", "ARG0", 1, 500, "ARG0"),
    ("queues", "ID", 0, 8, "ID"),
    ("fifos", "CAPACITY", 0, 1 << 20, "CAPACITY"),
    ("fifos", "ID", 0, 3, "ID"),
    ("functions", "ENTRY", 0, -1, "ENTRY"),
    ("functions", "ARG0", 0, 4095, "ARG0"),
    ("dsr_init", "DSR", 0, 16, "DSR"),
    ("dsr_init", "DSD", 0, 77, "DSD"),
    ("params", "OFFSET", 0, 1, "OFFSET"),
    ("params", "ADDRESS", 0, 1 << 16, "ADDRESS"),
    ("routes", "IN0", 0, 32, "IN0"),
    ("routes", "NUM_POSITIONS", 0, 5, "NUM_POSITIONS"),
    ("dsds", "ELEM_BYTES", 0, 3, "ELEM_BYTES"),
    ("dsds", "FIFO", 0, 4, "FIFO"),
    ("settings", "ACTIVATE", 0, 64, "ACTIVATE"),
    ("arrays", "TILE", 0, 2, "TILE"),
    ("arrays", "NAME", 0, -1, "NAME"),
    ("arrays", "ADDRESS", 0, 1 << 15, "ADDRESS"),
    ("arrays", "BYTES", 0, 20, "BYTES"),
    ("arrays", "TYPE", 0, 12, "TYPE"),
    ("arrays", "FLAGS", 0, 8, "FLAGS"),
    ("arrays", "FLAGS", 0, 2, "HOST_WRITTEN"),
    ("routes", "SINK", 0, 32, "SINK"),
]


@pytest.mark.parametrize(("table", "column", "row", "value", "fragment"), VALUE_EDITS)
def test_a_bad_value_names_table_row_and_column(program, file, table, column, row, value, fragment):
    from wafersim.program import schema

    columns = {
        "code": schema.CodeCol, "tiles": schema.TileCol, "tasks": schema.TaskCol, "queues": schema.QueueCol,
        "fifos": schema.FifoCol, "functions": schema.FunctionCol, "dsr_init": schema.DsrInitCol,
        "params": schema.ParamCol, "routes": schema.RouteCol, "dsds": schema.DsdCol, "settings": schema.SettingsCol,
        "arrays": schema.ArrayCol,
    }  # fmt: skip
    header, body = split(file.read_bytes())
    start = header[table]["data_offsets"][0]
    width = header[table]["shape"][1]
    data = bytearray(body)
    at = start + 4 * (row * width + columns[table][column])
    data[at : at + 4] = value.to_bytes(4, "little", signed=True)
    refused(file, join(header, bytes(data)), fragment)


def test_maps_name_the_pe(program):
    for name, value in (("tile_map", 7), ("route_map", 7)):
        changed = dict(program.tables)
        changed[name] = changed[name].copy()
        changed[name].reshape(-1)[1] = value
        with pytest.raises(ProgramError, match=r"PE \(1, 0\)"):
            MachineProgram(changed, program.meta).check("wse2")
