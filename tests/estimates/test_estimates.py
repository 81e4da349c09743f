"""Estimates rank the runs of a kernel, and no run is below its bound."""

from __future__ import annotations

import itertools
import json
import random
import time

import numpy as np
import points
import pytest

import figures
import wafersim as ws
from wafersim.errors import ConfigError, WafersimError
from wafersim.estimates import bytes_at_most, estimate_run
from wafersim.estimates.work import WORK
from wafersim.simulate import request as requests
from wafersim.simulate.footprint import host_bytes

#: another one than that of the fit
SEED = 2024


#: requests that are looked at for the sake of so many different ones
MOST_ASKED = 10_000


def held_out(kernel, models=()):
    """Requests that are all different and none of those that costs were fitted to, for as long as there are."""
    seen = {json.dumps(asked) for asked in points.requests(kernel, 1_000, points.FIT_SEED)}
    rng = random.Random(f"{kernel} {SEED}")
    for _ in range(MOST_ASKED):
        asked = points.request(kernel, rng, models)
        text = json.dumps(asked)
        if text not in seen:
            seen.add(text)
            yield asked


def simulated(kernel, count, models=()):
    """(estimate, cycles) of up to so many held-out runs that the kernel takes."""
    found = []
    for asked in held_out(kernel, models):
        try:
            request = requests.from_fields(asked)
            record = requests.execute(request)
        except WafersimError:
            continue
        if record.status == "finished":
            estimate = estimate_run(request)
            assert 1 <= estimate.lower_bound_cycles <= record.cycles, (asked, estimate, record.cycles)
            assert estimate.cycles is None or estimate.cycles >= estimate.lower_bound_cycles
            found.append((estimate.cycles, record.cycles))
            if len(found) == count:
                break
    return found


def ranks(values):
    """Ranks, equal values with their mean."""
    array = np.asarray(values, float)
    return np.array([((array < v).sum() + (array <= v).sum() - 1) / 2 for v in array])


def spearman(pairs):
    one, other = (ranks(column) for column in zip(*pairs, strict=True))
    return float(np.corrcoef(one, other)[0, 1])


def test_spearman_is_what_it_says():
    assert spearman([(1, 10), (2, 20), (3, 30)]) == pytest.approx(1)
    assert spearman([(1, 30), (2, 20), (3, 10)]) == pytest.approx(-1)
    # ranks 1.5, 1.5, 3, 4 and 2, 3, 4, 1: products of the distances from 2.5 add up to -1.5, squares to 4.5 and 5
    assert spearman([(1, 10), (1, 20), (3, 30), (4, 5)]) == pytest.approx(-1.5 / (4.5 * 5) ** 0.5)


def test_every_kernel_of_the_tests_is_estimated():
    assert set(points.KERNELS) == set(WORK)


SLOW = ("cg", "pcg", "bicgstab", "power", *points.LAYERS)


@pytest.mark.parametrize("kernel", [kernel for kernel in points.KERNELS if kernel not in SLOW])
def test_a_few_runs_are_not_below_their_bound(kernel):
    pairs = simulated(kernel, 4)
    assert all(estimate is not None for estimate, _ in pairs)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kernel", points.KERNELS)
def test_estimates_rank_two_hundred_runs(kernel, tmp_path):
    """Of layers, with models that no cost was fitted to."""
    models = points.new_models(tmp_path, random.Random(SEED)) if kernel in points.LAYERS else ()
    pairs = simulated(kernel, 200, models)
    correlation = spearman(pairs)
    figures.say(f"spearman {kernel}, {len(pairs)} runs", correlation)
    assert len(pairs) == 200 and correlation >= 0.9


def test_held_out_runs_differ_from_those_of_the_fit():
    fitted_to = [json.dumps(asked) for asked in points.requests("power", 1_000, points.FIT_SEED)]
    found = [json.dumps(asked) for asked in itertools.islice(held_out("power"), 300)]
    assert len(set(found)) == 300 and not set(found) & set(fitted_to)


@pytest.mark.smoke
def test_a_bound_that_is_met():
    """One word from one PE to its neighbor takes a ramp, a hop and a ramp at least, and not much more."""
    record = ws.run("broadcast", grid="2x1", words=1)
    estimate = estimate_run(
        requests.from_fields({"kernel": "broadcast", "grid": "2x1", "params": {"words": 1}})
    )
    assert estimate.lower_bound_cycles == 5 <= record.cycles


def test_estimates_take_no_time():
    request = requests.from_fields({"kernel": "gemm", "grid": "8x8", "params": {"tile": 8}})
    estimate_run(request)
    begin = time.process_time()
    for _ in range(100):
        estimate_run(request)
    assert time.process_time() - begin < 0.5


def test_estimates_follow_the_arch():
    def of(**changes):
        fields = {"kernel": "broadcast", "grid": "16x1", "arch": {"from": "wse2", **changes}}
        return estimate_run(requests.from_fields(fields))

    assert of(hop_cycles=4).lower_bound_cycles == of().lower_bound_cycles + 3 * 8
    assert of(hop_cycles=4).cycles > of().cycles


def test_what_is_not_known_says_so(tmp_path):
    estimate = estimate_run(requests.from_fields({"program": str(tmp_path / "p.wsp")}))
    assert (estimate.cycles, estimate.lower_bound_cycles, estimate.seconds) == (None, 1, None)
    with pytest.raises(ConfigError, match="did you mean"):
        estimate_run(requests.from_fields({"kernel": "redcue"}))


def test_the_starts_of_sections_have_no_estimate():
    params = {"variant": "published", "part": "starts"}
    request = requests.from_fields({"kernel": "llm_prefill_layer", "grid": "3x1", "params": params})
    estimate = estimate_run(request)
    assert (estimate.cycles, estimate.lower_bound_cycles) == (None, 1)


@pytest.mark.parametrize("kernel", ["reduce", "gemm", "stencil", "fft", "alltoall", "spmv"])
def test_memory_is_not_more_than_said(kernel):
    rng = random.Random(kernel)
    for _ in range(3):
        request = requests.from_fields(points.request(kernel, rng))
        try:
            built = requests.build(request)
        except WafersimError:
            continue
        assert host_bytes(built.built.program) <= bytes_at_most(request)
