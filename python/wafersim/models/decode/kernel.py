"""Kernel ``llm_decode_layer``: one decode layer of a language model on a mesh of PEs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.timing import read_stamps
from wafersim.models.decode.exact_run import exact_run
from wafersim.models.decode.published_code import PublishedCode
from wafersim.models.pieces.program import lines_of, place_kinds
from wafersim.models.pieces.small_models import layer_of, left_out, load_model, published_sizes
from wafersim.models.work import published
from wafersim.models.work.mesh import Mesh, Tree
from wafersim.models.work.steps import work

if TYPE_CHECKING:
    from wafersim.arch import Arch


class DecodeLayer(Kernel):
    """One layer for a batch of sequences."""

    name: ClassVar[str] = "llm_decode_layer"
    description: ClassVar[str] = "one decode layer of a language model: products, all-reduces, attention, MLP"
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("model", str, "small", "preset, config file, tiny, small, small-mha, small-moe, small-mla"),
        Parameter("context", int, 32, "tokens attended to, the new one included", minimum=1, maximum=1 << 20),
        Parameter("batch", int, 1, "sequences", minimum=1, maximum=1024),
        Parameter("layer", int, 0, "which layer of the model", maximum=4095),
        Parameter("part", str, "whole", "variant published: the whole mesh, 8 rows or 8 columns of it, or a "
                  "corner of both; the time of the whole is rows + columns - corner",
                  allowed=("whole", "rows", "columns", "corner")),
        Parameter("variant", str, "exact", "exact widths, or the published program",
                  allowed=("exact", "published")),
        Parameter("timing", bool, False, "cycles without values: fixed experts, 32-bit words for pairs of "
                  "fp16 values; fidelity stream needs it (always so in variant published)"),
    )  # fmt: skip

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        batch, context, name = int(params["batch"]), int(params["context"]), str(params["model"])
        if params["variant"] == "published":
            if width != height or width < 4:
                raise self.refuse_grid(width, height, "square, 4x4 or larger")
            hidden, ffn = published_sizes(name)
            tile = published.tile(hidden, ffn, width, context)
            return published_run(arch, part_of(width, str(params["part"])), tile, batch)
        if width < 2 or height < 2:
            raise self.refuse_grid(width, height, "2x2 or larger")
        model = load_model(name)
        layer = layer_of(self.name, model, int(params["layer"]))
        run = exact_run(arch, model, layer, (width, height), batch, context, bool(params["timing"]))
        run.not_modelled += left_out(self.name, model, has_latent=True)
        return run


#: PEs and groups of the short side of a part of a mesh
SHORT_SIDE, SHORT_GROUPS = 8, 2


def part_of(side: int, part: str) -> Mesh:
    """The mesh of the published layer, or lines of it.

    All rows do the same, and so do all columns, so an all-reduce along one axis takes as long whatever the
    other axis is: the time of a mesh is that of its rows plus that of its columns less that of a corner.
    """
    long, short = Tree(side, published.groups(side)), Tree(SHORT_SIDE, SHORT_GROUPS)
    x = long if part in ("whole", "rows") else short
    y = long if part in ("whole", "columns") else short
    return Mesh(x.pes, y.pes, x, y)


def published_run(arch: Arch, mesh: Mesh, tile: published.Tile, batch: int) -> KernelRun:
    """The released layer on a mesh: a timing program, its values are not those of a model."""
    most = batch * max(3 * tile.dim, 2 * tile.ffn, tile.seq)
    layout, rows, columns = lines_of(arch, mesh, (mesh.width, mesh.height), most)
    place_kinds(
        layout, rows, columns,
        lambda pe, x, y: PublishedCode(pe, tile, batch, rows, columns, x, y).emit(),
    )  # fmt: skip
    whole = (0, 0, mesh.width, mesh.height)
    done = work(published.steps(tile, batch), mesh)

    def setup(sim: Any, rng: np.random.Generator) -> None:
        """Inputs keep their zeros."""

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        return {
            "window_cycles": int(stamps[..., 1].max() - stamps[..., 0].min()),
            "mapped_ops": done.mapped, "macs": done.macs, "allreduces": done.reduces,
            "allreduce_stages": done.stages, "allreduce_wavelets": done.wavelets,
            "tile": f"{tile.dim},{tile.seq},{tile.ffn}",
        }  # fmt: skip

    run = KernelRun(layout.build(), setup, [Launch("main")], None, metrics)
    return replace(
        run,
        not_modelled=[
            "llm_decode_layer, variant published: as released, with all heads as one, padded widths, an "
            "exponential of four factors; neither embedding, output head, sampling nor appending to the cache"
        ],
    )
