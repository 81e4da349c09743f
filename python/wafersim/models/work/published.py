"""The decode layer of WaferLLM as its released program has it: padded widths, multi-head, one head wide.

Source: WaferLLM (OSDI'25, arXiv 2502.04563v3), released code; see ``docs/models.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wafersim.errors import ConfigError
from wafersim.models.work.steps import Step, product, vector

#: groups of the K-tree per side of the mesh
GROUPS: Mapping[int, int] = {
    240: 15, 256: 16, 300: 15, 360: 18, 420: 20, 480: 20, 512: 32, 540: 20, 600: 24, 660: 22, 720: 24,
}  # fmt: skip

#: (width, MLP width) of a model -> side of the mesh -> (width, sequence, MLP width) after padding, where
#: the released files list them
PADDED: Mapping[tuple[int, int], Mapping[int, tuple[int, int, int]]] = {
    (4096, 14336): {
        240: (4080, 4080, 14400), 256: (4096, 4096, 14336), 300: (4200, 4200, 14400),
        360: (4320, 4320, 14400), 420: (4200, 4200, 14700), 480: (4320, 4320, 14400),
        512: (4096, 4096, 14336), 540: (4320, 4320, 14580), 600: (4200, 4200, 14400),
        660: (4620, 4620, 14520), 720: (4320, 4320, 14400),
    },
    (8192, 29568): {
        360: (8280, 4320, 29880), 420: (8400, 4200, 29820), 480: (8640, 4320, 29760),
        540: (8640, 4320, 29700), 600: (8400, 4200, 30000), 660: (8580, 4620, 29700),
        720: (8640, 4320, 30240),
    },
}  # fmt: skip

#: (width, MLP width, layers) before padding
SIZES: Mapping[str, tuple[int, int, int]] = {
    "llama-3-8b": (4096, 14336, 32),
    "llama-2-13b": (5120, 13824, 40),
    "codellama-34b": (8192, 22016, 48),
    "qwen2-72b": (8192, 29568, 80),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tile:
    """Widths per PE: hidden, sequence, MLP."""

    dim: int
    seq: int
    ffn: int


def groups(side: int) -> int:
    """Groups of the K-tree on a mesh of that side: as released, else the divisor nearest to the root."""
    if side in GROUPS:
        return GROUPS[side]
    divisors = [g for g in range(2, side) if side % g == 0]
    if not divisors:
        raise ConfigError(
            f"variant published: a side of {side} PEs has no equal groups; use a composite number"
        )
    return min(divisors, key=lambda g: (abs(g - side**0.5), -g))


def tile(hidden: int, ffn: int, side: int, context: int) -> Tile:
    """Widths per PE on a mesh of that side: as the released files list them, else rounded up.

    Parameters
    ----------
    hidden, ffn : int
        Widths of the model.
    side : int
        PEs along each side.
    context : int
        Tokens; the released files are for 4096.
    """
    listed = PADDED.get((hidden, ffn), {}).get(side)
    if listed is not None and context == 4096:
        return Tile(*(value // side for value in listed))
    return Tile(*(-(-value // side) for value in (hidden, context, ffn)))


def steps(tile: Tile, batch: int = 1) -> list[Step]:
    """The eleven operations of the released layer, with its ten all-reduces (7 along y, 3 along x).

    As released: the second norm scales `seq` elements, the activation is applied to `dim` elements of
    the first half, the maximum starts at 0, an exponential is ``(1 + x/256)**4`` by scalar code.
    """
    d, s, f, b = tile.dim, tile.seq, tile.ffn, batch
    half = d // 2
    return [
        vector("norm", 1 + b, d, "y", b, sums=b),
        vector("norm scale", 2 * b, d),
        Step("clear qkv", ops=3, elements=3 * b * d),
        product("qkv", 3 * d, d, b, "y", 3 * b * d),
        vector("rope", 12 * b, half),
        Step("clear score", ops=1, elements=b * s),
        product("score", d, s, b, "x", b * s),
        Step("scale and max", ops=1 + b, elements=b * s, serial=b * s, axis="y", reduced=b),
        vector("exp and sum", 2 * b, s, "y", b, scalars=b * s, sums=b),
        vector("normalize", b, s),
        Step("clear out", ops=1, elements=b * d),
        product("out", s, d, b, "y", b * d),
        Step("clear o", ops=1, elements=b * d),
        product("o", d, d, b, "x", b * d),
        vector("residual and norm", 2 + b, d, "y", b, sums=b),
        vector("norm scale 2", 2 * b, d),
        Step("clear up and gate", ops=2, elements=2 * b * f),
        product("up and gate", 2 * d, f, b, "y", 2 * b * f),
        vector("activation", 1, b * f, scalars=b * d),
        Step("clear down", ops=1, elements=b * d),
        product("down", f, d, b, "x", b * d),
        vector("residual", 1, b * d),
    ]
