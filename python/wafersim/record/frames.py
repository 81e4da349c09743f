"""A run over time: what blocks of PEs and the links did between samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.errors import ConfigError
from wafersim.program.schema import Counter, Port

if TYPE_CHECKING:
    from wafersim.record.record import Record

Array = np.ndarray[Any, Any]

#: most blocks of PEs in each direction
MOST_BLOCKS = 96

#: what is summed over the PEs of a block
LAYERS = ("busy", "stall", "stall_input", "stall_output", "wavelets")

FRAMES_FILES = (
    "frames.edges.npy",
    "frames.blocks.npy",
    "frames.pes.npy",
    "frames.layers.npy",
    "frames.ports.npy",
)


@dataclass(frozen=True)
class Frames:
    """Samples of a run; frame ``k`` is the cycles ``edges[k]`` .. ``edges[k + 1] - 1``.

    Attributes
    ----------
    edges : int64 array [F + 1]
        Cycles of the run.
    block : tuple of int
        Width and height of a block in PEs; blocks at the right and lower border may hold fewer.
    pes : int64 array [BH, BW]
        PEs with a tile per block.
    layers : int64 array [len(LAYERS), F, BH, BW]
        Cycles per class, and wavelets through the routers' outputs, summed over the PEs of a block.
    ports : int64 array [F, 5]
        Wavelets through each output port, all routers together.
    """

    edges: Array
    block: tuple[int, int]
    pes: Array
    layers: Array
    ports: Array

    def __len__(self) -> int:
        return len(self.edges) - 1

    def share(self, layer: str) -> Array:
        """Share of the cycles of the blocks' PEs ``[F, BH, BW]``; of ``wavelets``: per cycle and PE."""
        lengths = np.maximum(1, np.diff(self.edges))[:, None, None]
        return np.asarray(self.layers[LAYERS.index(layer)] / (lengths * np.maximum(1, self.pes)))

    def parts(self) -> dict[str, Array]:
        """Arrays of a record directory by file name."""
        arrays = (self.edges, np.array(self.block, np.int64), self.pes, self.layers, self.ports)
        return dict(zip(FRAMES_FILES, arrays, strict=True))

    @classmethod
    def from_parts(cls, arrays: Mapping[str, Array]) -> Frames:
        """What `parts` gave; raises ConfigError if the shapes do not fit each other."""
        edges, block, pes, layers, ports = (arrays[name] for name in FRAMES_FILES)
        frames = len(edges) - 1
        fits = (
            frames >= 0
            and block.shape == (2,)
            and bool((block > 0).all())
            and bool((np.diff(edges) > 0).all())
            and layers.shape == (len(LAYERS), frames, *pes.shape)
            and ports.shape == (frames, len(Port))
        )
        if not fits:
            raise ConfigError("record: the frames do not fit together")
        return cls(edges, (int(block[0]), int(block[1])), pes, layers, ports)


def block_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the blocks of a grid: one PE up to `MOST_BLOCKS`."""
    return -(-width // MOST_BLOCKS), -(-height // MOST_BLOCKS)


def sample(record: Record, block: tuple[int, int]) -> tuple[Array, Array]:
    """Sums so far: ``[len(LAYERS), BH, BW]`` and ``[5]``."""
    counters = record.counters
    busy = counters[:, :, : Counter.STALL_BANK].sum(axis=2)
    stall = counters[:, :, Counter.STALL_BANK : Counter.IDLE].sum(axis=2)
    per_port = record.links.sum(axis=0) if record.links.size else np.zeros((*busy.shape, len(Port)), np.int64)
    wanted = (
        busy,
        stall,
        counters[:, :, Counter.STALL_INPUT],
        counters[:, :, Counter.STALL_OUTPUT],
        per_port.sum(axis=2),
    )
    return np.stack([_blocks(layer, block) for layer in wanted]), per_port.sum(axis=(0, 1))


def count_pes(record: Record, block: tuple[int, int]) -> Array:
    """PEs with a tile per block."""
    return _blocks(record.has_tile.astype(np.int64), block)


def _blocks(layer: Array, block: tuple[int, int]) -> Array:
    rows = np.add.reduceat(layer, np.arange(0, layer.shape[0], block[1]), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, layer.shape[1], block[0]), axis=1), np.int64)
