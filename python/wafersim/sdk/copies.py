"""Host arrays to words per PE and back; SRAM of a region of PEs whose symbol lies at different addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError
from wafersim.sdk.types import MemcpyDataType, MemcpyOrder
from wafersim.simulate.memory import rectangles

if TYPE_CHECKING:
    from wafersim.sdk.machine import Machine

Array = npt.NDArray[Any]

ELEMENT_BYTES = {MemcpyDataType.MEMCPY_16BIT: 2, MemcpyDataType.MEMCPY_32BIT: 4}


def host_words(array: Any, count: int, what: str) -> Array:
    """A host array as a flat view of 32-bit words.

    Raises
    ------
    ConfigError
        The array is not contiguous, its elements do not have 4 bytes, or there are too few or too many.
    """
    if not isinstance(array, np.ndarray):
        raise ConfigError(f"{what}: a NumPy array wanted, {type(array).__name__} given")
    if array.dtype.itemsize != 4 or array.dtype.kind not in "iuf":
        hint = "; extend 16-bit data to 32 bits (sdk_utils.input_array_to_u32 or memcpy_view)"
        raise ConfigError(
            f"{what}: array of {array.dtype} given; the host's elements are int32, uint32 or float32"
            f"{hint if array.dtype.itemsize == 2 else ''}"
        )
    if not array.flags.c_contiguous:
        raise ConfigError(
            f"{what}: the array is not contiguous (a transposed or strided view?); copy it first"
        )
    if array.size != count:
        raise ConfigError(
            f"{what}: {array.size} elements given, {count} wanted (width x height x elements per PE)"
        )
    words: Array = array.reshape(-1).view(np.uint32)
    return words


def unwrap(words: Array, shape: tuple[int, int, int], order: MemcpyOrder) -> Array:
    """Flat words as ``[h, w, elements]``; a view, so that writing to it writes to the host's array."""
    return words.reshape(shape, order="F" if order is MemcpyOrder.COL_MAJOR else "C")


def to_bytes(words: Array, data_type: MemcpyDataType) -> Array:
    """Words ``[h, w, n]`` as the bytes ``[h, w, bytes]`` that lie in SRAM."""
    height, width, _ = words.shape
    kept = words.astype("<u2") if ELEMENT_BYTES[data_type] == 2 else words.astype("<u4")
    return np.ascontiguousarray(kept).view(np.uint8).reshape(height, width, -1)


def from_bytes(raw: Array, data_type: MemcpyDataType) -> Array:
    """Inverse of `to_bytes`; the upper half of a word with a 16-bit element is 0."""
    height, width, _ = raw.shape
    kind = "<u2" if ELEMENT_BYTES[data_type] == 2 else "<u4"
    return np.ascontiguousarray(raw).view(kind).reshape(height, width, -1).astype(np.uint32)


def checksum(words: Array) -> int:
    """CRC-32 of the words in order, for the session's table."""
    return crc32(words.tobytes())


def write_region(sim: Machine, x: int, y: int, addresses: Array, raw: Array) -> None:
    """Write ``raw`` [h, w, bytes] from PE (x, y) on, on each PE at its address."""
    for address, rx, ry, rw, rh in _alike(addresses):
        sim.write_bytes((x + rx, y + ry, rw, rh), address, raw[ry : ry + rh, rx : rx + rw])


def read_region(sim: Machine, x: int, y: int, addresses: Array, num_bytes: int) -> Array:
    """Bytes [h, w, num_bytes] from PE (x, y) on, on each PE from its address on."""
    height, width = addresses.shape
    raw = np.empty((height, width, num_bytes), np.uint8)
    for address, rx, ry, rw, rh in _alike(addresses):
        part = sim.read_bytes((x + rx, y + ry, rw, rh), address, num_bytes)
        raw[ry : ry + rh, rx : rx + rw] = part
    return raw


def _alike(addresses: Array) -> Iterator[tuple[int, int, int, int, int]]:
    """Rectangles (address, x, y, w, h) of one address each."""
    distinct, ids = np.unique(addresses, return_inverse=True)
    for number, rx, ry, rw, rh in rectangles(ids.reshape(addresses.shape)):
        yield int(distinct[number]), rx, ry, rw, rh
