"""Host commands on a small program: values, orders, regions, errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sdk_programs import HEIGHT, WIDTH, doubling

from wafersim.errors import ConfigError, DeadlockError, ProgramError, SimulationError
from wafersim.sdk.debug import debug_util
from wafersim.sdk.runtime import SdkRuntime
from wafersim.sdk.types import MemcpyDataType, MemcpyOrder, SdkTarget, get_platform

WORDS = MemcpyDataType.MEMCPY_32BIT
HALVES = MemcpyDataType.MEMCPY_16BIT
ROWS, COLUMNS = MemcpyOrder.ROW_MAJOR, MemcpyOrder.COL_MAJOR


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    doubling(tmp_path / "out")
    made = SdkRuntime("out", cmaddr=None)
    made.load()
    made.run()
    yield made
    made._device.close()


def options(data_type=WORDS, order=ROWS, nonblock=False):
    return {"streaming": False, "data_type": data_type, "order": order, "nonblock": nonblock}


def read(runtime, name, elements=4, dtype=np.uint32, rect=(0, 0, WIDTH, HEIGHT), **kwargs):
    x, y, w, h = rect
    found = np.zeros(w * h * elements, dtype)
    runtime.memcpy_d2h(found, runtime.get_id(name), x, y, w, h, elements, **options(**kwargs))
    return found


@pytest.mark.parametrize(("order", "letter"), [(ROWS, "C"), (COLUMNS, "F")])
def test_copies_keep_their_order(runtime, order, letter):
    values = np.arange(WIDTH * HEIGHT * 4, dtype=np.float32)
    runtime.memcpy_h2d(runtime.get_id("x"), values, 0, 0, WIDTH, HEIGHT, 4, **options(order=order))
    np.testing.assert_array_equal(read(runtime, "x", dtype=np.float32, order=order), values)
    block = values.reshape((HEIGHT, WIDTH, 4), order=letter)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            np.testing.assert_array_equal(runtime.read_symbol(x, y, "x", "float32"), block[y, x])


def test_part_of_the_program_and_of_the_array(runtime):
    runtime.memcpy_h2d(runtime.get_id("x"), np.array([7, 8, 9, 10], np.int32), 1, 0, 1, 2, 2, **options())
    found = read(runtime, "x").reshape(HEIGHT, WIDTH, 4)
    assert found[0, 1].tolist() == [7, 8, 2, 3] and found[1, 1].tolist() == [9, 10, 2, 3]
    assert found[:, [0, 2]].reshape(-1, 4).tolist() == [[0, 1, 2, 3]] * 4


def test_halves_travel_in_words(runtime):
    values = (np.arange(WIDTH * HEIGHT * 4) + 0xABC00000).astype(np.uint32)
    runtime.memcpy_h2d(runtime.get_id("h"), values, 0, 0, WIDTH, HEIGHT, 4, **options(HALVES))
    np.testing.assert_array_equal(read(runtime, "h", data_type=HALVES), values & 0xFFFF)


@pytest.mark.parametrize("order", [ROWS, COLUMNS])
def test_rows_and_columns_are_spread(runtime, order):
    column = np.arange(HEIGHT * 4, dtype=np.uint32).reshape(HEIGHT, 1, 4)
    flat = column.ravel(order="C" if order is ROWS else "F")
    runtime.memcpy_h2d_rowbcast(runtime.get_id("x"), flat, 0, 0, WIDTH, HEIGHT, 4, **options(order=order))
    np.testing.assert_array_equal(read(runtime, "x").reshape(HEIGHT, WIDTH, 4), column.repeat(WIDTH, 1))
    row = np.arange(WIDTH * 4, dtype=np.uint32).reshape(1, WIDTH, 4) + 100
    flat = row.ravel(order="C" if order is ROWS else "F")
    runtime.memcpy_h2d_colbcast(runtime.get_id("x"), flat, 0, 0, WIDTH, HEIGHT, 4, **options(order=order))
    np.testing.assert_array_equal(read(runtime, "x").reshape(HEIGHT, WIDTH, 4), row.repeat(HEIGHT, 0))


def test_every_second_column(runtime):
    values = np.array([50, 60], np.uint32)
    runtime.memcpy_h2d_stride(runtime.get_id("x"), values, 0, 0, 3, 2, 1, 2, 2, **options())
    assert read(runtime, "x", 1).tolist() == [50, 0, 60, 0, 0, 0]


def test_pointers_are_followed_on_every_pe(runtime):
    assert read(runtime, "p", 2).reshape(-1, 2).tolist() == [[1, 2]] * 6
    pointer = runtime._symbols._pointers["p"]["tile:0"]
    runtime._device.sim.write_bytes((0, 0, 1, 1), pointer, np.array([[[0, 0]]], np.uint8))
    assert read(runtime, "p", 1, rect=(0, 0, 1, 1)).tolist() != [1]


def test_launches_follow_each_other(runtime):
    runtime.launch("twice", np.int16(5), nonblock=False)
    task = runtime.call("twice", np.array([0xFFFF], np.uint32), nonblock=True)
    assert runtime.is_task_done(task)
    runtime.task_wait(task)
    assert read(runtime, "x").reshape(-1, 4).tolist() == [[0, 4, 8, 12]] * 6
    assert read(runtime, "seen", 1, data_type=HALVES).astype(np.uint16).view(np.int16).tolist() == [-1] * 6
    runtime.stop()
    assert debug_util("out").get_symbol(4, 2, "x", np.uint32).tolist() == [0, 4, 8, 12]
    assert debug_util("out").get_symbol_rect(((4, 1), (3, 2)), "seen", np.int16).shape == (3, 2, 1)


def test_a_function_that_never_unblocks_is_an_error_not_a_hang(runtime):
    with pytest.raises(DeadlockError, match=r"never called unblock_cmd_stream\(\) on 6 PEs"):
        runtime.launch("never", nonblock=False)
    with pytest.raises(DeadlockError, match="memcpy_d2h"):
        read(runtime, "x")


def test_core_file_serves_a_later_process(runtime):
    from wafersim.sdk import debug

    runtime.dump_core("corefile.cs1")
    runtime.stop()
    debug._sessions.clear()
    assert debug_util("out").get_symbol(5, 1, "x", np.uint32).tolist() == [0, 1, 2, 3]


def test_records_and_table_of_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAFERSIM_RECORD", str(tmp_path / "records"))
    doubling(tmp_path / "out")
    made = SdkRuntime("out")
    made.load()
    made.run()
    made.launch("twice", np.int16(1))
    made.stop()
    import wafersim as ws

    record = ws.Record.load(tmp_path / "records" / "002-launch-twice")
    table = json.loads((tmp_path / "records" / "session.json").read_text())
    kinds = [(entry["kind"], entry["name"]) for entry in table["commands"]]
    assert kinds == [("start", "out"), ("launch", "twice")]
    assert record.cycles == table["commands"][1]["end"] - table["commands"][1]["begin"] > 0
    assert table["arch"] == "wse2-sdk" and table["link_seconds"] > 0


def copy_to(name="x", array=None, rect=(0, 0, WIDTH, HEIGHT), elements=4, **kwargs):
    def call(runtime):
        data = np.zeros(rect[2] * rect[3] * elements, np.uint32) if array is None else array
        number = runtime.get_id(name) if isinstance(name, str) else name
        runtime.memcpy_h2d(number, data, *rect, elements, **(options() | kwargs))

    return call


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (copy_to(array=np.zeros(24, np.float16)), "extend 16-bit data to 32 bits"),
        (copy_to(array=np.zeros(24)), "array of float64 given"),
        (copy_to(array=np.zeros(5, np.uint32)), "5 elements given, 24 wanted"),
        (copy_to(array=np.zeros((4, 6), np.uint32).T), "not contiguous"),
        (copy_to(rect=(1, 0, 3, 2)), "leaves the program's rectangle of 3x2 PEs"),
        (copy_to(elements=0), "at least 1 of each"),
        (copy_to(name="twice"), "is the function 'twice'"),
        (copy_to(name=99), "symbol 99 is nothing"),
        (copy_to(name=None), "None is no symbol"),
        (copy_to(order="rows"), "MemcpyOrder.ROW_MAJOR, MemcpyOrder.COL_MAJOR wanted"),
        (copy_to(blocking=True), "option 'blocking' is unknown"),
        (lambda r: r.launch("twise", 1), "did you mean 'twice'"),
        (lambda r: r.launch("twice"), "argument 'n' is missing"),
        (lambda r: r.launch("twice", 40000), "outside i16"),
        (lambda r: r.read_symbol(0, 0, "y"), "no variable of that name"),
        (lambda r: r.read_symbol(7, 0, "x"), "runs no code"),
        (lambda r: r.send("port", np.zeros(1, np.uint32)), "no input stream"),
    ],
)
def test_mistakes_are_named(runtime, call, words):
    with pytest.raises((ConfigError, ProgramError), match=words):
        call(runtime)


def test_unknown_names_have_no_number(runtime):
    with pytest.warns(UserWarning, match="exports no such name"):
        assert runtime.get_id("xx") is None


def test_order_of_the_session(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    doubling(tmp_path / "out")
    made = SdkRuntime("out", get_platform(None, target=SdkTarget.WSE2))
    with pytest.raises(SimulationError, match="load"):
        made.run()
    with pytest.raises(ConfigError, match="compiled for wse2, the platform is wse3"):
        SdkRuntime("out", get_platform())
    with pytest.raises(ConfigError, match="there is no system here"):
        SdkRuntime("out", cmaddr="10.0.0.1:9000")
    with pytest.raises(ConfigError, match="option 'threads' is unknown"):
        SdkRuntime("out", threads=1)
