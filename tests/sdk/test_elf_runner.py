"""`CSELFRunner`: programs without host copies, whose tensors enter and leave at the rectangle's edge."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.errors import ConfigError, DeadlockError
from wafersim.sdk.cslc import compile_command
from wafersim.sdk.elf_runner import CSELFRunner, ELFMemory, read_trace

# One PE of a row doubles what comes from the west and sends it east; the end of the data starts `total`.
SOURCE = """
const trace = @import_module("<debug>", .{ .buffer_size = 40 });
const numbers = @import_module("<debug>", .{ .buffer_size = 40 });
param data: color = @get_color(2);
param out: color = @get_color(3);
const end = @get_color(45);
const scale: i16 = 2;
export var factor: i16 = 1;
var sum: i16 = 0;
const port = @get_dsd(fabout_dsd, .{ .fabric_color = out, .extent = 1 });
task each(x: i16, index: i16) void {
  sum += scale * factor * x;
  trace.trace_i16(x);
  numbers.trace_i16(index);
}
task total() void { @mov16(port, sum); }
comptime {
  @bind_task(each, data);
  @bind_task(total, end);
}
layout {
  @set_rectangle(1, 3);
  for ([3]i16{ 0, 1, 2 }) |y| {
    @set_tile_code(0, y);
    @set_color_config(0, y, data, .{ .routes = .{ .rx = .{ WEST }, .tx = .{ RAMP } } });
    @set_color_config(0, y, out, .{ .routes = .{ .rx = .{ RAMP }, .tx = .{ EAST } } });
  }
}
"""
INPUT = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.int16)
IN_MAP = "{ x[i=0:2, j=0:3-1] -> [PE[-1, i] -> index[j]] }"
OUT_MAP = "{ y[i=0:2] -> [PE[1, i] -> index[i]] }"


@pytest.fixture
def runner(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.csl").write_text(SOURCE)
    arguments = [
        "code.csl",
        "--arch=wse2",
        "--sdk=0.x",
        "--fabric-dims=3,5",
        "--fabric-offsets=1,1",
        "-o",
        "out",
    ]
    compile_command(arguments)
    return CSELFRunner(sorted(tmp_path.glob("out/bin/out_[0-9]*.elf")), cmaddr=None)


def test_tensors_by_map(runner):
    runner.add_input_tensor(2, IN_MAP, INPUT, sentinel=45)
    runner.add_output_tensor(3, OUT_MAP, np.int16)
    runner.set_symbol_rect("factor", np.array([[1, 10, 100]], np.int16), offset=(1, 1))
    runner.connect_and_run()
    assert runner.out_tensor_dict["y"].tolist() == [12, 300, 4800]
    assert runner.get_symbol(1, 2, "sum", np.int16).tolist() == [300]
    assert runner.get_symbol_rect(((1, 1), (1, 3)), "factor", np.int16).tolist() == [[[1], [10], [100]]]
    assert read_trace(runner, 1, 3, "trace") == [7, 8, 9]
    assert read_trace(runner, 1, 3, "numbers") == [0, 1, 2]
    assert list(ELFMemory("out/bin/out_0_0.elf").iter_coordinates()) == [(1, 1), (1, 2), (1, 3)]


def test_arrays_by_side(runner):
    runner.add_input_array("x", 2, "W", INPUT[1:], sentinel=45, first=1)
    runner.add_input_tensor(2, ("WEST", 0), INPUT[0], sentinel=45)
    runner.add_output_array("y", 3, "E", np.zeros((3, 1), np.int16))
    runner.connect_and_run()
    assert runner.out_tensor_dict["y"].tolist() == [[12], [30], [48]]


def test_an_output_that_does_not_come(runner):
    runner.add_input_tensor(2, IN_MAP, INPUT)
    runner.add_output_tensor(3, OUT_MAP, np.int16)
    with pytest.raises(DeadlockError, match="output 'y': 0 wavelets of color 3"):
        runner.connect_and_run()


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (
            lambda r: r.add_output_tensor(3, OUT_MAP.replace("1, i", "2, i"), np.int16),
            r"PE\[2, 0\] is not beside",
        ),
        (lambda r: r.add_output_array("y", 3, "E", np.zeros((4, 1), np.int16)), "4 rows from PE 0"),
        (lambda r: r.add_input_tensor(2, IN_MAP, INPUT[:2]), r"of shape \(2, 3\) given, 9 numbers"),
        (lambda r: r.set_symbol(1, 1, "factor", np.zeros(2, np.int16)), "4 bytes given, the variable has 2"),
        (
            lambda r: (r.add_output_array("y", 4, "E", INPUT), r.connect_and_run()),
            "no route of color 4 to the EAST",
        ),
    ],
)
def test_what_is_wrong(runner, act, text):
    with pytest.raises(ConfigError, match=text):
        act(runner)


def test_without_elf_files():
    with pytest.raises(ConfigError, match="no ELF paths"):
        CSELFRunner([])
