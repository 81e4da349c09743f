"""Kernel ``llm_decode_layer``: one decode layer of a language model on a mesh of PEs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, Validity, parameters
from wafersim.kernels.timing import read_stamps
from wafersim.models import published
from wafersim.models.mesh import Mesh
from wafersim.models.published_code import PublishedCode
from wafersim.models.steps import work

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.kernels.exchange import Exchange
    from wafersim.program import Layout


class DecodeLayer(Kernel):
    """One layer for a batch of sequences."""

    name: ClassVar[str] = "llm_decode_layer"
    description: ClassVar[str] = "one decode layer of a language model: products, all-reduces, attention, MLP"
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("model", str, "llama-3-8b", "name of a model"),
        Parameter("context", int, 4096, "tokens that are attended to", minimum=1, maximum=1 << 20),
        Parameter("batch", int, 1, "sequences", minimum=1, maximum=64),
        Parameter("hidden", int, 0, "width instead of the model's, 0: the model's", maximum=1 << 20),
        Parameter("ffn", int, 0, "MLP width instead of the model's, 0: the model's", maximum=1 << 22),
        Parameter("variant", str, "published", "which program", allowed=("published",)),
    )

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        if width != height or width < 4:
            raise self.refuse_grid(width, height, "square, 4x4 or larger")
        batch = int(params["batch"])
        tile = published.tile(str(params["model"]), width, int(params["context"]), int(params["hidden"]), int(params["ffn"]))
        return published_run(arch, Mesh.of(width, height, published.groups(width)), tile, batch)


def published_run(arch: Arch, mesh: Mesh, tile: published.Tile, batch: int) -> KernelRun:
    """The released layer on a mesh."""
    most = batch * max(3 * tile.dim, 2 * tile.ffn, tile.seq)
    layout, rows, columns = lines_of(arch, mesh, most)
    place_kinds(layout, rows, columns, lambda pe, x, y: PublishedCode(pe, tile, batch, rows, columns, x, y).emit())
    return _run(mesh, tile, batch, layout)


def lines_of(
    arch: Arch, mesh: Mesh, most: int, dtype: str = "f16"
) -> tuple[Layout, Exchange, Exchange]:
    """A layout with the all-reduces of its rows and of its columns, of at most `most` elements."""
    from wafersim.kernels.exchange import line_allreduce
    from wafersim.program import Layout

    layout = Layout(mesh.width, mesh.height, arch=arch, name="llm_decode_layer")
    rows = line_allreduce(
        layout, "x", "x", mesh.width, mesh.height, "ktree", most, dtype, "add",
        in_queues=(0, 1, 2, 3), out_queues=(2,), groups=mesh.tree_x.groups,
    )  # fmt: skip
    columns = line_allreduce(
        layout, "y", "y", mesh.height, mesh.width, "ktree", most, dtype, "add",
        in_queues=(4, 5, 6, 7), out_queues=(3,), groups=mesh.tree_y.groups,
    )  # fmt: skip
    rows.add_routes()
    columns.add_routes()
    return layout, rows, columns


def place_kinds(layout: Layout, rows: Exchange, columns: Exchange, emit: Any) -> None:
    """One tile program for each pair of kinds."""
    width, height = rows.line.pes, columns.line.pes
    x_kinds, y_kinds = ([line.kind(i) for i in range(line.line.pes)] for line in (rows, columns))
    for x_kind in dict.fromkeys(x_kinds):
        for y_kind in dict.fromkeys(y_kinds):
            mask = np.array([k == y_kind for k in y_kinds])[:, None] & np.array([k == x_kind for k in x_kinds])
            pe = layout.tile(f"x_{x_kind}_y_{y_kind}")
            emit(pe, x_kinds.index(x_kind), y_kinds.index(y_kind))
            layout.place(pe, x=0, y=0, width=width, height=height, mask=mask)


def _run(mesh: Mesh, tile: published.Tile, batch: int, layout: Layout) -> KernelRun:
    whole = (0, 0, mesh.width, mesh.height)
    done = work(published.steps(tile, batch), mesh)

    def setup(sim: Any, rng: np.random.Generator) -> None:
        """Weights and inputs keep their zeros: the released program is a timing program."""

    def check(sim: Any) -> tuple[float, bool]:
        return 0.0, True

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        stamps = read_stamps(sim, whole)
        window = int(stamps[..., 1].max() - stamps[..., 0].min())
        return {"window_cycles": window, "mapped_ops": done.mapped, "macs": done.macs,
                "allreduces": done.reduces, "allreduce_stages": done.stages}  # fmt: skip

    return KernelRun(layout.build(), setup, [Launch("main")], check, metrics, validity=Validity())
