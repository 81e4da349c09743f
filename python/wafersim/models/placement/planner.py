"""How many wafers, which regions, which batches: the fastest placement that holds the users."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from wafersim.errors import ConfigError
from wafersim.models.accounting.config import ModelConfig
from wafersim.models.placement.partition import Cut, Sizes, balanced_cuts, capacity_bound, smallest_cuts
from wafersim.models.placement.placed import PlacedModel
from wafersim.models.placement.regions import Regions, layers_per_region, place
from wafersim.models.placement.speculation import Speculation
from wafersim.models.placement.wafer import Wafer
from wafersim.models.surface.speed import Speed
from wafersim.models.work.mesh import Mesh

MOST_WAFERS = 4096


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How users share the pipeline: `flights` batches under way, of `batch` users each.

    `tpot_s` is the time from one token of a user to the next, before speculation.
    """

    flights: int
    batch: int
    tpot_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The chosen placement and rhythm, and the bound by bytes alone."""

    placed: PlacedModel
    rhythm: Rhythm
    bound: int
    users: int
    context: int


def rhythm(placed: PlacedModel, users: int, context: int, speculation: Speculation) -> Rhythm:
    """The batch that gives the shortest time per token: a batch per stage at most, all users served."""
    best: Rhythm | None = None
    most = min(users, placed.stages)
    for batch in sorted({-(-users // flights) for flights in range(1, most + 1)}):
        flights = -(-users // batch)
        if flights > placed.stages:
            continue
        width = batch * speculation.width
        step = placed.decode_step_s(width, context)
        step = max(step, flights * placed.decode_interval_s(width, context))
        if best is None or step < best.tpot_s:
            best = Rhythm(flights, batch, step)
    assert best is not None, "one flight is always possible"
    return best


class Planner:
    """Places one model on one machine."""

    def __init__(
        self, model: ModelConfig, wafer: Wafer, speed: Speed, speculation: Speculation | None = None
    ) -> None:
        self.model, self.wafer, self.speed = model, wafer, speed
        self.speculation = speculation if speculation is not None else Speculation()
        self._regions: dict[tuple[object, ...], tuple[int, Regions | None]] = {}
        self.placements = lru_cache(maxsize=256)(self._placements)

    def plan(self, users: int, context: int, wafers: int | None = None) -> Plan:
        """The fewest wafers (or exactly `wafers`) that hold the users, in the fastest regions.

        Raises
        ------
        ConfigError
            The model and its users do not fit; the message says what is too large.
        """
        sizes = Sizes.of(self.model, users, context)
        least = len(smallest_cuts(sizes, self.wafer, self.model.tied))
        if wafers is not None and wafers < least:
            raise ConfigError(self._too_few(sizes, users, context, wafers, least))
        number = least if wafers is None else wafers
        while number <= MOST_WAFERS:
            found = self._fastest(users, context, number)
            if found is not None:
                placed, chosen = found
                bound = capacity_bound(self.model, self.wafer, users, context)
                return Plan(placed, chosen, bound, users, context)
            if wafers is not None:
                break
            number += 1
        raise ConfigError(
            f"{self.model.name}: {users} users of {context} tokens do not fit the regions of {number} "
            "wafers; fewer users, a shorter context or more wafers would"
        )

    def _too_few(self, sizes: Sizes, users: int, context: int, wafers: int, least: int) -> str:
        weights = (sizes.embedding + sum(sizes.weights) + sizes.head) / 1e9
        return (
            f"--wafers {wafers}: too few; {weights:.1f} GB of weights and {sum(sizes.caches) / 1e9:.1f} GB "
            f"of keys and values ({users} users x {context} tokens) in whole layers take {least} wafers of "
            f"{self.wafer.data_bytes / 1e9:.1f} GB"
        )

    def _fastest(self, users: int, context: int, number: int) -> tuple[PlacedModel, Rhythm] | None:
        best: tuple[PlacedModel, Rhythm] | None = None
        for placed in self.placements(users, context, number):
            chosen = rhythm(placed, users, context, self.speculation)
            if best is None or chosen.tpot_s < best[1].tpot_s:
                best = (placed, chosen)
        return best

    def _placements(self, users: int, context: int, number: int) -> list[PlacedModel]:
        return list(self._find(users, context, number))

    def _find(self, users: int, context: int, number: int) -> Iterator[PlacedModel]:
        """All placements on `number` wafers that hold the users, one per size of regions."""
        sizes = Sizes.of(self.model, users, context)
        reference = Mesh.of(self.wafer.width // 2, self.wafer.height // 2)
        kinds = {
            layer: self.speed.decode_s(self.model, layer, reference, 1, context)
            for layer in set(self.model.layers)
        }
        times = [kinds[layer] for layer in self.model.layers]
        cuts = balanced_cuts(sizes, self.wafer, self.model.tied, times, number)
        if cuts is None:
            return
        for most in layers_per_region(max(len(cut.layers) for cut in cuts)):
            regions = [self._place(cut, sizes, most, context) for cut in cuts]
            if all(region is not None for region in regions):
                yield PlacedModel(self.model, self.wafer, self.speed, cuts, [r for r in regions if r])

    def _place(self, cut: Cut, sizes: Sizes, most: int, context: int) -> Regions | None:
        """The regions of one wafer; wafers with the same layers are placed once."""
        layers = self.model.layers
        users = self._most_users(cut, context)
        kinds = tuple(layers[i] for i in cut.layers)
        held = tuple(sizes.layer(i) for i in cut.layers)
        key = (kinds, held, cut.has_embedding, cut.has_head, most, context)
        if key not in self._regions:

            def rate(mesh: Mesh, first: int, count: int) -> float:
                own = Counter(layers[i] for i in range(first, first + count))
                return sum(
                    n * self.speed.decode_s(self.model, kind, mesh, 1, context) for kind, n in own.items()
                )

            full = Sizes.of(self.model, users, context)
            self._regions[key] = (cut.first, place(cut, sizes, full, self.wafer, most, self.model.tied, rate))
        first, found = self._regions[key]
        if found is None:
            return None
        return replace(found, first=tuple(cut.first - first + start for start in found.first))

    def _most_users(self, cut: Cut, context: int) -> int:
        """Users whose cache a wafer can hold beside its weights."""
        empty = Sizes.of(self.model, 0, context)
        each = sum(Sizes.of(self.model, 1, context).caches[i] for i in cut.layers)
        fixed = sum(empty.weights[i] for i in cut.layers)
        fixed += (empty.embedding if cut.has_embedding else 0) + (empty.head if cut.has_head else 0)
        return max(0, (self.wafer.data_bytes - fixed) // each) if each else 0
