"""Calibration: constants of a known profile are found again from runs; what rows cannot tell is said."""

from __future__ import annotations

import pytest

import wafersim as ws
from wafersim.analysis.calibrate import Knob, Observation, calibrate, knob
from wafersim.analysis.lattice import Lattice, descend
from wafersim.analysis.profile import save_profile
from wafersim.errors import ConfigError

BASE = ws.Arch.load("wse2")
KNOWN: dict[tuple, dict] = {}


def metrics(arch, kernel, grid, **params):
    key = (kernel, grid, tuple(sorted(params.items())), arch.fingerprint())
    if key not in KNOWN:
        KNOWN[key] = ws.run(kernel, arch, grid, **params).metrics
    return KNOWN[key]


def row(name, truth, metric, kernel, grid, factor=1.0, **params):
    """A row as if measured on the machine ``truth``."""

    def predict(arch):
        return float(metrics(arch, kernel, grid, **params)[metric])

    value = factor * predict(truth)
    return Observation(name, value, value, predict)


def scalar_rows(truth):
    return [
        row("taken", truth, "cycles", "microbench", "1x1", case="branch_taken"),
        row("dependent", truth, "cycles", "microbench", "1x1", case="dependent_fp"),
        row("use", truth, "cycles", "microbench", "1x1", case="dsr_load_use"),
    ]


def fabric_rows(truth):
    return [
        row(f"bcast{pes}", truth, "window_cycles", "broadcast", f"{pes}x1", words=words)
        for pes, words in ((4, 1), (19, 1), (11, 30))
    ]


def test_constants_that_rows_show_are_found_exactly():
    truth = BASE.replace(hop_cycles=3, cost_branch_taken=7, latency_fp=5, dsr_load_use_cycles=6)
    names = ["hop_cycles", "cost_branch_taken", "latency_fp", "dsr_load_use_cycles"]
    fit = calibrate(BASE, names, [*scalar_rows(truth), *fabric_rows(truth)])
    assert {name: found for name, (_, found) in fit.values.items()} == {
        "hop_cycles": 3,
        "cost_branch_taken": 7,
        "latency_fp": 5,
        "dsr_load_use_cycles": 6,
    }
    assert fit.unidentified == {}
    assert set(fit.fit_errors.values()) == {0.0}
    for name in names:
        constant = fit.arch.get(name)
        assert constant.value == truth.get(name).value
        assert constant.confidence == "fitted"
        assert set(constant.fitted_on) == set(fit.fit_errors)
    assert fit.arch.get("ramp_in_cycles") == BASE.get("ramp_in_cycles")


def test_a_sum_is_found_and_its_parts_are_said_to_be_open():
    """Only the way through both ramps shows in the time of one word, so one of the two constants stays open."""
    truth = BASE.replace(ramp_in_cycles=4, ramp_out_cycles=5, hop_cycles=2)
    names = ["hop_cycles", "ramp_in_cycles", "ramp_out_cycles"]
    fit = calibrate(BASE, names, fabric_rows(truth)[:2])
    assert list(fit.unidentified) == ["ramp_out_cycles"]
    assert "ramp_in_cycles" in fit.unidentified["ramp_out_cycles"]
    assert "combination" in fit.unidentified["ramp_out_cycles"]
    assert fit.arch.hop_cycles == 2
    assert fit.arch.ramp_in_cycles + fit.arch.ramp_out_cycles == 9
    assert fit.arch.get("ramp_out_cycles") == BASE.get("ramp_out_cycles")
    assert max(map(abs, fit.fit_errors.values())) == 0.0
    assert "not identified" in fit.report()


def test_a_row_that_tells_the_parts_apart_closes_them():
    """With the ramp's buffer as it is, a longer message is slower for a slow way out than for a slow way in."""
    truth = BASE.replace(ramp_in_cycles=4, ramp_out_cycles=5, hop_cycles=2)
    fit = calibrate(BASE, ["ramp_in_cycles", "ramp_out_cycles", "hop_cycles"], fabric_rows(truth))
    assert fit.unidentified == {}
    assert (fit.arch.ramp_in_cycles, fit.arch.ramp_out_cycles) == (4, 5)


def test_a_constant_that_no_row_sees_is_left_alone():
    truth = BASE.replace(cost_branch_taken=9)
    fit = calibrate(BASE, ["cost_branch_taken", "cost_fdiv"], scalar_rows(truth))
    assert fit.unidentified == {"cost_fdiv": "no row's error changes with it"}
    assert fit.values["cost_branch_taken"] == (4, 9)
    assert fit.arch.get("cost_fdiv") == BASE.get("cost_fdiv")


def test_a_row_that_is_held_out_changes_nothing_and_is_reported_apart():
    truth = BASE.replace(cost_branch_taken=9)
    rows = scalar_rows(truth)
    wrong = row("wrong", truth, "cycles", "microbench", "1x1", factor=2.0, case="branch_taken")
    fit = calibrate(BASE, ["cost_branch_taken"], [*rows, wrong], held_out=["wrong"])
    assert fit.arch.cost_branch_taken == 9
    assert fit.held_out_errors == {"wrong": pytest.approx(-0.5)}
    assert "wrong" not in fit.fit_errors
    assert "wrong" not in fit.arch.get("cost_branch_taken").fitted_on
    assert fit.before["taken"] < 0
    with_it = calibrate(BASE, ["cost_branch_taken"], [*rows, wrong])
    assert with_it.arch.cost_branch_taken > 9


def test_a_pace_is_found_as_a_ratio():
    truth = BASE.replace(**{"vop.fmuls.pace": [7, 4], "vop.fmuls.beat_cycles": 1})

    def predict(arch):
        sim_cycles = metrics(arch, "stencil", "3x3", variant="tiled", tile="12x12", iterations=4)
        return float(sim_cycles["cycles_per_iteration"])

    value = predict(truth)
    observation = Observation("tile", value, value, predict)
    fit = calibrate(BASE, [Knob("vop.fmuls.pace", ((1, 1), (3, 2), (7, 4), (2, 1)))], [observation])
    assert fit.values["vop.fmuls.pace"] == ((1, 1), (7, 4))
    assert fit.arch.vop["fmuls"]["pace"] == [7, 4]


def test_values_that_fit_as_well_are_no_identification():
    """A row that is a range leaves a constant open within it."""
    truth = BASE.replace(cost_branch_taken=9)
    (taken, *_) = scalar_rows(truth)
    wide = Observation("wide", 0.5 * taken.low, 2 * taken.high, taken.predict)
    fit = calibrate(BASE.replace(cost_branch_taken=9), ["cost_branch_taken"], [wide])
    assert fit.unidentified == {"cost_branch_taken": "no row's error changes with it"}
    assert fit.arch.get("cost_branch_taken").confidence == "choice"


def test_ranges_of_knobs():
    assert knob(BASE, "hop_cycles").values == tuple(range(1, 10))
    assert knob(BASE, "hop_cycles", 1, 3).values == (1, 2, 3)
    paces = knob(BASE, "vop.fmacs.pace").values
    assert paces[0] == (1, 1)
    assert (9, 4) in paces
    assert list(paces) == sorted(paces, key=lambda p: p[0] / p[1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"knobs": ["ut_free_choice"]}, "neither a whole number nor a pace"),
        ({"knobs": ["hop_cycle"]}, "unknown constant"),
        ({"knobs": []}, "at least one constant"),
        ({"knobs": ["hop_cycles", "hop_cycles"]}, "constant hop_cycles is there twice"),
        ({"held_out": ["nobody"]}, "nobody is held out and is no row"),
        ({"held_out": ["taken", "dependent", "use"]}, "row that is not held out"),
        ({"rows": 2}, "row dependent is there twice"),
    ],
)
def test_mistakes(change, words):
    rows = scalar_rows(BASE) * change.pop("rows", 1)
    with pytest.raises(ConfigError, match=words):
        calibrate(BASE, change.pop("knobs", ["hop_cycles"]), rows, **change)


def test_a_range_without_the_present_value_is_refused():
    with pytest.raises(ConfigError, match=r"1 of wse2 is not in 2 \.\. 3"):
        knob(BASE, "hop_cycles", 2, 3)


def test_the_search_crosses_valleys_that_single_steps_do_not():
    """Two constants that nearly cancel: along their sum the way is steep, along their difference flat."""

    def residuals(place):
        a, b = place
        return (10.0 * (a + b - 30), 0.1 * (a - b - 10))

    lattice = Lattice([41, 41], residuals)
    assert descend(lattice, (0, 0)) == (20, 10)
    assert lattice.evaluations < 200


# --- profiles ------------------------------------------------------------------------------------


def test_a_profile_is_saved_with_version_and_rows_and_read_again(tmp_path):
    truth = BASE.replace(cost_branch_taken=9)
    rows = scalar_rows(truth)
    fit = calibrate(BASE, ["cost_branch_taken", "cost_fdiv"], rows, held_out=["use"], name="mine")
    path = tmp_path / "mine.toml"
    assert save_profile(fit, path) == 1
    assert save_profile(fit, path) == 2
    text = path.read_text()
    for words in ("calibration version 2 of wse2", "rows of the fit", "taken", "rows held out", "cost_fdiv"):
        assert words in text
    arch = ws.Arch.load(path)
    assert arch.name == "mine"
    assert arch.fingerprint() == fit.arch.fingerprint()
    assert arch.get("cost_branch_taken").fitted_on == ("taken", "dependent")
    assert "calibration version 2" in arch.title
    record = ws.run("microbench", str(path), "1x1", case="branch_taken")
    assert record.metrics["cycles"] == rows[0].low
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.toml"]


def test_nothing_else_is_overwritten(tmp_path):
    fit = calibrate(BASE, ["cost_branch_taken"], scalar_rows(BASE.replace(cost_branch_taken=5)))
    with pytest.raises(ConfigError, match=r"a profile is a \.toml file"):
        save_profile(fit, tmp_path / "mine.txt")
    for text, words in (('title = "other"\n', "no calibrated profile"), ("][", "is no profile")):
        (tmp_path / "other.toml").write_text(text)
        with pytest.raises(ConfigError, match=words):
            save_profile(fit, tmp_path / "other.toml")
        assert (tmp_path / "other.toml").read_text() == text
    with pytest.raises(ConfigError, match="cannot be written"):
        save_profile(fit, tmp_path / "absent" / "mine.toml")
