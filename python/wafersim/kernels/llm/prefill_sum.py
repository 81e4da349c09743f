"""The released prefill layer on a large mesh, from its distinct sections on small ones.

In a MeshGEMM and in a GEMM-T every PE does the same in every step and waits for ring neighbors only, and a
step's time does not depend on the mesh: a product takes ``first + step P`` cycles on P x P PEs, an alignment
likewise.  So each distinct product, with the tiles of the large mesh, is simulated on two small meshes;
norms and softmax, whose chains run along a whole row, on one row of the large mesh.
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
#: what ``part`` of the kernel can be, and its sections
PARTS: Mapping[str, tuple[str, ...]] = {"whole": ORDER, "products": PRODUCTS, "local": LOCAL}
#: the small meshes: even sides whose half is even, as all published ones
SMALL_SIDES = (8, 12)


def layer_cycles(
    side: int, small: Mapping[str, float], large: Mapping[str, float], row: Mapping[str, float]
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
    """
    first, second = SMALL_SIDES
    total = 0.0
    for name, count in COUNTS.items():
        key = f"{name}_cycles"
        if name in LOCAL:
            total += count * row[key]
        else:
            step = (large[key] - small[key]) / (second - first)
            total += count * (large[key] + step * (side - second))
    return total
