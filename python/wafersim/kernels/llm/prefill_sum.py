"""The released prefill layer on a large mesh, from its distinct sections on small ones.

In a MeshGEMM and in a GEMM-T every PE does the same in every step and waits for ring neighbors only, and a
step's time does not depend on the mesh: a product takes ``first + step P`` cycles on P x P PEs, an alignment
likewise.  So each distinct product, with the tiles of the large mesh, is simulated on two small meshes;
norms and softmax, whose chains run along a whole row, on one row of the large mesh.

What the products' own times lack is their place: the task that starts the sections looks for the next one
from the first on, so a section takes the longer the later it comes, and a run of a part, which holds fewer
sections, finds each sooner than the whole layer.  A fourth run has the starts alone, of the whole and of each
part, with nothing in the sections: what a section takes at its place in the layer is what it takes in its
part, plus the difference of these two starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

#: sections in the order of the released program
ORDER = (
    "norm", "align", "q", "k", "v", "rope", "rope", "score", "softmax", "align_score", "out", "align", "o",
    "norm", "align", "up", "gate", "activation", "align_ffn", "down", "residual",
)  # fmt: skip
#: a section that stands for others of its shape
SAME = {"k": "q", "v": "q", "o": "q", "gate": "up"}
COUNTS = Counter(SAME.get(name, name) for name in ORDER)
LOCAL = ("norm", "rope", "softmax", "activation", "residual")
PRODUCTS = tuple(name for name in COUNTS if name not in LOCAL)
#: lists of sections that run one after the other; ``part`` of the kernel can be one of them, or `STARTS`
PARTS: Mapping[str, tuple[str, ...]] = {"whole": ORDER, "products": PRODUCTS, "local": LOCAL}
STARTS = "starts"
#: the grid of a run of `STARTS`: a PE for each list
STARTS_GRID = (len(PARTS), 1)
#: the small meshes: even sides whose half is even, as all published ones
SMALL_SIDES = (8, 12)


def start_key(part: str, place: int) -> str:
    """The metric of a run of `STARTS` with the cycles from one empty section of a list to the next."""
    return f"{part}_{place}_cycles"


def layer_cycles(
    side: int,
    small: Mapping[str, float],
    large: Mapping[str, float],
    row: Mapping[str, float],
    starts: Mapping[str, float],
) -> float:
    """Cycles of the layer on ``side`` x ``side`` PEs.

    Parameters
    ----------
    side : int
        PEs along each side.
    small, large : mapping
        Metrics ``NAME_cycles`` of the sections `PRODUCTS` on meshes of `SMALL_SIDES`.
    row : mapping
        The same of the sections `LOCAL` on a row of ``side`` PEs.
    starts : mapping
        Metrics of a run of `STARTS`, see `start_key`.
    """
    first, second = SMALL_SIDES
    total = 0.0
    for place, section in enumerate(ORDER):
        name = SAME.get(section, section)
        key, part = f"{name}_cycles", "local" if name in LOCAL else "products"
        if part == "local":
            total += row[key]
        else:
            step = (large[key] - small[key]) / (second - first)
            total += large[key] + step * (side - second)
        alone = start_key(part, PARTS[part].index(name))
        total += starts[start_key("whole", place)] - starts[alone]
    return total
