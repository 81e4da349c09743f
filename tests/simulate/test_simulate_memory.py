"""Typed reads and writes over rectangles, against plain NumPy memory in place of the core."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.errors import ConfigError, ProgramError
from wafersim.simulate.memory import SymbolTable


class PlainMemory:
    """The core's SRAM interface on one NumPy array."""

    def __init__(self, width, height, size=256):
        self.bytes = np.zeros((height, width, size), np.uint8)
        self.calls = 0

    def write(self, x, y, w, h, address, data):
        assert data.shape[:2] == (h, w)
        assert data.flags.c_contiguous
        self.calls += 1
        self.bytes[y : y + h, x : x + w, address : address + data.shape[2]] = data

    def read(self, x, y, w, h, address, size):
        self.calls += 1
        return self.bytes[y : y + h, x : x + w, address : address + size].copy()


def table(tile_map, **symbols):
    meta = {
        name: {
            f"tile:{tile}": {"address": address, "type": kind, "shape": shape}
            for tile, address in tiles.items()
        }
        for name, (kind, shape, tiles) in symbols.items()
    }
    return SymbolTable(meta, np.asarray(tile_map, np.int32))


WHOLE = np.zeros((3, 5), np.int32)


@pytest.mark.parametrize("kind", ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f16", "f32"])
def test_round_trip_of_every_type(kind):
    memory, symbols = PlainMemory(5, 3), table(WHOLE, x=(kind, [2, 3], {0: 16}))
    rng = np.random.default_rng(1)
    value = rng.integers(0, 100, (3, 5, 2, 3)).astype(
        {"f16": "f2", "f32": "f4"}.get(kind, f"{kind[0]}{int(kind[1:]) // 8}")
    )
    symbols.write(memory, "x", value, None)
    result = symbols.read(memory, "x", None)
    assert result.dtype == value.dtype
    assert np.array_equal(result, value)
    assert memory.calls == 2
    assert memory.bytes[..., :16].sum() == 0


@pytest.mark.parametrize(("kind", "step"), [("bf16", 2.0**-8), ("cb16", 2.0**-10)])
def test_short_floats_round_to_nearest_even(kind, step):
    memory, symbols = PlainMemory(2, 1), table([[0, 0]], x=(kind, [3], {0: 0}))
    symbols.write(memory, "x", np.array([1 + step, 1 + 3 * step, 1 + 1.01 * step], np.float64), None)
    assert symbols.read(memory, "x", None)[0, 1].tolist() == [1.0, 1 + 4 * step, 1 + 2 * step]
    assert memory.bytes[0, 0, :6].view("<u2")[0] == {"bf16": 0x3F80, "cb16": 0x5400}[kind]


@pytest.mark.parametrize("kind", ["bf16", "cb16"])
def test_every_short_float_survives(kind):
    from wafersim.simulate import values

    words = np.arange(65536, dtype="<u2")
    decoded = values.decode_bits(words, kind)
    again = values.encode_bits(decoded, kind)
    numbers = ~np.isnan(decoded)
    assert np.array_equal(again[numbers], words[numbers])
    assert np.isnan(values.decode_bits(again[~numbers], kind)).all()


def test_one_value_for_all_and_one_array_for_all():
    memory, symbols = PlainMemory(5, 3), table(WHOLE, x=("i16", [2], {0: 4}))
    symbols.write(memory, "x", 7, None)
    assert (symbols.read(memory, "x", None) == 7).all()
    symbols.write(memory, "x", [1, 2], (1, 1, 2, 1))
    result = symbols.read(memory, "x", None)
    assert result[1, 1].tolist() == result[1, 2].tolist() == [1, 2]
    assert result[1, 3].tolist() == [7, 7]


def test_x_is_the_column():
    memory, symbols = PlainMemory(5, 3), table(WHOLE, x=("i16", [1], {0: 0}))
    symbols.write(memory, "x", 9, (4, 0, 1, 1))
    assert np.argwhere(symbols.read(memory, "x", None)[..., 0]).tolist() == [[0, 4]]


def test_a_word_takes_an_array_over_the_grid():
    memory, symbols = PlainMemory(5, 3), table(WHOLE, n=("i16", [1], {0: 0}))
    symbols.write(memory, "n", np.arange(15).reshape(3, 5), None)
    assert symbols.read(memory, "n", None)[2, 3, 0] == 13


def test_tiles_with_the_array_at_different_addresses():
    corners = np.array([[0, 1, 1, 1, 2], [3, 4, 4, 4, 5], [3, 4, 4, 4, 5]], np.int32)
    places = {tile: 8 * tile for tile in range(6)}
    memory, symbols = PlainMemory(5, 3), table(corners, x=("u16", [2], places))
    value = np.arange(30).reshape(3, 5, 2)
    symbols.write(memory, "x", value, None)
    assert np.array_equal(symbols.read(memory, "x", None), value)
    assert memory.bytes[2, 4, 40:44].view("<u2").tolist() == [28, 29]
    assert memory.calls == 12  # six rectangles each way, not fifteen PEs


def test_pes_without_the_symbol():
    holes = np.array([[0, 0, -1], [0, 1, 0]], np.int32)
    memory, symbols = PlainMemory(3, 2), table(holes, x=("u16", [1], {0: 2}))
    assert symbols.rectangle("x") == (0, 0, 3, 2)
    symbols.write(memory, "x", 5, None)  # one number for all that have it
    assert memory.bytes[..., 2].tolist() == [[5, 5, 0], [5, 0, 5]]
    with pytest.raises(ProgramError, match=r"PE \(2, 0\) has none; name a rect") as caught:
        symbols.read(memory, "x", None)
    assert caught.value.pe == (2, 0)
    with pytest.raises(ProgramError, match=r"PE \(1, 1\) has none; choose a smaller"):
        symbols.write(memory, "x", np.zeros((1, 2, 1)), (1, 1, 2, 1))
    assert symbols.read(memory, "x", (0, 0, 2, 1)).tolist() == [[[5], [5]]]


MISTAKES = {
    "unknown symbol": (("xx", 1, None), r"'xx' is not exported by the program; did you mean 'x'"),
    "unlike symbol": (("banana", 1, None), "exported: x"),
    "wrong shape": (("x", np.zeros((3, 5, 3)), None), r"shape \[3, 5, 3\] given; .* \[2\] .* 3x5x2"),
    "swapped axes": (("x", np.zeros((5, 3, 2)), None), r"3x5x2 \(\[height, width"),
    "fraction": (("x", 1.5, None), "fractions"),
    "NaN": (("x", float("nan"), None), "NaN"),
    "too large": (("x", 40000, None), r"40000 is outside i16 \(-32768 .. 32767\)"),
    "too small": (("x", [-40000, 1], None), "-40000 is outside"),
    "huge": (("x", 10**30, None), "dtype object"),
    "text": (("x", "seven", None), "numbers of type i16 wanted"),
    "ragged": (("x", [[1], [2, 3]], None), "not an array of numbers"),
    "complex": (("x", 1j, None), "dtype complex128"),
    "none": (("x", None, None), "dtype object"),
    "rect outside": (("x", 1, (3, 0, 3, 1)), r"x=3 y=0 3x1 leaves the 5x3 grid"),
    "rect negative": (("x", 1, (-1, 0, 1, 1)), "leaves the 5x3 grid"),
    "rect empty": (("x", 1, (0, 0, 0, 1)), "leaves the 5x3 grid"),
    "rect of three": (("x", 1, (0, 0, 1)), r"rect must be \(x, y, width, height\)"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes(what):
    (name, value, rect), message = MISTAKES[what]
    memory, symbols = PlainMemory(5, 3), table(WHOLE, x=("i16", [2], {0: 0}))
    with pytest.raises((ConfigError, ProgramError), match=message) as caught:
        symbols.write(memory, name, value, rect)
    assert "\n" not in str(caught.value)
    assert memory.bytes.sum() == 0


def test_floats_that_do_not_fit_are_refused_and_infinity_is_allowed():
    memory, symbols = PlainMemory(5, 3), table(WHOLE, h=("f16", [1], {0: 0}), b=("cb16", [1], {0: 8}))
    for name in ("h", "b"):
        with pytest.raises(ConfigError, match="1e\\+30 is too large for"):
            symbols.write(memory, name, 1e30, None)
        symbols.write(memory, name, float("-inf"), None)
        assert (symbols.read(memory, name, None) == -np.inf).all()
        symbols.write(memory, name, float("nan"), None)
        assert np.isnan(symbols.read(memory, name, None)).all()


def test_a_large_broadcast_is_written_in_pieces(monkeypatch):
    from wafersim.simulate import memory as module

    monkeypatch.setattr(module, "_CHUNK_BYTES", 40)
    memory, symbols = PlainMemory(5, 3), table(WHOLE, x=("u32", [2], {0: 0}))
    symbols.write(memory, "x", 3, None)
    assert memory.calls == 3
    assert (symbols.read(memory, "x", None) == 3).all()
