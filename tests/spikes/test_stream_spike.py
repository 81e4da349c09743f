"""The stream prototype executes library kernels in the same cycles as the wavelet engine, PE by PE."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from source_tree import ROOT, needs_source_tree
from wafersim.arch import Arch

pytestmark = [needs_source_tree, pytest.mark.long]


@pytest.fixture(scope="module")
def driver():
    spec = importlib.util.spec_from_file_location("stream_spike_driver", ROOT / "spikes/stream/run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program(driver, tmp_path_factory):
    return driver.build(tmp_path_factory.mktemp("stream"))


CASES = [
    ("gemm", 8, 8, {"tile": "2"}),  # clean: no arbitration, no back-pressure
    ("gemm", 8, 8, {"tile": "4"}),  # back-pressure
    ("gemm", 12, 12, {"tile": "6"}),  # two colors compete for the ramp
    ("reduce", 6, 2, {"words": "16"}),
    ("reduce", 8, 2, {"words": "9", "algorithm": "star"}),  # switches
    ("broadcast", 5, 3, {"words": "64"}),
    ("stencil", 6, 5, {}),
]


@pytest.mark.parametrize(("kernel", "width", "height", "params"), CASES)
def test_cycles_equal_the_wavelet_engine(driver, program, kernel, width, height, params):
    result = driver.compare(kernel, Arch.load("wse2"), width, height, params, program)
    assert result["status"] == "finished"
    assert result["difference_cycles"] == 0
    assert result["stamp_difference"] == [0, 0]
    assert result["stream"]["late"] == 0
    if kernel == "gemm":
        pressed = result["wavelet"]["backpressure"] > 0
        assert pressed == (params["tile"] != "2")


def test_what_it_does_not_model_is_refused(driver, program):
    result = driver.compare("reduce", Arch.load("wse3"), 4, 1, {"words": "4"}, program)
    assert result["status"] == "refused"
    assert "ramp pace" in result["reason"]
