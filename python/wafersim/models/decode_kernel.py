"""Kernel ``llm_decode_layer``: one decode layer of a language model on a mesh of PEs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from wafersim.errors import ConfigError
from wafersim.kernels.base import Kernel, KernelRun, Launch, Parameter, Validity, parameters
from wafersim.kernels.timing import read_stamps
from wafersim.models import published
from wafersim.models.config import ModelConfig
from wafersim.models.exact_run import exact_run
from wafersim.models.mesh import Mesh, Tree
from wafersim.models.program import lines_of, place_kinds
from wafersim.models.published_code import PublishedCode
from wafersim.models.steps import work

if TYPE_CHECKING:
    from wafersim.arch import Arch

#: a small model with grouped heads, for a quick check of values
SMALL = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 64,
}  # fmt: skip
#: the same with experts, and with a key-value head for every head
SMALL_MODELS: Mapping[str, Mapping[str, Any]] = {
    "small": SMALL,
    "small-mha": SMALL | {"num_key_value_heads": 8},
    "small-moe": SMALL | {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
}

NOT_MODELLED = {
    "qkv_bias": "llm_decode_layer: biases of the projections",
    "qk_norm_weights": "llm_decode_layer: norms of queries and keys",
    "sinks": "llm_decode_layer: attention sinks",
}


class DecodeLayer(Kernel):
    """One layer for a batch of sequences."""

    name: ClassVar[str] = "llm_decode_layer"
    description: ClassVar[str] = "one decode layer of a language model: products, all-reduces, attention, MLP"
    default_grid: ClassVar[tuple[int, int]] = (8, 8)
    parameters: ClassVar[dict[str, Parameter]] = parameters(
        Parameter("model", str, "small", "preset, path of a config.json, small, small-mha or small-moe"),
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
            run = published_run(arch, part_of(width, str(params["part"])), tile, batch)
            run.validity = validity(arch, hidden, width, context, batch)
            return run
        if width < 2 or height < 2:
            raise self.refuse_grid(width, height, "2x2 or larger")
        model = (
            ModelConfig.from_hf(SMALL_MODELS[name], name) if name in SMALL_MODELS else ModelConfig.load(name)
        )
        if int(params["layer"]) >= model.num_layers:
            raise ConfigError(f"{self.name}: layer {params['layer']}: {name} has {model.num_layers} layers")
        layer = model.layers[int(params["layer"])]
        run = exact_run(arch, model, layer, (width, height), batch, context, bool(params["timing"]))
        run.not_modelled += [words for key, words in NOT_MODELLED.items() if getattr(model.attention, key, 0)]
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


def published_sizes(name: str) -> tuple[int, int]:
    """Hidden and MLP width of a model of the paper, of a preset or of a config."""
    known = {plain_name(key): sizes for key, sizes in published.SIZES.items()}
    if plain_name(name) in known:
        return known[plain_name(name)][:2]
    config = SMALL_MODELS.get(name)
    model = ModelConfig.from_hf(config, name) if config is not None else ModelConfig.load(name)
    width = model.layers[0].mlp_width
    if width is None:
        raise ConfigError(f"{name}: the published program has no experts; use variant=exact")
    return model.hidden, width


def plain_name(name: str) -> str:
    """A model's name without case and punctuation: the paper writes LLaMA3-8B."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def validity(arch: Arch, hidden: int, side: int, context: int, batch: int) -> Validity:
    """Support by the published decode rows."""
    rows = {(4096, 420): "WLLM4-001", (4096, 540): "WLLM4-002", (4096, 660): "WLLM4-003",
            (5120, 420): "WLLM4-013", (5120, 540): "WLLM4-014", (5120, 660): "WLLM4-015"}  # fmt: skip
    if arch.name != "wse2":
        return Validity("unvalidated", ("WLLM4-001",))
    row = rows.get((hidden, side)) if context == 4096 and batch == 1 else None
    if row is None:
        return Validity("extrapolated", ("WLLM4-001", "WLLM4-013"))
    return Validity("fitted" if row == "WLLM4-001" else "validated", (row,))


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
