"""Training with weights streamed from outside the wafer: time of a step, of a run, and what hides what.

One layer at a time lies on the whole wafer.  Its weights are streamed in for the forward pass and once more,
in reverse order, for the backward pass; gradients are streamed out; the optimizer runs outside.  Several
systems hold the same layer and different sequences: weights go down a tree, sums of gradients up it.

    step = sum max(Tf, in) + sum max(Tb, in, out) + tree latency + exposed update,   Tb = 2 Tf
    Tf   = (2 P_active tokens + attention) / (F u),   in = bytes P (1 - zeros) / link,   out likewise
    streaming is hidden when   tokens >= F u bytes / (2 link)

Checkpoints of activations that do not fit the SRAM are either spilled over the same links (out in the forward
pass, in again in the backward pass), or the step is cut into passes that fit, each of which streams all
weights; the faster of the two is taken.

Sources: weight-streaming whitepaper (2023), Hot Chips 33 and 34, vendor documents; see docs/deploy.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wafersim.deploy.facts import Facts
from wafersim.errors import ConfigError
from wafersim.models.accounting import cost, parameters
from wafersim.models.accounting.config import ModelConfig

SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class TrainLayer:
    """One layer (or the embedding and the head) as training sees it.

    Attributes
    ----------
    params : float
        Weights that are streamed.
    active : float
        Weights that a token meets in products.
    attention_flops : float
        Operations of attention per token in the forward pass, causal.
    """

    params: float
    active: float
    attention_flops: float = 0.0

    def forward_flops(self, tokens: float) -> float:
        """Operations of the forward pass of so many tokens."""
        return tokens * (2.0 * self.active + self.attention_flops)


def train_layers(model: ModelConfig, sequence: int) -> list[TrainLayer]:
    """The layers of a model for sequences of so many tokens, and the embedding with the head as one more."""
    layers = []
    for layer in model.layers:
        counts = parameters.layer_counts(model, layer)
        active = parameters.layer_counts(model, layer, is_active=True)
        seen = cost.kept_tokens(layer, sequence)
        # a token sees half of its sequence on average, no more than the window
        keys = min((sequence + 1) / 2, seen)
        attention = keys * cost.attention_flops_per_key(model, is_absorbed=False)
        layers.append(TrainLayer(counts.total(), active.total(), attention))
    outer = parameters.outer_counts(model).total()
    layers.append(TrainLayer(outer, model.vocab * model.hidden))
    return layers


@dataclass(frozen=True, slots=True)
class Tree:
    """Broadcast down and sum up: nodes of a fixed radix between the weights' store and the systems."""

    systems: int
    radix: int

    @property
    def depth(self) -> int:
        """Nodes between the store and a system."""
        depth, reach = 0, 1
        while reach < self.systems:
            reach *= self.radix
            depth += 1
        return depth

    @property
    def nodes(self) -> int:
        """Nodes in all."""
        count, width = 0, self.systems
        while width > 1:
            width = -(-width // self.radix)
            count += width
        return count


@dataclass(frozen=True, slots=True)
class Assumed:
    """The figures of one scenario (low, expected or high) of a training run."""

    flops: float
    utilization: float
    in_bytes: float
    out_bytes: float
    zeros: float
    link: float
    hop_s: float
    loss_16: float
    update_s: float
    radix: int

    @classmethod
    def of(cls, facts: Facts, end: str = "value", utilization: float | None = None) -> Assumed:
        """`end` is ``low`` (slowest), ``value`` or ``high`` (fastest)."""

        def good(name: str) -> float:
            return float(getattr(facts.range(name), end))

        def bad(name: str) -> float:
            return float(getattr(facts.range(name), {"low": "high", "value": "value", "high": "low"}[end]))

        return cls(
            flops=facts.value("wafer_dense_flops"),
            utilization=good("training_utilization") if utilization is None else utilization,
            in_bytes=bad("weight_stream_bytes"),
            out_bytes=bad("gradient_stream_bytes"),
            zeros=facts.value("zero_fraction"),
            link=facts.value("stream_bytes_per_s"),
            hop_s=bad("swarmx_hop_s"),
            loss_16=bad("scaling_loss_16"),
            update_s=bad("update_exposed_s"),
            radix=int(facts.value("swarmx_radix")),
        )


def hidden_tokens(flops: float, utilization: float, stream_bytes: float, link: float) -> float:
    """Tokens per system and pass from which on streaming a dense layer's weights is hidden.

    Examples
    --------
    >>> hidden_tokens(7.5e15, 0.5, 4, 150e9)
    50000.0
    """
    return flops * utilization * stream_bytes / (2.0 * link)


def scaling_efficiency(systems: int, loss_16: float) -> float:
    """Efficiency of data-parallel systems: the loss at 16 grows with log2 of the systems."""
    return max(0.0, 1.0 - loss_16 * math.log2(systems) / 4.0)


def step_time(
    layers: Sequence[TrainLayer], tokens: float, systems: int, a: Assumed, spilled_bytes: float = 0.0
) -> dict[str, float]:
    """One pass of `tokens` per system through all layers, forward and backward, in parts.

    `spilled_bytes` of checkpoints leave the wafer in the forward pass and come back, evenly over the layers.

    Returns
    -------
    dict
        ``forward_s``, ``backward_s``, ``tree_s``, ``update_s``, ``pass_s`` (all of them over the efficiency
        of scaling), ``compute_s`` (what products and attention alone take) and ``stream_s``.
    """
    rate = a.flops * a.utilization
    forward = backward = compute = stream = 0.0
    for layer in layers:
        work_s = layer.forward_flops(tokens) / rate
        in_s = a.in_bytes * layer.params * (1.0 - a.zeros) / a.link
        out_s = a.out_bytes * layer.params * (1.0 - a.zeros) / a.link
        spill_s = spilled_bytes / len(layers) / a.link
        # links are full duplex
        forward += max(work_s, in_s, spill_s)
        backward += max(2.0 * work_s, in_s + spill_s, out_s)
        compute += 3.0 * work_s
        stream += in_s + max(in_s, out_s)
    tree_s = Tree(systems, a.radix).depth * a.hop_s
    total = forward + backward + tree_s + a.update_s
    return {
        "forward_s": forward,
        "backward_s": backward,
        "tree_s": tree_s,
        "update_s": a.update_s,
        "compute_s": compute,
        "stream_s": stream,
        "pass_s": total / scaling_efficiency(systems, a.loss_16),
    }


@dataclass(frozen=True, slots=True)
class Activations:
    """What the forward pass leaves for the backward pass, with one checkpoint per layer."""

    bytes_per_token: float
    per_system: float
    sram: float

    @property
    def passes(self) -> int:
        """Parts into which a step is cut so that the checkpoints of one part fit the SRAM."""
        return max(1, math.ceil(self.per_system / self.sram))


def activations(model: ModelConfig, tokens: float, facts: Facts) -> Activations:
    """Checkpoints of so many tokens on a system: hidden width times layers, 2 bytes each by default."""
    each = facts.value("activation_bytes") * model.hidden * model.num_layers
    return Activations(each, each * tokens, facts.value("activation_sram_bytes"))


def run_days(flops: float, systems: int, peak_flops: float, utilization: float, efficiency: float) -> float:
    """Days of a run from its operations alone: nothing but products, at a share of the peak."""
    return flops / (systems * peak_flops * utilization * efficiency) / SECONDS_PER_DAY


def mfu(flops: float, accelerator_hours: float, peak_flops: float) -> float:
    """Model FLOP/s utilization of a finished run.

    Examples
    --------
    >>> round(mfu(3.8e25, 30.84e6, 989e12), 3)
    0.346
    """
    return flops / (accelerator_hours * 3600.0 * peak_flops)


def train(
    model: ModelConfig,
    tokens: float,
    systems: int,
    *,
    sequence: int = 2048,
    sequences: int | None = None,
    facts: Facts | None = None,
    utilization: float | None = None,
) -> dict[str, Any]:
    """A training run in weight-streaming mode.

    Parameters
    ----------
    model : ModelConfig
        What is trained.
    tokens : float
        Tokens of the whole run.
    systems : int
        Systems with one wafer each, data parallel.
    sequence : int
        Tokens of a sequence.
    sequences : int, optional
        Sequences of a step over all systems; by default twice as many as hide the streaming.
    facts : Facts, optional
        The assumptions.
    utilization : float, optional
        Share of the dense peak that products reach; by default the assumption ``training_utilization``.

    Returns
    -------
    dict
        Plain data: step, run, MFU, memory, checkpoints, with ``low`` and ``high`` of days.

    Raises
    ------
    ConfigError
        A number is out of range.
    """
    facts = facts or Facts.load()
    _check(tokens, systems, sequence, sequences, utilization)
    layers = train_layers(model, sequence)
    expected = Assumed.of(facts, "value", utilization)
    total, active = (sum(getattr(layer, name) for layer in layers) for name in ("params", "active"))
    needed = hidden_tokens(expected.flops, expected.utilization, expected.in_bytes, expected.link)
    needed *= total / active * (1.0 - expected.zeros)
    if sequences is None:
        sequences = max(systems, systems * math.ceil(2.0 * needed / sequence))
    each = sequences * sequence / systems
    held = activations(model, each, facts)
    flops = 3.0 * sum(layer.forward_flops(tokens) for layer in layers)
    ends = {end: Assumed.of(facts, end, utilization) for end in ("low", "value", "high")}
    runs = {end: _run(layers, tokens, each, systems, held, a) for end, a in ends.items()}
    run = runs["value"]
    # spilled checkpoints need not fit, so all tokens of a step meet each weight that comes in
    per_pass = each / run["passes"]
    return {
        "mode": "weight streaming",
        "systems": systems,
        "tokens": tokens,
        "sequence": sequence,
        "sequences": sequences,
        "tokens_per_system": each,
        "passes_per_step": run["passes"],
        "spilled_bytes": run["spilled"],
        "hidden_tokens": needed,
        "streaming_is_hidden": per_pass >= needed,
        "step": run["parts"],
        "step_s": run["step_s"],
        "steps": run["steps"],
        "days": {"value": run["days"], "low": runs["high"]["days"], "high": runs["low"]["days"]},
        "flops": flops,
        "mfu": flops / (run["days"] * SECONDS_PER_DAY * systems * expected.flops),
        "scaling_efficiency": scaling_efficiency(systems, expected.loss_16),
        "tree": {"depth": Tree(systems, expected.radix).depth, "nodes": Tree(systems, expected.radix).nodes},
        "activation_bytes_per_token": held.bytes_per_token,
        "activation_bytes_per_system": held.per_system,
        "activation_sram_bytes": held.sram,
        "checkpoint": _checkpoint(total, facts),
        "assumptions": facts.used(
            "wafer_dense_flops", "training_utilization", "weight_stream_bytes", "gradient_stream_bytes",
            "stream_bytes_per_s", "scaling_loss_16", "swarmx_radix", "swarmx_hop_s", "update_exposed_s",
            "activation_bytes", "activation_sram_bytes",
        ),
        "not_modelled": [
            "recomputation of activations; servers that take spilled ones are as fast as the links",
            "imbalance of experts, evaluation runs, restarts after failures",
        ],
    }  # fmt: skip


def _run(
    layers: Sequence[TrainLayer], tokens: float, each: float, systems: int, held: Activations, a: Assumed
) -> dict[str, Any]:
    """Steps and days with the faster way to keep activations."""
    spilled = max(0.0, held.per_system - held.sram)
    ways = []
    for passes, spill in ((1, spilled), (held.passes, 0.0)):
        parts = step_time(layers, each / passes, systems, a, spill)
        ways.append((passes * parts["pass_s"], passes, spill, parts))
    step_s, passes, spill, parts = min(ways, key=lambda way: way[:2])
    steps = tokens / (each * systems)
    days = steps * step_s / SECONDS_PER_DAY
    return {
        "step_s": step_s,
        "steps": steps,
        "days": days,
        "passes": passes,
        "spilled": spill,
        "parts": parts,
    }


def _checkpoint(params: float, facts: Facts) -> dict[str, Any]:
    """Bytes and seconds of saving all state, and the share of the time that it costs if nothing hides it."""
    size = facts.range("checkpoint_bytes") * params
    seconds = size / facts.range("checkpoint_bytes_per_s")
    every = facts.value("checkpoint_every_s")
    share = seconds.value / (seconds.value + every)
    return {"bytes": size.as_dict(), "seconds": seconds.as_dict(), "share": share, "every_s": every}


def _check(
    tokens: float, systems: int, sequence: int, sequences: int | None, utilization: float | None
) -> None:
    if not (tokens > 0 and math.isfinite(tokens)):
        raise ConfigError(f"tokens {tokens!r}: expected a finite number above 0")
    for name, value, most in (("systems", systems, 1_000_000), ("sequence", sequence, 1 << 24)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ConfigError(f"{name} {value!r}: expected a whole number from 1 to {most:,}")
    if sequences is not None and (not isinstance(sequences, int) or sequences < systems):
        raise ConfigError(f"sequences {sequences!r}: expected at least one per system, {systems}")
    if utilization is not None and not 0 < utilization <= 1:
        raise ConfigError(f"utilization {utilization!r}: expected a share above 0 up to 1")
