"""The functions of the host scripts' ``sdk_utils``: views, packing, time stamps, launch signatures."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError

Array = npt.NDArray[Any]
Signatures = dict[str, tuple[list[str], list[str]]]

_PRIMITIVES = ("bool", "i8", "u8", "i16", "u16", "i32", "u32", "f16", "f32")


def memcpy_view(arr: Array, datatype: npt.DTypeLike) -> Array:
    """View of an array of 32-bit words as numbers of 1, 2 or 4 bytes: the low bytes of every word.

    Writing to the view writes to ``arr``.
    """
    dtype = np.dtype(datatype)
    if arr.dtype.itemsize != 4:
        raise ConfigError(f"memcpy_view: array of {arr.dtype} given, elements of 4 bytes wanted")
    if dtype.itemsize not in (1, 2, 4):
        raise ConfigError(f"memcpy_view: view as {dtype} wanted; 1, 2 or 4 bytes are possible")
    parts = arr.view(dtype).reshape(*arr.shape, 4 // dtype.itemsize) if arr.ndim else arr.view(dtype)
    view: Array = parts[..., 0]
    return view


def input_array_to_u32(np_arr: Array, sentinel: int | None, fast_dim_sz: int) -> Array:
    """A flat array as 32-bit words to send.

    Parameters
    ----------
    np_arr : 1-D array of 2- or 4-byte numbers
    sentinel : int or None
        None: the high half of a word is 0; otherwise it is the element's index in the innermost dimension.
    fast_dim_sz : int
        Size of the innermost dimension.
    """
    if np_arr.ndim != 1:
        raise ConfigError(f"input_array_to_u32: flat array wanted, shape {np_arr.shape} given")
    if np_arr.dtype.itemsize == 4:
        return np_arr.view(np.uint32)
    if np_arr.dtype.itemsize != 2:
        raise ConfigError(f"input_array_to_u32: {np_arr.dtype} given; elements of 2 or 4 bytes are possible")
    words = np_arr.view(np.uint16).astype(np.uint32)
    if sentinel is not None:
        words |= ((np.arange(words.size) % fast_dim_sz) & 0xFFFF).astype(np.uint32) << 16
    return words


def output_array_from_u32(words: Array, dtype: Any) -> Array:
    """The elements of received 32-bit words: all bits, or the low halves for a type of 2 bytes (SDK 0.9)."""
    kind = np.dtype(dtype)
    if kind.itemsize == 4:
        return words.view(kind)
    if kind.itemsize != 2:
        raise ConfigError(f"output_array_from_u32: {kind} given; elements of 2 or 4 bytes are possible")
    return (words & 0xFFFF).astype(np.uint16).view(kind)


def cast_uint32(x: Any) -> Any:
    """The bits of a number (or array) of at most 32 bits as ``uint32``."""
    if isinstance(x, bool | int):
        return np.uint32(int(x) & 0xFFFFFFFF)
    value = np.asarray(np.float32(x) if isinstance(x, float) else x)
    if value.dtype.itemsize == 2:
        bits = value.view(np.uint16).astype(np.uint32)
    elif value.dtype.itemsize == 4:
        bits = value.view(np.uint32)
    else:
        raise ConfigError(f"cast_uint32: {value.dtype} given; numbers of 16 or 32 bits are possible")
    return bits if value.ndim else np.uint32(bits)


def float_to_hex(f: Any) -> str:
    """Hexadecimal text of the bits of a 32-bit float."""
    return hex(struct.unpack("<I", struct.pack("<f", f))[0])


def make_u48(words: Sequence[Any] | Array) -> np.int64:
    """Three 16-bit words, low first, as one number."""
    low, middle, high = (int(word) for word in words[:3])
    return np.int64(low + (middle << 16) + (high << 32))


def sub_ts(words: Sequence[Any] | Array) -> np.int64:
    """Cycles between two time stamps of three 16-bit words each, the earlier first."""
    return np.int64(make_u48(words[3:]) - make_u48(words[:3]))


def calculate_cycles(timestamp_buf: Array) -> np.int64:
    """Cycles between the two time stamps in three 32-bit words: six 16-bit words, low first."""
    words = np.ascontiguousarray(timestamp_buf)[:3]
    if words.dtype.itemsize != 4 or words.size < 3:
        raise ConfigError(
            f"calculate_cycles: {timestamp_buf.size} x {timestamp_buf.dtype} given, 3 words of 4 bytes wanted"
        )
    return sub_ts(words.reshape(-1).view("<u2"))


def is_valid_primitive_type(para_type: str) -> bool:
    """Whether arguments of launched functions may have this type."""
    return para_type in _PRIMITIVES


def parse_host_callable_api(rpc_symbols: Sequence[Mapping[str, Any]]) -> Signatures:
    """Function name -> (names, types) of its arguments, from the entries of ``out_rpc.json``."""
    return {
        str(entry["name"]): (
            [str(argument["name"]) for argument in entry["inputs"]],
            [str(argument["type"]) for argument in entry["inputs"]],
        )
        for entry in rpc_symbols
        if entry.get("kind") == "Func"
    }


def get_api_info_dict_from_json(json_path: str | Path) -> Signatures:
    """As `parse_host_callable_api`, from a file."""
    return parse_host_callable_api(json.loads(Path(json_path).read_text())["rpc_symbols"])


def get_api_info_dict(app_path: str | Path) -> Signatures:
    """As `parse_host_callable_api`, from an output folder."""
    return get_api_info_dict_from_json(Path(app_path) / "out_rpc.json")


def check_rpc_api(name: str, arg_list: Sequence[Any], api_info_dict: Signatures) -> bool:
    """True if the arguments fit the function; raises otherwise."""
    if name not in api_info_dict:
        raise ConfigError(
            f"function {name!r} is not exported; there are: {', '.join(api_info_dict) or 'none'}"
        )
    names, _ = api_info_dict[name]
    if len(names) != len(arg_list):
        raise ConfigError(f"{name}: {len(arg_list)} arguments given, {len(names)} wanted")
    return True


def getOutputNameFromCompileOptions(option_list: Sequence[str]) -> str:
    """The value of ``-o`` in a command line of the compiler; ``out`` if there is none."""
    options = list(option_list)
    for number, option in enumerate(options):
        if option == "-o" and number + 1 < len(options):
            return options[number + 1]
        if option.startswith("-o") and len(option) > 2:
            return option[2:].removeprefix("=")
    return "out"
