"""``wafersim run``: its words, its JSON, its exit codes, what it saves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from command_line import call
from wafersim.record import Record

#: field -> type(s) of the JSON object of ``run``; None is always spelled out
SCHEMA = {
    "schema": int, "wafersim": str, "kernel": str, "arch": str, "grid": str, "params": dict, "fidelity": str,
    "values": bool, "status": str, "cycles": int, "seconds": float, "verified": bool, "max_abs_error": float,
    "events": int, "wall_s": float, "peak_rss_bytes": int, "bottleneck": str, "metrics": dict, "validity": str,
    "validity_rows": list, "not_modelled": list,
}  # fmt: skip

REDUCE = ("run", "reduce", "--arch", "wse2", "--grid", "5x3", "--set", "words=8")


@pytest.mark.smoke
def test_json_is_one_object_with_the_public_fields():
    result = call(*REDUCE, "--json")
    assert result.code == 0
    assert result.err == ""
    assert result.out.count("\n") == 1
    answer = json.loads(result.out)
    for field, kind in SCHEMA.items():
        assert type(answer[field]) is kind, field
    assert answer["kernel"] == "reduce"
    assert answer["arch"] == "wse2"
    assert answer["grid"] == "5x3"
    assert answer["params"]["words"] == 8
    assert answer["fidelity"] == "wavelet"
    assert answer["values"] is True
    assert answer["status"] == "finished"
    assert answer["verified"] is True
    assert answer["validity"] in ("fitted", "validated", "extrapolated", "unvalidated")
    assert answer["seconds"] == pytest.approx(answer["cycles"] / 850e6)
    assert answer["metrics"]["window_cycles"] <= answer["cycles"]
    assert answer["not_modelled"]


def test_words_say_the_same():
    result = call(*REDUCE)
    assert result.code == 0
    answer = json.loads(call(*REDUCE, "--json").out)
    assert f"{answer['cycles']:,}" in result.out
    assert "verified against NumPy" in result.out
    assert "bottleneck" in result.out
    assert "not modelled" in result.out


def test_same_seed_same_record_and_other_seed_same_cycles():
    volatile = {"wall_s", "peak_rss_bytes"}
    first, again, other = (
        json.loads(call(*REDUCE, "--json", "--seed", seed).out) for seed in ("3", "3", "4")
    )
    assert {k: v for k, v in first.items() if k not in volatile} == {
        k: v for k, v in again.items() if k not in volatile
    }
    assert other["cycles"] == first["cycles"]
    assert other["max_abs_error"] != first["max_abs_error"]


def test_out_saves_a_record_and_a_picture(tmp_path):
    result = call(*REDUCE, "--json", "--out", str(tmp_path / "run"))
    assert result.code == 0
    record = Record.load(tmp_path / "run")
    said = json.loads(result.out)
    assert record.summary()["cycles"] == said["cycles"]
    assert record["pe"]["busy_cycles"].shape == (3, 5)
    svg = (tmp_path / "run" / "heatmap.svg").read_text()
    assert svg.startswith("<svg")
    assert "reduce on 5x3 PEs" in svg
    explained = call("explain", str(tmp_path / "run"))
    assert explained.code == 0
    assert "where the cycles of all PEs went" in explained.out


def test_the_limit_of_cycles_gives_a_partial_record():
    result = call(*REDUCE, "--json", "--max-cycles", "10")
    assert result.code == 1
    answer = json.loads(result.out)
    assert answer["status"] == "limit"
    assert answer["cycles"] == 10
    assert answer["verified"] is None
    assert answer["max_abs_error"] is None
    assert answer["metrics"] == {}


def test_dry_run_builds_and_estimates_without_running():
    result = call(*REDUCE, "--json", "--dry-run")
    assert result.code == 0
    answer = json.loads(result.out)
    assert answer["dry_run"] is True
    assert answer["pes"] == 15
    assert answer["sram_bytes_used_max"] <= answer["sram_bytes"]
    assert answer["estimate_host_bytes"] > 15 * 4096
    assert "cycles" not in answer
    ran = json.loads(call(*REDUCE, "--json").out)
    assert ran["events"] <= answer["estimate_events_at_most"]
    assert answer["estimate_cycles"] == pytest.approx(ran["metrics"]["window_cycles"], rel=0.1)
    assert call(*REDUCE, "--dry-run").code == 0


def test_wrong_values_are_exit_code_1(monkeypatch):
    from wafersim.kernels import base

    real = base.KernelRun.__init__

    def off_by_a_lot(self, *args, **kwargs):
        real(self, *args, **kwargs)
        check = self.check
        self.check = lambda sim: (check(sim)[0] + 1.0, False)

    monkeypatch.setattr(base.KernelRun, "__init__", off_by_a_lot)
    result = call(*REDUCE)
    assert result.code == 1
    assert "WRONG" in result.out
    assert json.loads(call(*REDUCE, "--json").out)["verified"] is False


def test_parameters_may_stand_behind_one_set():
    one, each = (
        json.loads(call("run", "reduce", "--grid", "4x1", *words, "--json").out)
        for words in (("--set", "words=8", "algorithm=tree"), ("--set", "words=8", "--set", "algorithm=tree"))
    )
    assert one["cycles"] == each["cycles"] and one["params"] == each["params"]
    refused = call("run", "reduce", "--set", "words=8", "tree")
    assert refused.code != 0 and "--set 'tree': NAME=VALUE wanted" in refused.err
    assert "words: given twice" in call("run", "reduce", "--set", "words=8", "words=9").err


def test_arch_file_of_the_user(tmp_path):
    from wafersim.arch import Arch

    path = tmp_path / "slow.toml"
    path.write_text(Arch.load("wse2").replace(name="slow", hop_cycles=5).to_toml())
    slow = json.loads(call(*REDUCE, "--json", "--arch", str(path)).out)
    fast = json.loads(call(*REDUCE, "--json").out)
    assert slow["arch"] == "slow"
    assert slow["cycles"] >= fast["cycles"] + 4 * 4
    assert slow["verified"] is True


def test_every_pe_cycle_is_in_one_class(tmp_path):
    call(*REDUCE, "--out", str(tmp_path / "run"))
    record = Record.load(tmp_path / "run")
    pe = record["pe"]
    total = pe["busy_cycles"] + pe["stall_cycles"] + pe["idle_cycles"]
    assert np.array_equal(total, np.full((3, 5), record.cycles))
