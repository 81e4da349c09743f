"""Regions of a wafer: rectangles in bands, each with whole layers that it works through one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wafersim.models.placement.partition import Cut, Sizes
from wafersim.models.placement.wafer import Wafer
from wafersim.models.work.mesh import Mesh

#: numbers of bands that are tried
MOST_CUTS = 6


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one wafer, in the order of their layers.

    Attributes
    ----------
    meshes, first, counts : tuple
        PEs, first layer and number of layers of every region.
    bands : int
        Rows of regions.
    fullest_bytes : int
        Bytes of data on a PE of the fullest region.
    embedding_rows : int
        Rows of PEs for the input embedding.
    head : Mesh or None
        PEs of the output head.
    """

    meshes: tuple[Mesh, ...]
    first: tuple[int, ...]
    counts: tuple[int, ...]
    bands: int
    fullest_bytes: int
    embedding_rows: int
    head: Mesh | None


def layers_per_region(most: int) -> list[int]:
    """Numbers of layers for a region that are tried, from one layer to all of a wafer."""
    tried = [*range(1, 9), 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64]
    return [number for number in tried if number < most] + [most] if most else [1]


#: rates a mesh for the layers ``first`` to ``first + count - 1``: seconds, less is better
Rate = Callable[[Mesh, int, int], float]


def place(
    cut: Cut, sizes: Sizes, full: Sizes, wafer: Wafer, most: int, is_tied: bool, rate: Rate
) -> Regions | None:
    """The layers of a wafer in regions of at most `most` layers; None if a PE would hold too much.

    Areas follow `full`, the bytes with a cache as large as it can get, so that they do not depend on the
    users of today; of all numbers of bands the one with the least time is taken.
    """
    shared = is_tied and cut.has_embedding and cut.has_head
    head_rows = wafer.rows_for(sizes.head) if cut.has_head else 0
    embedding_rows = 0 if shared else wafer.rows_for(sizes.embedding if cut.has_embedding else 0)
    height = wafer.height - head_rows - embedding_rows
    head = Mesh.of(wafer.width, head_rows) if head_rows else None
    number = len(cut.layers)
    if not number:
        return Regions((), (), (), 0, 0, embedding_rows, head)
    if height < 1:
        return None
    used = -(-number // most)
    counts = [number // used + (1 if i < number % used else 0) for i in range(used)]
    first = [cut.first + sum(counts[:i]) for i in range(used)]
    held, areas = (
        [sum(bytes_of.layer(i) for i in range(a, a + n)) for a, n in zip(first, counts, strict=True)]
        for bytes_of in (sizes, full)
    )
    best: tuple[float, int, list[Mesh]] | None = None
    for bands, meshes in _cuts(areas, wafer.width, height):
        if _fullest(held, meshes) > wafer.pe_most_bytes:
            continue
        seconds = sum(rate(mesh, a, n) for mesh, a, n in zip(meshes, first, counts, strict=True))
        if best is None or seconds < best[0]:
            best = (seconds, bands, meshes)
    if best is None:
        return None
    _, bands, meshes = best
    fullest = _fullest(held, meshes)
    return Regions(tuple(meshes), tuple(first), tuple(counts), bands, fullest, embedding_rows, head)


def _cuts(areas: Sequence[int], width: int, height: int) -> list[tuple[int, list[Mesh]]]:
    """The numbers of bands with the least elongated regions, and their meshes."""
    found = []
    for bands in range(1, min(len(areas), height) + 1):
        shapes = _shapes(areas, bands, width, height)
        if shapes is not None:
            longest = max(max(w, h) / min(w, h) for w, h in shapes)
            found.append((longest, bands, shapes))
    return [(bands, [Mesh.within(w, h) for w, h in shapes]) for _, bands, shapes in sorted(found)[:MOST_CUTS]]


def _fullest(held: Sequence[int], meshes: Sequence[Mesh]) -> int:
    return max(-(-size // mesh.pes) for size, mesh in zip(held, meshes, strict=True))


def _shapes(held: Sequence[int], bands: int, width: int, height: int) -> list[tuple[int, int]] | None:
    """Width and height of every region: bands as high as their bytes ask for, regions as wide."""
    number, total, out = len(held), sum(held), []
    done_bytes = done_rows = start = 0
    for band in range(bands):
        count = number // bands + (1 if band < number % bands else 0)
        own = held[start : start + count]
        done_bytes += sum(own)
        rows = done_bytes * height // total - done_rows
        if rows < 1:
            return None
        done_rows += rows
        widths = _shares(own, width)
        if min(widths) < 1:
            return None
        out += [(w, rows) for w in widths]
        start += count
    return out


def _shares(sizes: Sequence[int], width: int) -> list[int]:
    """Whole shares of `width` in proportion to sizes; together never more than `width`."""
    total, done, used, out = sum(sizes), 0, 0, []
    for size in sizes:
        done += size
        out.append(done * width // total - used)
        used += out[-1]
    return out
