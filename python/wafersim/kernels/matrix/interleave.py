"""The interleaved ring: a ring of N PEs on a line whose every edge spans at most two hops.

Even PEs pass on eastward to the next even one, odd PEs westward to the next odd one, and the two ends join
the halves.  Each directed link of the line carries exactly one edge of the ring, so all PEs can shift a tile
of w words at once in about w + 2 hops (INTERLEAVE of WaferLLM, OSDI 2025, arXiv 2502.04563; the released
code's send and receive tables).

A *physical* index counts along the line, a *position* along the ring.
"""

from __future__ import annotations

from wafersim.errors import ConfigError


def _check(index: int, pes: int) -> None:
    if pes < 2:
        raise ConfigError(f"an interleaved ring of {pes} PEs; allowed: 2 or more")
    if not 0 <= index < pes:
        raise ConfigError(f"PE {index} is not on a line of {pes} PEs; allowed: 0 .. {pes - 1}")


def send(index: int, pes: int) -> int:
    """The PE that physical PE ``index`` of ``pes`` sends to.

    Examples
    --------
    >>> [send(i, 8) for i in range(8)]
    [2, 0, 4, 1, 6, 3, 7, 5]
    """
    _check(index, pes)
    last = pes - 1
    if index % 2:
        return index - 2 if index >= 3 else 0
    if index + 2 <= last:
        return index + 2
    return index + 1 if index + 1 <= last else index - 1


def receive(index: int, pes: int) -> int:
    """The PE that sends to physical PE ``index``: the inverse of `send`.

    Examples
    --------
    >>> all(receive(send(i, 7), 7) == i for i in range(7))
    True
    """
    _check(index, pes)
    last = pes - 1
    if index % 2 == 0:
        return index - 2 if index >= 2 else 1
    if index + 2 <= last:
        return index + 2
    return index + 1 if index + 1 <= last else index - 1


def position(index: int, pes: int) -> int:
    """Place of physical PE ``index`` on the ring; `send` raises it by one.

    Examples
    --------
    >>> [position(i, 5) for i in range(5)]
    [0, 4, 1, 3, 2]
    """
    _check(index, pes)
    return index // 2 if index % 2 == 0 else pes - (index + 1) // 2


def physical(place: int, pes: int) -> int:
    """The physical PE at a place of the ring, taken modulo ``pes``: the inverse of `position`.

    Examples
    --------
    >>> [physical(q, 5) for q in range(5)]
    [0, 2, 4, 3, 1]
    """
    q = place % pes
    _check(q, pes)
    return 2 * q if 2 * q <= pes - 1 else 2 * (pes - q) - 1


def edge_color(source: int, target: int, pes: int) -> int:
    """Which of three colors (0, 1, 2) the edge between two ring neighbours takes.

    An edge of two hops has the color of the PE in its middle, modulo 3; the short edges at the ends have the
    color of the end.  So at every PE what comes, what goes and what passes have three different colors.
    """
    west, east = sorted((source, target))
    if east - west == 2:
        return (west + 1) % 3
    if west == 0 and (source > target or east != pes - 1):
        return 0
    return (pes - 1) % 3


def multiply_block(x: int, y: int, step: int, pes: int) -> int:
    """Block of the shared dimension that PE (x, y) of a MeshGEMM multiplies in a step."""
    return physical(position(x, pes) + position(y, pes) - step, pes)


def transposed_block(y: int, step: int, pes: int) -> int:
    """Block row of B that row ``y`` of PEs holds in a step of the GEMM-T, which is also its root column."""
    return physical(position(y, pes) - step, pes)


def alignment(y: int, pes: int) -> tuple[int, bool]:
    """Shifts that align row ``y`` of A for the MeshGEMM, and whether they go against the ring.

    A row has to rotate by `position`; even rows do so against the ring, odd ones with it, so that no row
    needs more than ``pes // 2`` shifts.
    """
    place = position(y, pes)
    return (place, True) if y % 2 == 0 else (pes - place, False)
