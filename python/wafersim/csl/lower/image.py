"""Compile-time values as bytes of SRAM, one image for all PEs or one per PE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.csl import types as ty
from wafersim.csl.comptime.bits import to_bits
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lower.operands import machine_type
from wafersim.csl.values import Choice, FnRef, Ptr, Split, Value
from wafersim.program.scalars import as_stored

if TYPE_CHECKING:
    from wafersim.csl.ast import Span


@dataclass(slots=True)
class Image:
    """Bytes ``[size]`` or ``[pes, size]``, and the addresses and functions in it by byte offset."""

    data: np.ndarray
    addresses: dict[int, Ptr] = field(default_factory=dict)
    functions: dict[int, FnRef] = field(default_factory=dict)

    @property
    def per_pe(self) -> bool:
        return self.data.ndim == 2


def encode(value: Value, type_: ty.Type, span: Span) -> Image:
    """The image of a value of a storable type; raises `CslError` for what SRAM cannot hold."""
    image = Image(np.zeros(type_.size_bytes, np.uint8))
    _put(image, 0, value, type_, span)
    return image


def _write(image: Image, at: int, raw: np.ndarray) -> None:
    """Bytes ``[size]`` or ``[pes, size]`` at an offset."""
    if raw.ndim == 2 and not image.per_pe:
        image.data = np.repeat(image.data[None], len(raw), axis=0)
    image.data[..., at : at + raw.shape[-1]] = raw


def _put(image: Image, at: int, value: Value, type_: ty.Type, span: Span) -> None:
    data = value.data
    if data is None:
        return  # undefined
    if isinstance(data, Choice):
        raise Split(data.index, "an initial value without a column", span)
    if isinstance(type_, ty.Array):
        _put_array(image, at, data, type_, span)
    elif isinstance(type_, ty.Struct):
        _put_struct(image, at, value, type_, span)
    elif isinstance(data, Ptr):
        if isinstance(data.offset, np.ndarray):
            raise Split(data.offset, "an address in an initial value", span)
        image.addresses[at] = data
    elif isinstance(data, FnRef) and isinstance(type_, ty.Pointer):
        image.functions[at] = data
    elif isinstance(data, FnRef):
        raise CslError(
            span, "functions cannot be stored in memory", found=f"{data.name!r}",
            hint="keep it in a const or a param, or its address in a *const fn(...)",
        )  # fmt: skip
    else:
        _write(image, at, scalar_bytes(data, type_, span))


def _put_array(image: Image, at: int, data: Any, type_: ty.Array, span: Span) -> None:
    if data.dtype == object and any(isinstance(x, Value) for x in data.flat):
        size = type_.scalar.size_bytes
        for i, item in enumerate(data.reshape(-1)):
            if item is not None:
                _put(image, at + i * size, item, type_.scalar, span)
        return
    raw = scalar_bytes(data, type_.scalar, span)
    lead = data.shape[: data.ndim - len(type_.shape)]
    _write(image, at, raw.reshape(*lead, type_.size_bytes))


def _put_struct(image: Image, at: int, value: Value, type_: ty.Struct, span: Span) -> None:
    if type_.packed:
        bits = to_bits(value, span)
        bits = bits.tolist() if isinstance(bits, np.ndarray) else bits
        rows = [n.to_bytes(type_.size_bytes, "little") for n in (bits if isinstance(bits, list) else [bits])]
        raw = np.array([list(row) for row in rows], np.uint8)
        _write(image, at, raw if isinstance(bits, list) else raw[0])
        return
    for name, item in value.data.items():
        _put(image, at + type_.offset_of(name), item, type_.fields[name], span)


def scalar_bytes(data: Any, type_: ty.Type, span: Span) -> np.ndarray:
    """Little-endian bytes of a number, a column or an array: one more axis, over the bytes of an element."""
    mtype = machine_type(type_)
    if mtype is None:
        raise CslError(span, f"a value of type {type_} cannot be stored in memory")
    array = np.asarray(data)
    if array.dtype == object:
        array = array.astype(np.uint64 if mtype.name == "U64" else np.int64)
    if array.dtype == bool:
        array = array.astype(np.int64)
    stored = np.ascontiguousarray(as_stored(mtype, array, array.shape, "value"))
    return stored.reshape(-1).view(np.uint8).reshape(*array.shape, stored.dtype.itemsize)
