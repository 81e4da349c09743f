"""The same model on GPUs: from data sheets and published efficiencies, beside measured points.

    step = max((weights touched + users KV) / (n BW eff), users FLOPs / (n F u))
           + 2 layers t_allreduce + launch

for n GPUs of one group with tensor parallelism.  The floor leaves all efficiencies and latencies out.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

from wafersim.deploy.cost import usd_per_mtoken
from wafersim.deploy.facts import Facts, tables
from wafersim.deploy.ranges import Range
from wafersim.errors import ConfigError
from wafersim.models.accounting import cost, parameters
from wafersim.models.accounting.config import ModelConfig

#: Bytes per weight by precision; fp4 with its scales.
WEIGHT_BYTES = {"bf16": 2.0, "fp8": 1.0, "fp4": 0.53125}
#: Keys and values are kept in 16 bits.
KV_BITS = 16


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of GPU: rates of the data sheet, prices of the market.

    Attributes
    ----------
    flops : dict of str to float
        Dense peak by precision, FLOP/s.
    hbm_bytes, hbm_bytes_per_s, link_bytes_per_s : float
        Memory, its bandwidth, and that of the link per direction.
    node_gpus : int
        GPUs of a node; a model is spread over one node at most, else over whole nodes.
    node_w : float
        Power of a node, W.
    usd, usd_per_hour : Range
        To buy one, to rent one.
    """

    key: str
    name: str
    flops: dict[str, float]
    hbm_bytes: float
    hbm_bytes_per_s: float
    link_bytes_per_s: float
    node_gpus: int
    node_w: float
    usd: Range
    usd_per_hour: Range
    source: str

    def precision_for(self, wanted: str) -> str:
        """The precision asked for, or the narrowest that the GPU has not narrower than it."""
        order = ("bf16", "fp8", "fp4")
        if wanted not in order:
            raise ConfigError(f"precision {wanted!r}; allowed {', '.join(order)}")
        return next(p for p in reversed(order[: order.index(wanted) + 1]) if p in self.flops)


@functools.cache
def gpus() -> dict[str, Gpu]:
    """The GPUs of the data file by key: a100, h100, h200, b200."""
    out = {}
    for key, row in tables("gpu")["gpu"].items():
        flops = {p: row[f"{p}_flops"] for p in WEIGHT_BYTES if f"{p}_flops" in row}
        low, usd, high = row["usd"]
        cheap, rent, dear = row["usd_per_hour"]
        out[key] = Gpu(
            key, row["name"], flops, row["hbm_bytes"], row["hbm_bytes_per_s"], row["link_bytes_per_s"],
            row["node_gpus"], row["node_w"], Range(usd, low, high), Range(rent, cheap, dear), row["source"],
        )  # fmt: skip
    return out


def find_gpu(key: str) -> Gpu:
    """A GPU by key.

    Raises
    ------
    ConfigError
        There is no such GPU.
    """
    if key not in gpus():
        raise ConfigError(f"GPU {key[:40]!r}; allowed {', '.join(gpus())}")
    return gpus()[key]


def weight_bytes(model: ModelConfig, precision: str) -> float:
    """Bytes of all weights in a precision."""
    return parameters.total(model) * WEIGHT_BYTES[precision]


def floor_tokens_per_s(weights: float, kv_bytes: float, gpu: Gpu, count: int) -> float:
    """Tokens per second of one user if nothing but reading weights, keys and values took time."""
    return count * gpu.hbm_bytes_per_s / (weights + kv_bytes)


def bandwidth_utilization(
    tokens_per_s: float, weights: float, kv_bytes: float, gpu: Gpu, count: int
) -> float:
    """Share of the memory bandwidth that a measured speed of one user implies."""
    return tokens_per_s / floor_tokens_per_s(weights, kv_bytes, gpu, count)


@dataclass(frozen=True, slots=True)
class GpuGroup:
    """So many GPUs that hold one copy of a model.

    Parameters
    ----------
    model : ModelConfig
        The model.
    gpu : Gpu
        The kind.
    count : int
        How many, 1 to a node, or whole nodes.
    precision : str
        Of weights and products.
    """

    model: ModelConfig
    gpu: Gpu
    count: int
    precision: str

    @classmethod
    def smallest(
        cls, model: ModelConfig, gpu: Gpu, precision: str, users: int, context: int, facts: Facts
    ) -> GpuGroup:
        """The smallest group that holds the model and its users: 1, 2, 4, 8 of a node, then whole nodes."""
        counts = [n for n in (1, 2, 4, 8) if n < gpu.node_gpus]
        counts += [gpu.node_gpus * k for k in range(1, 1025)]
        for count in counts:
            group = cls(model, gpu, count, gpu.precision_for(precision))
            if group.most_users(context, facts) >= users:
                return group
        raise ConfigError(f"{model.name} for {users} users of {context} tokens: more than 1,024 nodes")

    @classmethod
    def fastest(
        cls, model: ModelConfig, gpu: Gpu, precision: str, users: int, context: int, facts: Facts
    ) -> GpuGroup:
        """The group of up to one node (or the smallest that holds the users) with the shortest step."""
        least = cls.smallest(model, gpu, precision, users, context, facts)
        groups = [least]
        while groups[-1].count < gpu.node_gpus:
            groups.append(cls(model, gpu, 2 * groups[-1].count, least.precision))
        return min(groups, key=lambda group: group.step_s(users, context, facts).value)

    def most_users(self, context: int, facts: Facts) -> int:
        """Users whose keys and values fit beside the weights; below 0 if the weights do not."""
        room = self.count * self.gpu.hbm_bytes * facts.value("usable_memory")
        room -= weight_bytes(self.model, self.precision)
        return math.floor(room / cost.kv_bytes(self.model, context, KV_BITS))

    def touched_bytes(self, users: int) -> float:
        """Weights that a step reads: of experts only those that the batch picks."""
        total, active = parameters.total(self.model), parameters.active(self.model)
        experts = self.model.experts
        share = 1.0
        if experts is not None:
            picked = cost.distinct_experts(experts.number, experts.per_token, users)
            idle = 1.0 - experts.per_token / experts.number
            share = (total - (total - active) * (experts.number - picked) / experts.number / idle) / total
        return share * weight_bytes(self.model, self.precision)

    def step_s(self, users: int, context: int, facts: Facts) -> Range:
        """Seconds of a decode step, with the range of the efficiencies."""
        read = self.touched_bytes(users) + users * cost.kv_bytes(self.model, context, KV_BITS)
        memory_s = read / (self.count * self.gpu.hbm_bytes_per_s) / facts.range("memory_efficiency")
        work = users * cost.decode_flops(self.model, context)
        peak = self.count * self.gpu.flops[self.precision]
        compute_s = work / peak / facts.range("compute_efficiency")
        slower = Range(*(max(getattr(memory_s, e), getattr(compute_s, e)) for e in ("value", "low", "high")))
        return slower + 2 * self.model.num_layers * self._allreduce_s(users, facts) + facts.range("launch_s")

    def _allreduce_s(self, users: int, facts: Facts) -> Range:
        """Seconds of an all-reduce of the activations: none, within a node, or over nodes."""
        moved = users * self.model.hidden * 2
        if self.count == 1:
            return Range(0.0)
        if self.count <= self.gpu.node_gpus:
            return facts.range("allreduce_s") + moved / self.gpu.link_bytes_per_s
        return facts.range("allreduce_between_nodes_s") + moved / facts.range("nic_bytes_per_s")

    def prefill_s(self, tokens: int, facts: Facts) -> Range:
        """Seconds of a prompt: operations at the published share of the peak, weights read once at least."""
        peak = self.count * self.gpu.flops[self.precision]
        work_s = sum(cost.prefill_flops(self.model, tokens)) / peak / facts.range("compute_efficiency")
        read = weight_bytes(self.model, self.precision) / (self.count * self.gpu.hbm_bytes_per_s)
        read_s = read / facts.range("memory_efficiency")
        return Range(*(max(getattr(work_s, e), getattr(read_s, e)) for e in ("value", "low", "high")))

    def power_w(self) -> float:
        """Power of the nodes' share that the group takes, W."""
        return self.count / self.gpu.node_gpus * self.gpu.node_w

    def measured(self) -> list[dict[str, Any]]:
        """Published points of this model on this GPU."""
        points = [row for row in tables("gpu")["measured"] if row["gpu"] == self.gpu.key]
        return [row for row in points if same(row["model"], self.model)]


def same(name: str, model: ModelConfig) -> bool:
    """Whether a published point is of this model: the same name, or a sibling of the same shape."""

    def plain(text: str) -> str:
        return text.lower().replace("_", "-").replace("llama-3.3", "llama-3.1").removesuffix("-instruct")

    return plain(name) == plain(model.name)


def _inverse(count: float, time: Range) -> Range:
    return count / time


def serve_on(group: GpuGroup, users: int, prompt: int, context: int, facts: Facts) -> dict[str, Any]:
    """Speed, power and cost of so many users on a group.

    Returns
    -------
    dict
        Per user, in all, per token and per million tokens; low and high from the efficiencies and prices.
    """
    step = group.step_s(users, context, facts)
    total = _inverse(users, step)
    power = group.power_w()
    weights = group.touched_bytes(1)
    kv_bytes = cost.kv_bytes(group.model, context, KV_BITS)
    usd = usd_per_mtoken(group.count, group.gpu.usd_per_hour, total.value)
    return {
        "gpus": group.count,
        "users": users,
        "tpot_s": step.as_dict(),
        "ttft_s": group.prefill_s(prompt, facts).as_dict(),
        "tokens_per_s_user": _inverse(1, step).as_dict(),
        "tokens_per_s_total": total.as_dict(),
        "floor_tokens_per_s_user": floor_tokens_per_s(weights, kv_bytes, group.gpu, group.count),
        "power_w": power,
        "joules_per_token": (power / total).as_dict(),
        "usd_per_mtoken": Range(
            usd.value, usd.low * total.value / total.high, usd.high * total.value / total.low
        ).as_dict(),
    }


def gpu_alternative(
    model: ModelConfig,
    *,
    users: int = 1,
    prompt: int = 2048,
    context: int = 4096,
    precision: str = "fp8",
    facts: Facts | None = None,
) -> list[dict[str, Any]]:
    """The same question for every kind of GPU: at the users asked for, and as full as its memory allows.

    Parameters
    ----------
    model : ModelConfig
        The model.
    users, prompt, context : int
        Users at once, tokens of a prompt, tokens of a sequence.
    precision : str
        ``bf16``, ``fp8`` or ``fp4``; a GPU without it takes the next wider one.
    facts : Facts, optional
        The assumptions.

    Returns
    -------
    list of dict
        One per kind: the smallest group that holds the model at the users asked for (``at_users``) and as
        full as its memory allows (``at_most``), the fastest group of a node (``fastest``), published points
        (``measured``).
    """
    facts = facts or Facts.load()
    out = []
    for gpu in gpus().values():
        group = GpuGroup.smallest(model, gpu, precision, users, context, facts)
        most = group.most_users(context, facts)
        out.append(
            {
                "gpu": gpu.key,
                "name": gpu.name,
                "gpus": group.count,
                "precision": group.precision,
                "at_users": serve_on(group, users, prompt, context, facts),
                "fastest": serve_on(
                    GpuGroup.fastest(model, gpu, precision, users, context, facts),
                    users,
                    prompt,
                    context,
                    facts,
                ),
                "at_most": serve_on(group, most, prompt, context, facts),
                "capex_usd": (gpu.usd * group.count).as_dict(),
                "site_w": (group.power_w() * facts.range("site_factor")).as_dict(),
                "measured": group.measured(),
                "source": gpu.source,
            }
        )
    return out
