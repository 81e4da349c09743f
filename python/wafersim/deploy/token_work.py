"""What one token of a placed model makes the machine do: operations, bytes, hops, bytes over links."""

from __future__ import annotations

from wafersim.deploy.energy import TokenWork
from wafersim.models.accounting import cost
from wafersim.models.answer.bottleneck import touched_bytes
from wafersim.models.placement.placed import ACTIVATION_BYTES, PlacedModel
from wafersim.models.work.decode_steps import decode_steps
from wafersim.models.work.mesh import Mesh, wavelets
from wafersim.models.work.steps import Step


def wavelet_hops(steps: list[Step], mesh: Mesh) -> int:
    """Hops of all wavelets of a layer's all-reduces: those of a line times the lines."""
    total = 0
    for step in steps:
        tree = step.tree(mesh)
        if tree is None:
            continue
        lines = mesh.width if step.axis == "y" else mesh.height
        if step.axis == "group":
            lines = mesh.height * (mesh.width // step.span)
        total += lines * tree.wavelet_hops(wavelets(step.reduced))
    return total


def token_work(placed: PlacedModel, batch: int, context: int) -> TokenWork:
    """The share of one token in a decode step.

    Parameters
    ----------
    placed : PlacedModel
        The model on its wafers.
    batch : int
        Sequences of a batch: they share what is read of the weights.
    context : int
        Tokens of each.

    Returns
    -------
    TokenWork
    """
    model = placed.model
    read = sum(touched_bytes(model, layer, batch, context) for layer in model.layers)
    hops = 0
    for stage in placed.pipeline:
        for layer, number in stage.layers:
            hops += number * wavelet_hops(decode_steps(model, layer, stage.mesh, batch, context), stage.mesh)
    crossings = placed.wafers if placed.wafers > 1 else 0
    return TokenWork(
        flops=cost.decode_flops(model, context),
        sram_bytes=read / batch,
        wavelet_hops=hops / batch,
        io_bytes=crossings * model.hidden * ACTIVATION_BYTES,
    )
