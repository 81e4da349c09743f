"""Training with every layer resident on its part of one wafer: the older mode, up to about a billion weights.

Each layer gets PEs in proportion to its operations; micro-batches follow each other through the layers,
forward and back.  A step takes the time of one micro-batch through all layers and one interval of the slowest
layer for each further one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wafersim.deploy.facts import Facts
from wafersim.deploy.training import TrainLayer
from wafersim.errors import ConfigError

#: Bytes that stay with a weight: the weight, its gradient, two Adam moments (16, 16, 32, 32 bits).
STATE_BYTES = 2 + 2 + 4 + 4


@dataclass(frozen=True, slots=True)
class PipelinedStep:
    """Shares of the wafer, times and memory of a step."""

    pes: tuple[int, ...]
    layer_s: tuple[float, ...]
    step_s: float
    fill_s: float
    bubble: float
    sram_bytes: tuple[float, ...]
    sram_room: tuple[float, ...]

    @property
    def fits(self) -> bool:
        """Whether every layer fits its part of the SRAM."""
        return all(need <= room for need, room in zip(self.sram_bytes, self.sram_room, strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "step_s": self.step_s,
            "fill_s": self.fill_s,
            "bubble": self.bubble,
            "fits": self.fits,
            "sram_bytes": sum(self.sram_bytes),
            "pes": list(self.pes),
        }


def shares(weights: Sequence[float], total: int) -> list[int]:
    """Whole shares of `total` in proportion to the weights, each at least 1 (largest remainders first)."""
    if total < len(weights):
        raise ConfigError(f"{total} PEs for {len(weights)} layers; each needs one")
    spare = total - len(weights)
    exact = [spare * w / sum(weights) for w in weights]
    given = [int(x) for x in exact]
    order = sorted(range(len(exact)), key=lambda i: (given[i] - exact[i], i))
    for i in order[: spare - sum(given)]:
        given[i] += 1
    return [1 + g for g in given]


def pipelined_step(
    layers: Sequence[TrainLayer],
    hidden: int,
    micro_tokens: int,
    micro_batches: int,
    *,
    pes: int,
    flops: float,
    utilization: float,
    facts: Facts | None = None,
) -> PipelinedStep:
    """Time and memory of a step.

    Parameters
    ----------
    layers : sequence of TrainLayer
        In order.
    hidden : int
        Width of the activations between layers.
    micro_tokens, micro_batches : int
        Tokens of a micro-batch, and how many a step has.
    pes : int
        PEs of the wafer.
    flops : float
        Dense peak of the wafer, FLOP/s.
    utilization : float
        Share of it that products reach.
    facts : Facts, optional
        SRAM of a wafer, its usable share and bytes of an activation.

    Returns
    -------
    PipelinedStep
    """
    facts = facts or Facts.load()
    if micro_tokens < 1 or micro_batches < 1:
        raise ConfigError(f"{micro_batches} micro-batches of {micro_tokens} tokens: expected 1 or more")
    work = [3.0 * layer.forward_flops(micro_tokens) for layer in layers]
    given = shares(work, pes)
    rate = flops * utilization / pes
    times = [w / (rate * g) for w, g in zip(work, given, strict=True)]
    fill, slowest = sum(times), max(times)
    step = fill + (micro_batches - 1) * slowest
    # layer l waits for the backward pass of 2 (L - l) micro-batches
    count = len(layers)
    kept = facts.value("activation_bytes") * hidden * micro_tokens
    needs = [
        STATE_BYTES * layer.params + min(micro_batches, 2 * (count - at)) * kept
        for at, layer in enumerate(layers)
    ]
    room = facts.value("wafer_sram_bytes") * facts.value("sram_fill") / pes
    return PipelinedStep(
        tuple(given), tuple(times), step, fill, 1.0 - micro_batches * fill / count / step,
        tuple(needs), tuple(room * g for g in given),
    )  # fmt: skip
