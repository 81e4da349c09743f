"""Decode layers as machine programs: values against NumPy, counters against the tables, published cycles."""

from __future__ import annotations

import numpy as np
import pytest

from wafersim.arch import Arch
from wafersim.errors import ConfigError
from wafersim.kernels import get
from wafersim.models import ModelConfig
from wafersim.models.decode.exact_run import exact_run, layer_plan
from wafersim.models.decode.kernel import part_of, published_run
from wafersim.models.pieces.small_models import SMALL, SMALL_MODELS, published_sizes
from wafersim.models.surface import simulated
from wafersim.models.work import published
from wafersim.models.work.decode_steps import placed_steps
from wafersim.models.work.exact_plan import exact_plan
from wafersim.models.work.mesh import Mesh, Tree
from wafersim.models.work.steps import work
from wafersim.program.schema import Event, Port
from wafersim.simulate import Simulator, run

WSE2 = Arch.load("wse2")

MOE = {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 24}
SHARED = {"model_type": "deepseek", "n_routed_experts": 6, "num_experts_per_tok": 2, "n_shared_experts": 1,
          "moe_intermediate_size": 20}  # fmt: skip

LATENT = dict(SMALL_MODELS["small-mla"])


def model_of(**changes):
    return ModelConfig.from_hf({**SMALL, **changes}, "small")


def simulate(built, arch=WSE2, seed=1):
    sim = Simulator(built.program, arch)
    built.setup(sim, np.random.default_rng(seed))
    sim.launch("main")
    return sim, sim.run()


@pytest.mark.parametrize(
    ("changes", "grid", "batch", "context", "arch"),
    [
        ({}, (8, 8), 1, 30, "wse2"),
        ({"num_key_value_heads": 8}, (8, 8), 1, 40, "wse2"),
        ({"num_key_value_heads": 1}, (8, 8), 1, 17, "wse2"),
        ({"hidden_size": 70, "intermediate_size": 50}, (9, 10), 3, 21, "wse2"),
        (MOE, (8, 8), 2, 30, "wse3"),
        (SHARED, (8, 8), 1, 9, "wse2"),
        (LATENT, (8, 8), 1, 30, "wse2"),
        (
            LATENT | {"num_attention_heads": 10, "hidden_size": 70, "first_k_dense_replace": 0},
            (4, 5),
            2,
            11,
            "wse3",
        ),
        (LATENT | {"model_type": "deepseek_v2", "q_lora_rank": None}, (7, 6), 1, 17, "wse2"),
    ],
    ids=[
        "grouped",
        "multi-head",
        "multi-query",
        "uneven",
        "experts",
        "shared expert",
        "latent",
        "latent with experts, uneven",
        "latent, queries direct",
    ],
)
def test_a_layer_equals_numpy(changes, grid, batch, context, arch):
    machine, model = Arch.load(arch), model_of(**changes)
    built = exact_run(machine, model, model.layers[0], grid, batch, context)
    sim, record = simulate(built, machine)
    assert record.status == "finished"
    error, good = built.check(sim)
    assert good and 0 < error < 0.01


@pytest.mark.parametrize(
    ("changes", "name"), [({}, "Wo"), (LATENT, "Wabsorb"), (LATENT, "Wv"), (LATENT, "cos")]
)
def test_the_check_finds_a_wrong_weight(changes, name):
    model = model_of(**changes)
    built = exact_run(WSE2, model, model.layers[0], (8, 8), 1, 30)
    sim = Simulator(built.program, WSE2)
    built.setup(sim, np.random.default_rng(1))
    weights = np.array(sim.read(name, rect=(0, 0, 8, 8)))
    weights[3, 3] *= 3
    sim.write(name, weights, rect=(0, 0, 8, 8))
    sim.launch("main")
    sim.run()
    assert not built.check(sim)[1]


def test_timing_runs_take_the_same_cycles():
    cycles = [
        run("llm_decode_layer", WSE2, (8, 8), {"timing": timing, "context": 20}).metrics["window_cycles"]
        for timing in (False, True)
    ]
    record = run(
        "llm_decode_layer", WSE2, (8, 8), {"timing": True, "context": 20}, fidelity="stream", values=False
    )
    assert cycles[0] == cycles[1] == record.metrics["window_cycles"]
    assert record.info["verified"] is None


def test_timing_runs_hold_the_experts_that_they_use():
    model = model_of(**MOE | {"num_local_experts": 24})
    plan = exact_plan(model, model.layers[0], 4, 4, 1, 9)
    assert (plan.held(False), plan.held(True)) == (24, 8)
    cycles = []
    for is_timing in (False, True):
        built = exact_run(WSE2, model, model.layers[0], (4, 4), 1, 9, is_timing)
        cycles.append(built.metrics(*simulate(built))["window_cycles"])
    assert cycles[1] - cycles[0] == 2 * plan.chosen  # the number of a fixed expert is loaded


def link_wavelets(record):
    return int(np.delete(record.links, int(Port.RAMP), axis=3).sum())


@pytest.mark.parametrize("batch", [2])
def test_published_counters_equal_the_tables(batch):
    tile, mesh = published.Tile(6, 5, 9), Mesh.of(12, 12, 3)
    _, record = simulate(published_run(WSE2, mesh, tile, batch))
    steps = published.steps(tile, batch)
    done = work(steps, mesh)
    d, s, f = tile.dim, tile.seq, tile.ffn
    assert done.mapped == batch * (3 * d + d + s + d + 2 * d + f)
    assert done.macs == batch * (3 * d * d + 2 * d * s + d * d + 3 * d * f)
    reduced = [(step.axis, step.reduced) for step in steps if step.axis]
    b = batch
    assert sorted(n for _, n in reduced) == sorted(
        [b, 3 * b * d, b * s, b, b, b * d, b * d, b, 2 * b * f, b * d]
    )
    assert [axis for axis, _ in reduced].count("y") == 7 and len(reduced) == 10
    # a PE at the end of its groups sends and receives once per all-reduce
    assert record.event_counts[0, 0, Event.VECTOR_OPS] == done.ops + 2 * done.reduces
    assert link_wavelets(record) == 12 * done.wavelet_hops


@pytest.mark.parametrize(
    "changes",
    [{}, {"num_key_value_heads": 8}, MOE, LATENT],
    ids=["grouped", "multi-head", "experts", "latent"],
)
def test_exact_counters_equal_the_steps(changes):
    model = model_of(**changes)
    plan = layer_plan(model, model.layers[0], 8, 8, 2, 30)
    _, record = simulate(exact_run(WSE2, model, model.layers[0], (8, 8), 2, 30))
    steps, mesh = placed_steps(model, model.layers[0], Mesh.of(8, 8), 2, 30)
    done = work(steps, mesh)
    append = next(step.ops for step in steps if step.name == "append")  # on one row of PEs only
    assert mesh == plan.mesh
    assert record.event_counts[0, 0, Event.VECTOR_OPS] == done.ops - append + 2 * done.reduces
    assert link_wavelets(record) == 8 * done.wavelet_hops


def test_a_mesh_takes_as_long_as_its_parts_say():
    tile = published.Tile(4, 3, 5)
    long, short = Tree(12, 3), Tree(4, 2)
    meshes = [
        Mesh(x.pes, y.pes, x, y) for x, y in ((long, long), (long, short), (short, long), (short, short))
    ]
    whole, rows, columns, corner = (
        built.metrics(*simulate(built))["window_cycles"]
        for built in (published_run(WSE2, mesh, tile, 1) for mesh in meshes)
    )
    assert whole == rows + columns - corner
    assert part_of(420, "rows") == Mesh(420, 8, Tree(420, 20), Tree(8, 2))


def test_simulated_layers_are_remembered_by_content(tmp_path, monkeypatch):
    model = model_of()
    plan = exact_plan(model, model.layers[0], 16, 10, 1, 40)
    monkeypatch.setattr(simulated, "_simulate", lambda arch, part: 1000 * part.mesh.width + part.mesh.height)
    cycles = simulated.layer_cycles(WSE2, plan, tmp_path)
    assert cycles == 16_008 + 4_010 - 4_008
    monkeypatch.setattr(simulated, "_simulate", lambda arch, part: 7)
    assert simulated.layer_cycles(WSE2, plan, tmp_path) == cycles
    (path,) = tmp_path.rglob("result.json")
    path.write_text(path.read_text().replace(str(cycles), "12345"))  # its hash is no longer the manifest's
    assert simulated.layer_cycles(WSE2, plan, tmp_path) == 7
    assert simulated.facts_of(WSE2.replace(hop_cycles=2), plan) != simulated.facts_of(WSE2, plan)


@pytest.mark.long
@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 8}, {"num_key_value_heads": 1}, MOE, LATENT])
def test_the_parts_of_an_exact_layer_add_up(changes):
    model = model_of(**changes)
    plan = layer_plan(model, model.layers[0], 16, 20, 1, 60)
    rows, columns, corner = (simulated._simulate(WSE2, part) for part in simulated.parts(plan))
    assert simulated._simulate(WSE2, plan) == rows + columns - corner


@pytest.mark.parametrize(
    ("pes", "groups", "cycles"),
    [(240, 15, 472), (256, 16, 512), (300, 15, 562), (360, 18, 664), (420, 20, 740), (480, 20, 832), (512, 32, 896),
     (540, 20, 908), (600, 24, 984), (660, 22, 1076), (720, 24, 1152)],
)  # fmt: skip
def test_stages_and_hops_of_the_published_trees(pes, groups, cycles):
    tree = Tree(pes, groups)
    assert 16 * tree.stages + tree.hops == cycles


@pytest.mark.parametrize(
    ("params", "grid", "words"),
    [
        (
            {"model": "deepseek-v3"},
            (8, 8),
            "on 8x8 PEs: array 'Wdown' takes .* bytes of a PE, its SRAM has 49,152",
        ),
        ({"model": "mixtral-8x7b", "variant": "published"}, (8, 8), "the published program has no experts"),
        ({"variant": "published"}, (8, 6), "square"),
        ({"variant": "published", "model": "llama-3-8b"}, (7, 7), "no equal groups"),
        ({"layer": 5}, (8, 8), "has 1 layers"),
    ],
)
def test_refusals(params, grid, words):
    kernel = get("llm_decode_layer")
    with pytest.raises(ConfigError, match=words):
        kernel.build(WSE2, *grid, kernel.resolve(params))


@pytest.mark.parametrize("name", ["LLaMA3-8B", "llama-3-8b", "llama-3.1-8b"])
def test_models_go_by_the_names_of_the_paper(name):
    assert published_sizes(name) == (4096, 14336)
    assert published.tile(4096, 14336, 420, 4096) == published.Tile(10, 10, 35)


#: published cycles per layer: 1.1e9 / (tokens per second x layers)
PUBLISHED = {
    ("llama-3-8b", 420): 1.1e9 / 2699.9 / 32, ("llama-3-8b", 540): 1.1e9 / 2501.5 / 32, ("llama-3-8b", 660): 1.1e9 / 2243.3 / 32,
    ("llama-2-13b", 420): 1.1e9 / 2039.2 / 40, ("llama-2-13b", 540): 1.1e9 / 1899.4 / 40, ("llama-2-13b", 660): 1.1e9 / 1739.8 / 40,
}  # fmt: skip


@pytest.mark.long
def test_published_cycles_per_layer():
    """Fitted on one of the six; the increase with the mesh follows."""
    found = {}
    for model, side in PUBLISHED:
        parts = [
            run("llm_decode_layer", WSE2, (side, side), {"model": model, "context": 4096, "variant": "published", "part": part},
                fidelity="stream", values=False).metrics["window_cycles"]
            for part in ("rows", "columns", "corner")
        ]  # fmt: skip
        found[model, side] = parts[0] + parts[1] - parts[2]
    for key, cycles in PUBLISHED.items():
        assert found[key] == pytest.approx(cycles, rel=0.08), key
    for model in ("llama-3-8b", "llama-2-13b"):
        rise = PUBLISHED[model, 660] - PUBLISHED[model, 420]
        assert found[model, 660] - found[model, 420] == pytest.approx(rise, rel=0.25)
