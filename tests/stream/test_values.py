"""Values on: after a run the memory of every PE is the one of fidelity wavelet, bit for bit, in the same cycles."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stream.compare import difference, random_programs
from tests.stream.test_all_kernels import ACCEPTED, ARCHS
from wafersim import run
from wafersim.arch import Arch
from wafersim.errors import UnsupportedError
from wafersim.simulate import Simulator
from wafersim.simulate.runner import prepare
from wafersim.simulate.stream import StreamSimulator

#: accepted only with values: array data decides what their code does
MORE = [
    *[("spmm", "4x2", {"format": form}) for form in ("coo", "csr", "csc", "ell")],
    *[(solver, "3x4", {}) for solver in ("cg", "pcg", "bicgstab")],
    ("power", "4x3", {"allreduce": "turns"}),
    ("cg", "3x2", {"dot": "map"}),
]
CHUNK, DEFAULT, LONG = 25, 75, 2_000  # seeds


def _memory(sim, prepared):
    prepared.built.setup(sim, np.random.default_rng(5))
    for launch in prepared.built.launches:
        sim.launch(launch.function, **launch.args)
    record = sim.run()
    bytes_of_pe = prepared.arch.sram_bytes
    return record, np.asarray(sim._machine.read(0, 0, prepared.width, prepared.height, 0, bytes_of_pe))


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize(("kernel", "grid", "params"), [*ACCEPTED, *MORE])
def test_kernels_leave_the_same_memory(kernel, grid, params, arch):
    prepared = prepare(kernel, arch, grid, params)
    stream, found = _memory(StreamSimulator(prepared.built.program, prepared.arch, values=True), prepared)
    wavelet, expected = _memory(Simulator(prepared.built.program, prepared.arch), prepared)
    assert stream.cycles == wavelet.cycles
    assert np.array_equal(found, expected)
    assert expected.any()


@pytest.mark.parametrize("first", range(0, DEFAULT, CHUNK))
def test_random_programs_leave_the_same_memory(first):
    _check(first)


@pytest.mark.long
@pytest.mark.parametrize("first", range(DEFAULT, LONG, CHUNK))
def test_more_random_programs_leave_the_same_memory(first):
    _check(first)


def _check(first):
    failed, accepted = [], 0
    for seed in range(first, first + CHUNK):
        for number, generated in enumerate(random_programs(seed)):
            what = difference(generated, most_words=(seed + number) % 2, values=True)
            if what:
                failed.append(f"seed {seed}, program {number}: {what}")
            accepted += what is not None
    assert not failed, "\n".join(failed)
    assert accepted >= CHUNK


@pytest.mark.parametrize("grain", [1, 64])
def test_run_is_verified(grain):
    record = run("gemm", grid="6x6", params={"tile": 4}, fidelity="stream", grain=grain)
    assert record.verified is True
    assert record.info["values"] is True
    off = run("gemm", grid="6x6", params={"tile": 4}, fidelity="stream", grain=grain, values=False)
    assert off.verified is None
    assert off.cycles == record.cycles
    assert "values of arrays" in str(off.info["not_modelled"])
    assert "values of arrays" not in str(record.info["not_modelled"])


def test_array_data_before_the_end_is_not_known():
    prepared = prepare("reduce", Arch.load("wse2"), "12x1", {"words": 32})
    sim = StreamSimulator(prepared.built.program, prepared.arch, values=True)
    prepared.built.setup(sim, np.random.default_rng(0))
    for launch in prepared.built.launches:
        sim.launch(launch.function, **launch.args)
    assert sim.run(pause_at=40).status == "paused"
    name = next(name for name in prepared.built.program.meta["symbols"] if name not in ("stamps",))
    with pytest.raises(UnsupportedError, match="before the run's end"):
        sim.read(name)
    assert sim.run().status == "finished"
    assert sim.read(name).size
