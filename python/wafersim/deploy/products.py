"""How much of the dense peak the products of a training step reach, from the op times of `models`.

In weight-streaming mode activations lie still: a PE has the features of its column and the tokens of its row.
Every weight that arrives starts one multiply-add op over the tokens of each PE in its column: a K x N matrix
takes ceil(K / width) N ops of length ceil(tokens / height) on every PE; an expert's weights meet its share of
the tokens only.  The time of an op is that of the layer model: a fixed part and a part per element, from
simulated products where there are any.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from wafersim.arch import Arch
from wafersim.models.accounting.config import Layer, ModelConfig
from wafersim.models.placement.wafer import Wafer
from wafersim.models.surface.speed import Speed
from wafersim.models.work.layout import share
from wafersim.models.work.prefill_steps import products as matrices


@dataclass(frozen=True, slots=True)
class Products:
    """Products of all layers at one number of tokens.

    Attributes
    ----------
    utilization : float
        Multiply-adds over the time they take and the dense peak of the wafer.
    op_cycles : float
        Cycles of one op; of experts they are shorter.
    op_length : int
        Tokens of a PE.
    method : str
        Where the op times are from.
    """

    utilization: float
    op_cycles: float
    op_length: int
    method: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


def streamed_products(model: ModelConfig, arch: str | Arch, tokens: float) -> Products:
    """The products of a forward pass with weights streamed over resident activations.

    Parameters
    ----------
    model : ModelConfig
        The model.
    arch : str or Arch
        The machine.
    tokens : float
        Tokens of the pass on one wafer.

    Returns
    -------
    Products
    """
    machine = Arch.load(arch) if isinstance(arch, str) else arch
    wafer, speed = Wafer.of(machine), Speed(machine)
    costs = speed.costs
    # an op of a product, where the layer model tells it from other vector ops
    fixed: float = getattr(costs, "mapped", costs.op)

    def op_cycles(part: float) -> float:
        return fixed + costs.element * share(max(1, math.ceil(part)), wafer.height)

    cycles = macs = 0.0
    for layer, number in Counter(model.layers).items():
        for rows, columns, count, part in _streams(model, layer, tokens):
            ops = share(rows, wafer.width) * columns
            cycles += number * count * ops * op_cycles(part)
            macs += number * count * rows * columns * part
    utilization = 2.0 * macs / (cycles / speed.clock_hz) / wafer.dense_flops
    length = share(max(1, math.ceil(tokens)), wafer.height)
    return Products(utilization, op_cycles(tokens), length, "formula")


def _streams(model: ModelConfig, layer: Layer, tokens: float) -> Iterator[tuple[int, int, int, float]]:
    """Every matrix of a layer: rows, columns, how many, and the tokens that meet it."""
    shapes = matrices(model, layer, max(1, round(tokens)))
    e = model.experts
    if layer.mlp_width is None and e is not None:
        # the layer model counts what a token takes; here all experts come, each for its part of the tokens
        for shape in ((model.hidden, e.width, 2 * e.per_token), (e.width, model.hidden, e.per_token)):
            shapes.remove(shape)
            rows, columns, count = shape
            yield rows, columns, count // e.per_token * e.number, tokens * e.per_token / e.number
    for rows, columns, count in shapes:
        yield rows, columns, count, tokens
