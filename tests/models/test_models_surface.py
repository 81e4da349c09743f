"""The surface of simulated layers: what is shipped, and how well it interpolates."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.arch import Arch
from wafersim.models import surface
from wafersim.models.config import ModelConfig
from wafersim.models.exact_run import exact_run
from wafersim.models.mesh import Mesh
from wafersim.models.speed import Speed
from wafersim.simulate import Simulator


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_leave_one_out(arch):
    errors = np.abs(surface.leave_one_out(Arch.load(arch)))
    assert len(errors) >= 20
    assert np.median(errors) <= 0.05
    assert errors.max() <= 0.20


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
def test_costs_are_plausible(arch):
    machine = Arch.load(arch)
    costs = surface.costs_of(machine)
    assert costs.method == "interpolated"
    assert costs.hop == machine.hop_cycles
    assert 3 <= costs.mapped <= 12 and 10 <= costs.stage <= 30
    assert min(costs.element, costs.single, costs.wavelet, costs.call) > 0


def test_a_shipped_point_is_what_a_run_gives():
    point = surface.points_of("wse2")[5]
    model = ModelConfig.from_hf(point["config"], "surface")
    machine = Arch.load("wse2")
    built = exact_run(
        machine, model, model.layers[0], tuple(point["mesh"]), point["batch"], point["context"], True
    )
    sim = Simulator(built.program, machine)
    sim.launch("main")
    assert built.metrics(sim, sim.run())["window_cycles"] == point["cycles"]


#: published prefill layers (WLLM3): 4096 tokens, million cycles; the formula is not fitted to them
PREFILL = {(4096, 14336, 480): 6.929, (4096, 14336, 600): 5.624, (4096, 14336, 720): 5.086,
           (5120, 13824, 480): 8.231, (5120, 13824, 600): 6.683, (5120, 13824, 720): 6.437}  # fmt: skip


@pytest.mark.parametrize("case", PREFILL)
def test_the_prefill_formula_is_as_far_off_as_documented(case):
    hidden, ffn, side = case
    config = {"model_type": "llama", "hidden_size": hidden, "intermediate_size": ffn, "num_hidden_layers": 1,
              "num_attention_heads": 32, "vocab_size": 64}  # fmt: skip
    model, machine = ModelConfig.from_hf(config), Arch.load("wse2")
    seconds = Speed(machine).prefill_s(model, model.layers[0], Mesh.of(side, side), 4096)
    assert seconds * machine.clock_hz / 1e6 == pytest.approx(PREFILL[case], rel=0.21)


def test_least_squares_without_negative_costs():
    rng = np.random.default_rng(5)
    a = rng.uniform(0, 1, (30, 4))
    x = surface._least_squares(a, a @ np.array([2.0, 0.0, 1.0, 3.0]))
    assert x == pytest.approx([2, 0, 1, 3], abs=1e-9)
    x = surface._least_squares(a, -a[:, 0])
    assert (x == 0).all()


def test_a_machine_without_points_is_estimated_by_formula():
    assert surface.costs_of(Arch.load("wse2").replace(name="other")).method == "formula"
