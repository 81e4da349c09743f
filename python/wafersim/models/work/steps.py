"""A decode layer as a list of steps: local vector work, then an all-reduce; the same list everywhere.

The machine program of a layer, its counters and the time of layers that are not simulated are all made
from this list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wafersim.models.work.mesh import Mesh, Tree, wavelets


@dataclass(frozen=True, slots=True)
class Step:
    """Work of one PE and the all-reduce that follows it.

    Attributes
    ----------
    ops, elements : int
        Vector ops and the elements in all of them; of `ops`, `mapped` are steps of a product.
    mapped : int
        Multiply-add ops of a product (one per row of the tile).
    macs : int
        Multiply-adds in them.
    scalars : int
        Elements that scalar code handles one by one.
    serial : int
        Elements that vector ops reduce to one value; not in `elements`.
    singles : int
        Elements of ops in fp32; not in `elements`.
    calls : int
        Products of one sequence with one tile.
    axis : str
        Line of the all-reduce: "x", "y", "group" (part of a row) or "" (none).
    reduced : int
        16-bit elements that are reduced.
    span : int
        PEs in a line, for "group".
    """

    name: str
    ops: int = 0
    elements: int = 0
    mapped: int = 0
    macs: int = 0
    scalars: int = 0
    serial: int = 0
    singles: int = 0
    calls: int = 0
    axis: str = ""
    reduced: int = 0
    span: int = 0

    def tree(self, mesh: Mesh) -> Tree | None:
        """The all-reduce of this step, None if there is none or the line is one PE."""
        if self.axis == "x":
            return mesh.tree_x if mesh.width > 1 else None
        if self.axis == "y":
            return mesh.tree_y if mesh.height > 1 else None
        if self.axis == "group" and self.span > 1:
            return Tree(self.span, 1)
        return None


def product(
    name: str, rows: int, columns: int, batch: int, axis: str = "", reduced: int = 0, span: int = 0,
    calls: int = 1,
) -> Step:  # fmt: skip
    """Vector times tile for every sequence: one op of length `columns` per row."""
    count = rows * batch
    return Step(name, ops=count, elements=count * columns, mapped=count, macs=count * columns,
                calls=calls * batch, axis=axis, reduced=reduced, span=span)  # fmt: skip


def vector(
    name: str, ops: int, length: int, axis: str = "", reduced: int = 0, scalars: int = 0, sums: int = 0
) -> Step:
    """Element-wise ops of one length, `sums` of them down to one value."""
    plain = ops - sums
    return Step(name, ops=ops, elements=plain * length, serial=sums * length, axis=axis, reduced=reduced,
                scalars=scalars)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """Sums over the steps of a layer, as the time depends on them."""

    ops: int = 0
    elements: int = 0
    scalars: int = 0
    serial: int = 0
    singles: int = 0
    calls: int = 0
    mapped: int = 0
    macs: int = 0
    reduces: int = 0
    stages: int = 0
    hops: int = 0
    wavelets: int = 0
    wavelet_hops: int = 0


def work(steps: Sequence[Step], mesh: Mesh) -> Work:
    """What a PE (and a line, for the all-reduces) does in all steps."""
    trees = [
        (tree, wavelets(step.reduced), mesh.width // tree.pes if step.axis == "group" else 1)
        for step in steps
        if (tree := step.tree(mesh)) is not None
    ]
    return Work(
        ops=sum(step.ops for step in steps),
        elements=sum(step.elements for step in steps),
        scalars=sum(step.scalars for step in steps),
        serial=sum(step.serial for step in steps),
        singles=sum(step.singles for step in steps),
        calls=sum(step.calls for step in steps),
        mapped=sum(step.mapped for step in steps),
        macs=sum(step.macs for step in steps),
        reduces=len(trees),
        stages=sum(tree.stages for tree, _, _ in trees),
        hops=sum(tree.hops for tree, _, _ in trees),
        wavelets=sum(count for _, count, _ in trees),
        wavelet_hops=sum(lines * tree.wavelet_hops(count) for tree, count, lines in trees),
    )
