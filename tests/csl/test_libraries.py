"""The libraries written in CSL: values of every function on both generations."""

from __future__ import annotations

import numpy as np
import pytest
from tests.csl.library_programs import run

ARCHES = ("wse2", "wse3")


def close(found, expected, ulps=4):
    """Equal but for a few units in the last place; NaN equals NaN."""
    expected = expected.astype(found.dtype)
    with np.errstate(all="ignore"):
        gap = np.abs(found.astype(np.float64) - expected.astype(np.float64))
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        ok = same | (gap <= ulps * np.spacing(np.abs(expected)).astype(np.float64))
    assert ok.all(), (found[~ok], expected[~ok])


@pytest.mark.parametrize("arch", ARCHES)
def test_math(arch):
    x = np.array([1.5, -2.25, 0.0, -0.0, 100.5, -0.001, 3.0, np.inf, np.nan], np.float32)
    y = np.array([2.0, 3.0, 0.5, -1.0, 0.5, 7.0, -2.0, 1.0, 1.0], np.float32)
    ran = run("math", arch, params=f".n = {len(x)}", data={"x": x, "y": y})
    with np.errstate(all="ignore"):
        wide, m = x.astype(np.float64), np.abs(x.astype(np.float64))
        one = [m, np.sign(wide), np.ceil(wide), np.floor(wide), 1 / (1 + np.exp(-wide)), np.tanh(wide)]
        one += [np.cos(wide), np.exp(wide), 1 / wide, np.sin(wide), np.log(m), np.sqrt(m), 1 / np.sqrt(m)]
        close(ran.read("one")[0, 0], np.array(one))
        two = [np.where(np.isnan(x), x, np.maximum(x, y)), np.where(np.isnan(x), x, np.minimum(x, y))]
        two += [m ** y.astype(np.float64), np.ldexp(wide, np.arange(len(x)) * 40 - 160)]
        close(ran.read("two")[0, 0], np.array(two), ulps=8)
        flags = [np.isnan(x), np.isinf(x), np.isfinite(x), np.zeros(len(x)), np.signbit(x)]
        np.testing.assert_array_equal(ran.read("flags")[0, 0], np.array(flags).astype(np.uint16))
        h = x.astype(np.float16).astype(np.float64)
        half = [
            np.abs(h),
            np.sqrt(np.abs(h)),
            np.exp(h),
            np.where(np.isnan(h), h, np.maximum(h, 0.5)),
            h * 4,
            h * h,
        ]
        close(ran.read("half")[0, 0], np.array(half).astype(np.float16), ulps=1)
    assert ran.read("whole")[0, 0].tolist() == [2, 4, -3, -1]


@pytest.mark.parametrize("arch", ARCHES)
def test_values(arch):
    ran = run("values", arch, data={"given": np.array([3.0, 4.0], np.float32)})
    command = [0x924924 | 1, 0x924924 | 1 | 8]  # command fields: advance; advance twice
    assert ran.read("payloads")[0, 0].tolist() == [
        40 << 16,
        payload(command[0], 31),
        2 << 22 | 40 << 16 | 4660,
        payload((1 | 4) | 0 << 3 | (3 | 4) << 6 | 0x924800, 31),
        40 << 16,
        0x09DF9249,
        payload(command[1], 31),
        0xDEAD << 16 | (0xBEEF ^ 0xFFFF),
    ]
    assert ran.read("sums")[0, 0].tolist() == [5.0, 3.0, 1.0, 5.0, 10.0, 5.0]
    # 3 words and one to fill up, 8 bytes, then 4 floats: words 4 .. 11 of 20
    assert ran.read("places")[0, 0].tolist() == [8, 1, 0, 1, 10]


def payload(field, task):
    return (field & 255) << 22 | field >> 8 | task << 16


def u48(words):
    return int(words[0]) | int(words[1]) << 16 | int(words[2]) << 32


@pytest.mark.parametrize("arch", ARCHES)
def test_clock(arch):
    ran = run("clock", arch)
    first, second, after = (u48(stamp) for stamp in ran.read("stamps")[0, 0])
    assert 100 < second - first < 400
    assert 100 <= u48(ran.read("elapsed")[0, 0]) < second - first
    assert after == 0
    assert u48(ran.read("counts")[0, 0]) == 1


@pytest.mark.parametrize("arch", ARCHES)
def test_registers(arch):
    words = run("registers", arch).read("words")[0, 0].tolist()
    n, e, s, w, r = 8, 2, 4, 1, 16
    torn = 1 << 14
    assert words[:3] == [torn | r << 5 | n, torn | w << 5 | e | r, torn | n << 5 | s | r]
    assert words[3] == 1 << 13 | 1 << 12 | 5 << 8 | 0 << 4 | (8 | 4)
    assert words[4] == words[3] & ~(3 << 13)
    assert words[5:7] == [words[2] | 1 << 12, (words[2] | 1 << 12) & ~torn]
    assert words[7:] == [1, 1, 0, 0, 29]


@pytest.mark.parametrize("arch", ARCHES)
def test_traces_and_prints(arch):
    ran = run("traces", arch, width=2)
    buffer, used = (
        ran.read("csl_debug.all.buffer")[0, 1],
        int(ran.read("csl_debug.all.buffer_index")[0, 1][0]),
    )
    expected = [
        ord("H"),
        65000,
        ord("h"),
        0xFFFE,
        ord("I"),
        0x5678,
        0x1234,
        ord("f"),
        0,
        0x3FC0,
        ord("?") | 256,
    ]
    expected += [
        ord("b") | 0xFD00,
        ord("s") | 4 << 8,
        0x6261,
        0x0063,
        ord("i"),
        0xEE90,
        0xFFFE,
        ord("e"),
        0x3800,
    ]
    assert buffer[: len(expected)].tolist() == expected
    assert used == len(expected) + 4 and buffer[len(expected)] == ord("t")
    assert ran.read("csl_debug.small.buffer")[0, 0].tolist() == [ord("I"), 1, 0, 0]
    for x in (0, 1):
        text = "".join(line.text for line in ran.sim.prints() if line.x == x)
        assert text == f"x={x} {{}} 0BEE {5:016b}\n42|0000002A|2.5|{{}}\nPE({x},0): at\n"
    numbers, powers = ran.read("numbers"), ran.read("powers")
    assert (numbers >= -1).all() and (numbers < 2).all() and len(np.unique(numbers)) > 90
    assert powers.max() < 32 and len(np.unique(powers)) > 20
    assert ran.read("seeded").tolist() == [[seeded_words(12345, 4)] * 2]


def seeded_words(seed, count):
    """Pairs of 16 bits of the register of 23 bits, 128 single steps each."""
    state, halves = (seed ^ seed >> 23) & 0x7FFFFF or 1, []
    for _ in range(2 * count):
        for _ in range(128):
            state = state >> 1 ^ (0x420000 if state & 1 else 0)
        halves.append(state & 0xFFFF)
    return [low | high << 16 for low, high in zip(halves[::2], halves[1::2], strict=True)]


@pytest.mark.parametrize("arch", ARCHES)
def test_vector_operations_by_type(arch):
    rng = np.random.default_rng(5)
    a, b = (rng.integers(-20, 20, 6).astype(np.float32) / 4 for _ in range(2))
    h, w = rng.integers(-20, 20, 6).astype(np.float16) / 4, rng.integers(-9, 9, 6).astype(np.int16)
    ran = run("vectors", arch, data={"a": a, "b": b, "h": h, "w": w})
    singles = [a, a + b, a - b, a * 3, a + b * 2, -a, np.maximum(a, b), h.astype(np.float32)]
    np.testing.assert_array_equal(ran.read("singles")[0, 0], np.array(singles))
    mantissa = np.where(h == 0, h, np.frexp(h.astype(np.float64))[0] * 2)
    halves = [a, np.abs(h), h * h, w, mantissa, np.ldexp(h.astype(np.float64), w)]
    np.testing.assert_array_equal(ran.read("halves")[0, 0], np.array(halves).astype(np.float16))
    np.testing.assert_array_equal(ran.read("words")[0, 0], np.array([w, w + w, w - 5, np.trunc(a)], np.int16))


@pytest.mark.parametrize("arch", ARCHES)
def test_surface_of_newer_releases(arch):
    data = np.array([[[1, 2, 3, 4, 5], [0, 0, 0, 0, 0]]], np.uint32)
    ran = run("surface", arch, width=2, params=".place = x", data={"data": data})
    assert ran.read("data")[0].tolist() == [[1, 2, 3, 4, 5]] * 2


# --- collectives -----------------------------------------------------------------------------------------------------

C2D = """
const c2d = @import_module("<collectives_2d/params>");
fn params(x: u16, y: u16) comptime_struct {
  return c2d.get_params(x, y, .{
    .x_colors = .{ @get_color(0), @get_color(1) }, .x_entrypoints = .{ @get_local_task_id(10), @get_local_task_id(11) },
    .y_colors = .{ @get_color(4), @get_color(5) }, .y_entrypoints = .{ @get_local_task_id(12), @get_local_task_id(13) },
  });
}
"""
BROADCAST, SUM, SCATTER, GATHER = range(4)


def expected_targets(plan, source, target, count):
    """What ``source`` and ``target`` hold afterwards, [place, step, words]."""
    source, target, size = source.copy(), target.copy(), len(source)
    for k, (kind, root) in enumerate(plan):
        if kind == BROADCAST:
            source[:, k, :count] = source[root, k, :count]
        elif kind == SUM:
            target[root, k, :count] = source[:, k, :count].view(np.float32).sum(axis=0).view(np.uint32)
        elif kind == SCATTER:
            for place in range(size):
                target[place, k, :count] = source[root, k, place * count : (place + 1) * count]
        else:
            target[root, k] = source[:, k, :count].ravel()
    return source, target


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("axis", [0, 1])
def test_collectives(arch, axis, size):
    """Any order of operations and roots, with no barrier between them."""
    rng = np.random.default_rng(size + 10 * axis)
    steps, count = 14, 3
    plan = [(kind % 4, int(rng.integers(size))) for kind in range(8)]
    plan += [(int(rng.integers(4)), int(rng.integers(size))) for _ in range(steps - len(plan))]
    source = rng.integers(-50, 50, (size, steps, size * count)).astype(np.float32).view(np.uint32)
    target = np.zeros_like(source)
    whole = (lambda a: a[np.newaxis]) if axis == 0 else (lambda a: a[:, np.newaxis])
    numbers = np.array([kind * 256 + root for kind, root in plan], np.uint16)
    ran = run(
        "collectives",
        arch,
        width=size if axis == 0 else 1,
        height=1 if axis == 0 else size,
        params=f".axis = {axis}, .count = {count}, .steps = {steps}, .c2d_params = params(x, y)",
        head=C2D,
        data={"plan": whole(np.tile(numbers, (size, 1))), "source": whole(source), "target": whole(target)},
    )
    for name, expected in zip(
        ("source", "target"), expected_targets(plan, source, target, count), strict=True
    ):
        np.testing.assert_array_equal(ran.read(name).reshape(expected.shape), expected, err_msg=name)


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("shape", [(1, 1), (4, 1), (1, 3), (3, 4)])
def test_tally(arch, shape):
    width, height = shape
    rng = np.random.default_rng(width * 8 + height)
    early, late = (rng.integers(0, 5, (height, width, 1)).astype(np.uint32) for _ in range(2))
    total = int(early.sum() + late.sum())
    head = f"""
    const tally = @import_module("<kernels/tally/layout>", .{{
      .kernel_width = {width}, .kernel_height = {height}, .phase2_tally = {total},
      .colors = [3]color{{ @get_color(1), @get_color(2), @get_color(3) }},
    }});
    """
    ran = run(
        "tally", arch, width=width, height=height, params=".tally_params = tally.get_params(x, y)", head=head,
        data={"early": early, "late": late},
    )  # fmt: skip
    found = ran.read("total")[..., 0]
    assert found[0, width - 1] == total and found.sum() == total
