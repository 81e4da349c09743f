"""Arguments of ``call`` as typed values; values that the host writes before the start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError
from wafersim.sdk.copies import write_region
from wafersim.sdk.folder import Folder
from wafersim.sdk.symbols import find_array
from wafersim.simulate import values

if TYPE_CHECKING:
    from wafersim.sdk.device import Device

Array = npt.NDArray[Any]


def values_of_words(folder: Folder, function: str, words: Sequence[Any] | Array) -> list[Any]:
    """Values of a function's arguments from 32-bit words, one word each: the low bits of their types."""
    wanted = folder.program.meta.get("functions", {}).get(function, {}).get("args", [])
    given = [int(word) & 0xFFFFFFFF for word in np.asarray(words).reshape(-1).tolist()]
    if len(given) != len(wanted):
        return list(given)  # the launch says which arguments are wanted
    result = []
    for word, (name, kind) in zip(given, wanted, strict=True):
        dtype = values.sram_dtype(kind)
        if dtype.itemsize > 4:
            raise ConfigError(f"{function}: argument {name!r} of type {kind} does not fit a 32-bit word")
        bits = np.frombuffer(word.to_bytes(4, "little")[: dtype.itemsize], dtype)
        result.append(values.decode_bits(bits, kind)[0])
    return result


def write_start_values(device: Device) -> None:
    """Write what a layout made in Python sets before the start."""
    folder = device.folder
    for key, data in folder.start_values.items():
        name, _, place = key.rpartition("@")
        x, y = (int(v) for v in place.split(","))
        height, width = data.shape[:2]
        raw = np.ascontiguousarray(data).view(np.uint8).reshape(height, width, -1)
        addresses = np.empty((height, width), np.int64)
        for row in range(height):
            for col in range(width):
                addresses[row, col], num_bytes = find_array(folder, x + col, y + row, name)
                if num_bytes != raw.shape[2]:
                    raise ConfigError(
                        f"set_symbol_all({name!r}): {raw.shape[2]} bytes per PE given, the variable "
                        f"has {num_bytes}"
                    )
        write_region(device.sim, x, y, addresses, raw)
