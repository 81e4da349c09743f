"""Whole layers over wafers: by bytes first, then by time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wafersim.errors import ConfigError
from wafersim.models.accounting import cost, parameters
from wafersim.models.accounting.config import ModelConfig
from wafersim.models.placement.wafer import Wafer


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of every unit that stays whole: input embedding, layers (with the cache of all users), head."""

    embedding: int
    weights: tuple[int, ...]
    caches: tuple[int, ...]
    head: int

    @staticmethod
    def of(model: ModelConfig, users: int, context: int) -> Sizes:
        outer = parameters.outer_counts(model)
        table = cost.stored_bytes(model, type(outer)(embedding=outer["embedding"]))
        # a tied matrix is needed at both ends; on one wafer both ends are the same place
        head = table if model.tied else cost.stored_bytes(model, type(outer)(head=outer["head"]))
        weights = {layer: cost.layer_weight_bytes(model, layer) for layer in set(model.layers)}
        caches = {layer: cost.layer_kv_bytes(model, layer, context) for layer in set(model.layers)}
        return Sizes(
            table,
            tuple(weights[layer] for layer in model.layers),
            tuple(users * caches[layer] for layer in model.layers),
            head,
        )

    def layer(self, i: int) -> int:
        return self.weights[i] + self.caches[i]


def capacity_bound(model: ModelConfig, wafer: Wafer, users: int, context: int) -> int:
    """Wafers by bytes alone: ``ceil((weights + users kv(context)) / (SRAM fill))``."""
    size = cost.weight_bytes(model) + users * cost.kv_bytes(model, context)
    return max(1, math.ceil(size / (wafer.sram_bytes * wafer.fill)))


@dataclass(frozen=True, slots=True)
class Cut:
    """Layers ``first`` to ``last - 1`` on one wafer, and which ends of the model are there, too."""

    first: int
    last: int
    has_embedding: bool
    has_head: bool

    @property
    def layers(self) -> range:
        return range(self.first, self.last)


def smallest_cuts(sizes: Sizes, wafer: Wafer, is_tied: bool) -> list[Cut]:
    """The fewest wafers that hold all units in order.

    Raises
    ------
    ConfigError
        One layer is larger than a wafer.
    """
    cuts = _fill(sizes, wafer, is_tied, [0.0] * len(sizes.weights), math.inf)
    if cuts is None:
        worst = max(range(len(sizes.weights)), key=sizes.layer)
        raise ConfigError(
            f"layer {worst} needs {sizes.layer(worst) / 1e9:.2f} GB ({sizes.weights[worst] / 1e9:.2f} GB of "
            f"weights, {sizes.caches[worst] / 1e9:.2f} GB of keys and values), a wafer holds "
            f"{wafer.data_bytes / 1e9:.2f} GB; "
            "layers stay whole: fewer users, a shorter context or a narrower dtype would fit"
        )
    return cuts


def balanced_cuts(
    sizes: Sizes, wafer: Wafer, is_tied: bool, times: Sequence[float], number: int
) -> list[Cut] | None:
    """At most `number` wafers with the smallest largest sum of layer times; None if they do not fit."""
    if _fill(sizes, wafer, is_tied, times, math.inf, number) is None:
        return None
    low, high = max(times), sum(times)
    best = _fill(sizes, wafer, is_tied, times, high, number)
    for _ in range(40):
        middle = (low + high) / 2
        found = _fill(sizes, wafer, is_tied, times, middle, number)
        if found is None:
            low = middle
        else:
            best, high = found, middle
    return best


def _fill(
    sizes: Sizes, wafer: Wafer, is_tied: bool, times: Sequence[float], most_time: float, most: int = 1 << 20
) -> list[Cut] | None:
    """Wafers filled in order up to their bytes and `most_time`; None if that takes more than `most`."""
    cuts: list[Cut] = []
    number, i = len(sizes.weights), 0
    while i < number:
        # on one wafer a tied matrix serves both ends
        used = sizes.embedding if i == 0 else 0
        spent, first = 0.0, i
        while i < number and used + sizes.layer(i) <= wafer.data_bytes:
            if i > first and spent + times[i] > most_time * (1 + 1e-12):
                break
            used += sizes.layer(i)
            spent += times[i]
            i += 1
        if i == first and (cuts or not 0 < sizes.embedding <= wafer.data_bytes):
            return None
        cuts.append(Cut(first, i, first == 0 and not any(cut.has_embedding for cut in cuts), False))
        if i == first:  # the embedding alone fills the first wafer
            sizes = Sizes(0, sizes.weights, sizes.caches, sizes.head)
        if len(cuts) > most:
            return None
    return _with_head(cuts, sizes, wafer, is_tied, most)


def _with_head(cuts: list[Cut], sizes: Sizes, wafer: Wafer, is_tied: bool, most: int) -> list[Cut] | None:
    """The head on the last wafer, or on one of its own after it."""
    last = cuts[-1]
    used = sum(sizes.layer(i) for i in last.layers) + (sizes.embedding if last.has_embedding else 0)
    head = 0 if is_tied and last.has_embedding else sizes.head
    if used + head <= wafer.data_bytes:
        cuts[-1] = Cut(last.first, last.last, last.has_embedding, True)
    elif sizes.head > wafer.data_bytes:
        return None
    else:
        cuts.append(Cut(last.last, last.last, False, True))
    return cuts if len(cuts) <= most else None
