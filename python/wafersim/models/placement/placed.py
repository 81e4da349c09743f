"""A model placed on wafers: times of decode and prefill through its pipeline of regions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from wafersim.models.accounting import cost
from wafersim.models.accounting.config import Layer, ModelConfig
from wafersim.models.placement.partition import Cut
from wafersim.models.placement.regions import Regions
from wafersim.models.placement.wafer import Wafer
from wafersim.models.surface.speed import Speed
from wafersim.models.work.mesh import Mesh

#: pieces of a prompt that are tried
CHUNKS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)

ACTIVATION_BYTES = 2


@dataclass(frozen=True, slots=True)
class Stage:
    """The layers of one region: how many of each kind; the head counts as a stage of its own."""

    wafer: int
    mesh: Mesh
    layers: tuple[tuple[Layer, int], ...]
    is_head: bool = False


class PlacedModel:
    """One copy of a model on its wafers; implements :class:`ServiceModel`.

    Parameters
    ----------
    model, wafer, speed
        What, on which machine, with which layer times.
    cuts, regions
        Layers of every wafer and its regions, one entry per wafer.
    """

    def __init__(
        self, model: ModelConfig, wafer: Wafer, speed: Speed, cuts: Sequence[Cut], regions: Sequence[Regions]
    ) -> None:
        self.model, self.wafer, self.speed = model, wafer, speed
        self.cuts, self.regions = tuple(cuts), tuple(regions)
        self._seconds: dict[tuple[object, ...], float] = {}

    @property
    def wafers(self) -> int:
        return len(self.cuts)

    @property
    def stages(self) -> int:
        return len(self.pipeline)

    @cached_property
    def pipeline(self) -> tuple[Stage, ...]:
        """All stages in order."""
        out = []
        for number, region in enumerate(self.regions):
            for mesh, first, count in zip(region.meshes, region.first, region.counts, strict=True):
                kinds = Counter(self.model.layers[first : first + count])
                out.append(Stage(number, mesh, tuple(kinds.items())))
            if region.head is not None:
                out.append(Stage(number, region.head, (), is_head=True))
        return tuple(out)

    @cached_property
    def _room(self) -> list[tuple[int, dict[Layer, int]]]:
        """For every wafer: bytes left beside the weights, and its layers."""
        out = []
        for region in self.regions:
            kinds = Counter(
                self.model.layers[i]
                for count, first in zip(region.counts, region.first, strict=True)
                for i in range(first, first + count)
            )
            weights = sum(n * cost.layer_weight_bytes(self.model, layer) for layer, n in kinds.items())
            pes = sum(mesh.pes for mesh in region.meshes)
            if kinds:
                out.append((pes * self.wafer.pe_data_bytes - weights, dict(kinds)))
        return out

    def users_that_fit(self, context: int) -> int:
        """Sequences of `context` tokens whose keys and values fit beside the weights."""
        fits = []
        for room, kinds in self._room:
            each = sum(n * cost.layer_kv_bytes(self.model, layer, context) for layer, n in kinds.items())
            if each:
                fits.append(max(0, room // each))
        return int(min(fits, default=0))

    @property
    def kv_capacity_tokens(self) -> int:
        """Tokens in all sequences together, every layer keeping all of them."""
        elements = cost.kv_elements_per_layer(self.model) * self.model.quantization.kv_bits / 8
        return int(min(max(0, room) / (elements * sum(kinds.values())) for room, kinds in self._room))

    def stage_s(self, stage: Stage, batch: int, context: int) -> float:
        """Seconds of one stage for one batch, without hand-over."""
        key = (stage.mesh, stage.layers, batch, context)
        if key not in self._seconds:
            self._seconds[key] = (
                self.speed.head_s(self.model, stage.mesh, batch)
                if stage.is_head
                else sum(
                    number * self.speed.decode_s(self.model, layer, stage.mesh, batch, context)
                    for layer, number in stage.layers
                )
            )
        return self._seconds[key]

    def handover_s(self, before: Stage, after: Stage, tokens: int) -> float:
        """Seconds to move activations from a stage to the next: over a link, or across a region."""
        size = tokens * self.model.hidden * ACTIVATION_BYTES
        if before.wafer != after.wafer:
            return self.wafer.link_latency_s + size / self.wafer.link_bytes_per_s
        hops = before.mesh.width + before.mesh.height
        words = -(-size // 4) // max(1, min(before.mesh.height, after.mesh.height))
        return (hops * self.wafer.hop_cycles + words) / self.wafer.clock_hz

    def link_s(self, batch: int) -> float:
        """Seconds of one step spent between wafers, the token's way back to the first one included."""
        if self.wafers == 1:
            return 0.0
        return self._moves(batch)[1] + self.wafer.link_latency_s

    def _moves(self, tokens: int) -> tuple[float, float]:
        """Seconds of all hand-overs on wafers and between wafers."""
        inside = between = 0.0
        for before, after in zip(self.pipeline, self.pipeline[1:], strict=False):
            seconds = self.handover_s(before, after, tokens)
            if before.wafer == after.wafer:
                inside += seconds
            else:
                between += seconds
        return inside, between

    def decode_step_s(self, batch: int, context: int) -> float:
        stages = sum(self.stage_s(stage, batch, context) for stage in self.pipeline)
        return stages + self._moves(batch)[0] + self.link_s(batch)

    def decode_interval_s(self, batch: int, context: int) -> float:
        slowest = max(self.stage_s(stage, batch, context) for stage in self.pipeline)
        size = batch * self.model.hidden * ACTIVATION_BYTES
        return max(slowest, size / self.wafer.link_bytes_per_s if self.wafers > 1 else 0.0)

    def _prefill(self, tokens: int) -> tuple[float, float]:
        """Seconds to the end of a prompt, and seconds that the slowest stage is busy with it."""
        best = (float("inf"), float("inf"))
        for chunk in sorted({min(chunk, tokens) for chunk in CHUNKS} | {tokens}):
            pieces = -(-tokens // chunk)
            past = (tokens - chunk) // 2
            stages = [self._prefill_stage(stage, chunk, past) for stage in self.pipeline]
            inside, between = self._moves(chunk)
            busy = pieces * max(stages)
            total = sum(stages) + inside + between + (pieces - 1) * max(stages)
            best = min(best, (total, busy))
        return best

    def _prefill_stage(self, stage: Stage, tokens: int, past: int) -> float:
        if stage.is_head:  # only the last token needs it
            return self.speed.head_s(self.model, stage.mesh, 1)
        key = ("prefill", stage.mesh, stage.layers, tokens, past)
        if key not in self._seconds:
            self._seconds[key] = sum(
                number * self.speed.prefill_s(self.model, layer, stage.mesh, tokens, past)
                for layer, number in stage.layers
            )
        return self._seconds[key]

    def prefill_s(self, tokens: int) -> float:
        return self._prefill(tokens)[0]

    def prefill_interval_s(self, tokens: int) -> float:
        return self._prefill(tokens)[1]
