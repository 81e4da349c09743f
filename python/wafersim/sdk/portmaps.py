"""Maps of tensors onto PEs in the notation of the releases before 1.0, as arguments of host copies.

``{ A[i=0:7][j=0:3] -> [PE[i//2, 0] -> index[i%2, j]] }``: element (i, j) of A goes to PE (i//2, 0), to place
(i%2, j) of its array. Data are wrapped row by row: ``[h][w][elements]``.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wafersim.errors import ConfigError
from wafersim.sdk.utils import memcpy_view

Array = npt.NDArray[Any]
Copy = tuple[int, int, int, int, int, Array]

_MAP = re.compile(
    r"\{\s*\w+\s*(?P<dims>(\[[^\]]*\]\s*)+)->\s*\[\s*PE\s*\[(?P<pe>[^\]]*)\]\s*->\s*index\s*\[(?P<index>[^\]]*)\]\s*\]\s*;?\s*\}"
)
_DIMENSION = re.compile(r"^\s*(\w+)\s*=\s*(-?\d+)(?:\s*:\s*(-?\d+(?:\s*[-+]\s*\d+)*))?\s*$")
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Div: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip


@dataclass(frozen=True)
class PortMap:
    """Where the elements of a tensor go: its shape, the rectangle of PEs, elements per PE, and all places."""

    shape: tuple[int, ...]
    rect: tuple[int, int, int, int]
    elements: int
    places: Array  # flat place of each element in [h][w][elements]

    @classmethod
    def parse(cls, text: str) -> PortMap:
        """Read a map.

        Raises
        ------
        ConfigError
            The text is no map, or two elements go to one place.
        """
        found = _MAP.fullmatch(text.strip())
        if found is None:
            raise ConfigError(f"port map {text!r}: {{ A[i=0:7] -> [PE[x, y] -> index[k]] }} wanted")
        names, shape = _dimensions(found["dims"], text)
        values = dict(zip(names, np.indices(shape), strict=True))
        pe = [_number(part, values, text) for part in found["pe"].split(",")]
        local = [_number(part, values, text) for part in found["index"].split(",")]
        if len(pe) != 2:
            raise ConfigError(f"port map {text!r}: PE[x, y] wanted")
        (px, w), (py, h) = _range(pe[0]), _range(pe[1])
        elements, index = 1, np.zeros(shape, np.int64)
        for part in local:
            low, extent = _range(part)
            index = index * extent + (part - low)
            elements *= extent
        places = ((pe[1] - py) * w + (pe[0] - px)) * elements + index
        places = np.broadcast_to(places, shape)
        if np.unique(places).size != places.size:
            raise ConfigError(f"port map {text!r}: two elements go to one place of one PE")
        return cls(shape, (px, py, w, h), elements, places)


def convert_input_tensor(iport_map: str, np_arr: Array, sentinel: int | None = None) -> Copy:
    """Arguments ``(px, py, w, h, l, data)`` of a copy to the device, from a map and a tensor."""
    port = PortMap.parse(iport_map)
    array = np.asarray(np_arr)
    if array.size != port.places.size or array.dtype.itemsize not in (2, 4):
        raise ConfigError(
            f"convert_input_tensor: {array.dtype} of shape {array.shape} given, 16- or 32-bit numbers "
            "of shape "
            f"{port.shape} wanted"
        )
    bits = np.ascontiguousarray(array).reshape(-1).view(f"<u{array.dtype.itemsize}")
    data = np.zeros(port.rect[2] * port.rect[3] * port.elements, np.uint32)
    data[port.places.reshape(-1)] = bits
    return (*port.rect, port.elements, data)


def prepare_output_tensor(oport_map: str, dtype: npt.DTypeLike) -> Copy:
    """Arguments ``(px, py, w, h, l, data)`` of a copy from the device; ``data`` has a word per element."""
    port = PortMap.parse(oport_map)
    return (*port.rect, port.elements, np.zeros(port.rect[2] * port.rect[3] * port.elements, np.uint32))


def format_output_tensor(oport_map: str, dtype: npt.DTypeLike, data: Array) -> Array:
    """The tensor of a map from the data that `prepare_output_tensor` made room for."""
    port = PortMap.parse(oport_map)
    words = np.asarray(data).reshape(-1).view(np.uint32)
    return memcpy_view(words, dtype)[port.places.reshape(-1)].reshape(port.shape).copy()


def _dimensions(text: str, whole: str) -> tuple[list[str], tuple[int, ...]]:
    names, shape = [], []
    for part in re.sub(r"\]\s*\[", ",", text.strip())[1:-1].split(","):
        found = _DIMENSION.match(part)
        # `j=0` stands for `j=0:0`
        last = -1 if found is None else int(_number(found[3] or found[2], {}, whole))
        if found is None or int(found[2]) != 0 or last < 0:
            raise ConfigError(f"port map {whole!r}: {part.strip()!r}: NAME=0:LAST wanted")
        names.append(found[1])
        shape.append(last + 1)
    return names, tuple(shape)


def _range(values: Any) -> tuple[int, int]:
    low, high = int(np.min(values)), int(np.max(values))
    return low, high - low + 1


def _number(text: str, values: dict[str, Array], whole: str) -> Any:
    """An expression of dimensions and numbers; ``/`` of whole numbers rounds down."""
    try:
        tree = ast.parse(text.replace(" mod ", " % ").strip(), mode="eval")
        return _walk(tree.body, values)
    except (SyntaxError, KeyError, ValueError, ZeroDivisionError):
        raise ConfigError(
            f"port map {whole!r}: {text.strip()!r} is no whole number of {list(values)}"
        ) from None


def _walk(node: ast.expr, values: dict[str, Array]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name):
        return values[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_walk(node.operand, values)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_walk(node.left, values), _walk(node.right, values))
    raise ValueError(ast.dump(node))
