"""Kernel ``llm_prefill_layer``: one prefill layer of a language model on a square of PEs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, parameters
from wafersim.kernels.llm.prefill_sum import PARTS, STARTS, STARTS_GRID
from wafersim.models.pieces.small_models import layer_of, left_out, load_model, published_sizes
from wafersim.models.prefill.published_code import PublishedPrefill, Wires
from wafersim.models.prefill.run import prefill_run
from wafersim.models.prefill.sections import section_cycles
from wafersim.models.prefill.starts import starts_run
from wafersim.models.work import published

if TYPE_CHECKING:
    from wafersim.arch import Arch

AS_RELEASED = (
    "llm_prefill_layer, variant published: as released, with all heads as one, padded widths, no mask, the "
    "first residual sum missing and an activation of its own; values are not those of a model"
)


class PrefillLayer(Kernel):
    """One layer for a prompt."""

    name: ClassVar[str] = "llm_prefill_layer"
    description: ClassVar[str] = (
        "one prefill layer of a language model: MeshGEMM products, scores by GEMM-T or in groups of heads"
    )
    default_grid: ClassVar[tuple[int, int]] = (2, 2)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("model", str, "tiny", "preset, path of a config.json, tiny, small, small-mha, small-moe"),
        Parameter("prompt", int, 12, "tokens of the prompt", minimum=1, maximum=1 << 20),
        Parameter("layer", int, 0, "which layer of the model", maximum=4095),
        Parameter("variant", str, "exact", "exact widths and causal attention, or the published program",
                  allowed=("exact", "published")),
        Parameter("part", str, "whole", "variant published: the whole layer, each product and alignment of "
                  "another shape once, what is local or runs along a row, or the starts of sections alone",
                  allowed=(*PARTS, STARTS)),
        Parameter("side", int, 0, "variant published: tiles as on a mesh of this side; 0: that of the grid",
                  maximum=4096),
    )  # fmt: skip

    def build(self, arch: Arch, width: int, height: int, params: Mapping[str, Any]) -> KernelRun:
        prompt, name = int(params["prompt"]), str(params["model"])
        if params["variant"] == "published":
            part = str(params["part"])
            if part == STARTS:
                if (width, height) != STARTS_GRID:
                    raise self.refuse_grid(width, height, "{}x{} with part=starts".format(*STARTS_GRID))
                return starts_run(arch)
            is_square = width == height and width >= 3
            if not (is_square or (part == "local" and width >= 3)):
                raise self.refuse_grid(width, height, "square, 3x3 or larger; part=local: 3 or more columns")
            tile = published.tile(*published_sizes(name), int(params["side"]) or width, prompt)
            return published_run(arch, width, height, tile, part)
        if width < 2 or height < 2:
            raise self.refuse_grid(width, height, "2x2 or larger")
        model = load_model(name)
        layer = layer_of(self.name, model, int(params["layer"]))
        run = prefill_run(arch, model, layer, (width, height), prompt)
        run.not_modelled += left_out(self.name, model)
        return run


def published_run(arch: Arch, width: int, height: int, tile: published.Tile, part: str) -> KernelRun:
    """Sections of the released layer on a rectangle: a timing program."""
    from wafersim.program import Layout

    names = PARTS[part]
    layout = Layout(width, height, arch=arch, name="llm_prefill_layer")
    wires = Wires(layout, width, height, has_rings=part != "local")
    wires.add_routes()
    for x, y, mask in wires.areas():
        code = PublishedPrefill(layout, wires, tile, x, y, names)
        layout.place(code.pe, width=width, height=height, mask=mask, params=code.params(width, height))
    whole = (0, 0, width, height)

    def setup(sim: Any, rng: np.random.Generator) -> None:
        """Inputs keep their zeros."""

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        total, sections = section_cycles(sim, whole, names)
        return {"window_cycles": total, "tile": f"{tile.dim},{tile.seq},{tile.ffn}"} | {
            f"{name}_cycles": cycles for name, cycles in sections.items()
        } | counts(tile, width, names)  # fmt: skip

    run = KernelRun(layout.build(), setup, [Launch("main")], None, metrics)
    run.not_modelled.append(AS_RELEASED)
    return run


def counts(tile: published.Tile, side: int, names: Sequence[str]) -> dict[str, int]:
    """Closed counts of the products among some sections, per PE: ops, multiply-adds, words sent on the rings.

    Source: WaferLLM (arXiv 2502.04563v3), released code.

    Examples
    --------
    >>> counts(published.Tile(2, 3, 5), 4, PARTS["whole"])["mapped_ops"]  # 4 (4 2 2 + 2 2 3 + 3 2 5)
    232
    """
    d, s, f = tile.dim, tile.seq, tile.ffn
    shapes = {"q": (d, d), "k": (d, d), "v": (d, d), "o": (d, d), "score": (d, s), "out": (s, d),
              "up": (d, f), "gate": (d, f), "down": (f, d)}  # fmt: skip
    aligned = {"align": d, "align_score": s, "align_ffn": f}
    found = [shapes[name] for name in names if name in shapes]
    ops = side * sum(rows * columns for rows, columns in found)
    words_x = side * sum(-(-s * shapes[n][0] // 2) for n in names if n in shapes and n != "score")
    words_x += side // 2 * sum(-(-s * aligned[n] // 2) for n in names if n in aligned)
    words_y = side * sum(-(-rows * columns // 2) for rows, columns in found)
    return {"mapped_ops": ops, "macs": ops * s, "ring_words_x": words_x, "ring_words_y": words_y}


__all__ = ["PrefillLayer", "counts", "published_run"]
