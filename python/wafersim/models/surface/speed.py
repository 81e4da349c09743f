"""Cycles of a layer on a mesh, from a linear model of its steps, and how that model came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wafersim.models.accounting.assumption import Assumption
from wafersim.models.accounting.config import Layer, ModelConfig
from wafersim.models.work.decode_steps import placed_steps
from wafersim.models.work.layout import is_latent, share
from wafersim.models.work.mesh import WAFERLLM, Mesh
from wafersim.models.work.prefill_steps import prefill_work
from wafersim.models.work.steps import Step, Work, product, work

if TYPE_CHECKING:
    from wafersim.arch import Arch


@dataclass(frozen=True, slots=True)
class Costs:
    """Cycles per unit of work; `method` says where they come from.

    Attributes
    ----------
    op, mapped, call, element, single, serial, scalar : float
        A vector op, a multiply-add op of a product, a product; an element in fp16, one in fp32,
        one that is reduced to a single value, one that scalar code handles.
    reduce, stage, hop, wavelet : float
        An all-reduce, a software forwarding, a link, a wavelet of the message.
    error : float
        Relative error of a layer's time by these costs.
    """

    op: float
    mapped: float
    call: float
    element: float
    single: float
    serial: float
    scalar: float
    reduce: float
    stage: float
    hop: float
    wavelet: float
    method: str
    error: float
    source: str

    def decode(self, done: Work) -> float:
        """Cycles of a decode layer."""
        return (
            self.compute(done)
            + self.reduce * done.reduces
            + self.stage * done.stages
            + self.hop * done.hops
            + self.wavelet * done.wavelets
        )

    def compute(self, done: Work) -> float:
        """Cycles of work on the PE itself."""
        return (
            self.op * (done.ops - done.mapped)
            + self.mapped * done.mapped
            + self.call * done.calls
            + self.element * done.elements
            + self.single * done.singles
            + self.serial * done.serial
            + self.scalar * done.scalars
        )

    def decode_parts(self, done: Work) -> dict[str, float]:
        """Cycles of a decode layer by what they are spent on."""
        return {
            "compute": self.compute(done),
            "fabric_latency": self.reduce * done.reduces + self.stage * done.stages + self.hop * done.hops,
            "fabric_bandwidth": self.wavelet * done.wavelets,
        }


def formula_costs(arch: Arch) -> Costs:
    """Rules of thumb of the published program, for machines without a surface of simulated layers."""
    wide = arch.generation >= 3
    return Costs(
        op=16.0,
        mapped=8.0,
        call=30.0,
        element=1 / 6 if wide else 1 / 3,
        single=1.0,
        serial=2.0,
        scalar=25.0,
        reduce=60.0,
        stage=24.0,
        hop=float(arch.hop_cycles),
        wavelet=6.0,
        method="formula",
        error=0.30,
        source=f"{WAFERLLM}: an op of a product 8 + n/3 cycles, a stage 24, rolled scalar code 25, a sum 2",
    )


class Speed:
    """Seconds of layers on meshes of one machine; remembers what it was asked."""

    def __init__(self, arch: Arch, costs: Costs | None = None) -> None:
        from wafersim.models.surface.product_costs import product_costs
        from wafersim.models.surface.surface import costs_of

        self.arch = arch
        self.costs = costs if costs is not None else costs_of(arch)
        self.product = product_costs(arch)
        self.clock_hz = float(arch.clock_hz)
        #: simulated over interpolated time, by kind of layer
        self.factors: dict[Layer, float] = {}
        self._decode: dict[tuple[ModelConfig, Layer, Mesh, int, int], float] = {}

    def decode_s(self, model: ModelConfig, layer: Layer, mesh: Mesh, batch: int, context: int) -> float:
        """Seconds of one decode layer."""
        key = (model, layer, mesh, batch, context)
        if key not in self._decode:
            done = work(*placed_steps(model, layer, mesh, batch, context))
            self._decode[key] = self.costs.decode(done) / self.clock_hz
        return self._decode[key] * self.factors.get(layer, 1.0)

    def prefill_s(self, model: ModelConfig, layer: Layer, mesh: Mesh, tokens: int, past: int = 0) -> float:
        """Seconds of one layer for a piece of a prompt."""
        done, c, p = prefill_work(model, layer, mesh, tokens, past), self.costs, self.product
        cycles = sum(p.cycles(*product) for product in done.products) + c.wavelet * done.shifts / 2
        cycles += c.op * done.ops + c.element * done.elements + c.single * done.singles
        cycles += c.scalar * done.scalars
        cycles += (
            c.reduce * done.reduces + c.stage * done.stages + c.hop * done.hops + c.wavelet * done.wavelets
        )
        return cycles / self.clock_hz

    def head_s(self, model: ModelConfig, mesh: Mesh, batch: int) -> float:
        """Seconds of the last norm, the output head and the choice of the largest logit."""
        return self.costs.decode(work(head_steps(model, mesh, batch), mesh)) / self.clock_hz

    def method(self, model: ModelConfig) -> str:
        """Where decode layers' times come from."""
        if self.factors and set(self.factors) == set(model.layers):
            return "simulated"
        return (
            "extrapolated" if is_latent(model) and self.costs.method == "interpolated" else self.costs.method
        )

    def prefill_method(self, model: ModelConfig) -> str:
        """Where prefill layers' times come from."""
        if is_latent(model) and self.product.method == "interpolated":
            return "extrapolated"
        return self.product.method if self.costs.method != "formula" else "formula"

    def validity(self, model: ModelConfig) -> dict[str, object]:
        """How far measured layers support these times."""
        measured = "WLLM4: decode layers on WSE-2 silicon; none is public for WSE-3 or for models as served"
        is_near = self.costs.method != "formula" and not is_latent(model) and model.experts is None
        return {
            "status": "extrapolated" if is_near else "unvalidated",
            "rows": ["WLLM4-001", "WLLM4-002", "WLLM4-003"] if is_near else [],
            "note": measured,
        }

    def assumptions(self, model: ModelConfig) -> list[Assumption]:
        confidence = "derived" if self.costs.method != "formula" else "low"
        notes = [Assumption("layer_time", self.costs.method, self.costs.source, confidence)]
        notes.append(
            Assumption("prefill_product", self.product.method, self.product.source, "derived",
                       note="steps, columns and ops of products; attention by all-reduces of the surface")
        )  # fmt: skip
        for layer, factor in self.factors.items():
            what = "all tokens" if layer.window is None else f"a window of {layer.window}"
            notes.append(
                Assumption(
                    "layer_simulated", round(factor, 4), f"simulated over interpolated, {what}", "derived"
                )
            )
        if is_latent(model):
            notes.append(
                Assumption(
                    "latent_attention",
                    "absorbed form",
                    "steps of our program; the surface holds no layer with latent attention",
                    "low",
                )
            )
        return notes


def head_steps(model: ModelConfig, mesh: Mesh, batch: int) -> list[Step]:
    """The last norm and the head: logits along x, the largest one by an all-reduce of value and place."""
    dim = share(model.hidden, mesh.height)
    own = share(model.vocab, mesh.width)
    return [
        Step("norm", ops=4 * batch, elements=4 * batch * dim, scalars=batch, axis="y", reduced=batch),
        product("head", dim, own, batch, "y", batch * own),
        Step("choose", ops=2 * batch, elements=batch * own, serial=batch * own, axis="x", reduced=2 * batch),
    ]
