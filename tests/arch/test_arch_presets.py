"""The presets are complete, sourced and what the docs and the schema say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

import wafersim.arch
from wafersim.arch import CONFIDENCES, Arch
from wafersim.arch.fields import DERIVED, fields
from wafersim.arch.loader import _build
from wafersim.arch.reader import read
from wafersim.errors import ConfigError
from wafersim.program.schema import ARCH_INTS, ArchInt, Simd, VOp, VOpCost

PRESETS = ("wse2", "wse2-sdk", "wse3", "wse3-sdk")
FOLDER = Path(wafersim.arch.__file__).parent / "presets"


@pytest.fixture(params=PRESETS)
def arch(request: pytest.FixtureRequest) -> Arch:
    return Arch.load(request.param)


def test_names() -> None:
    assert Arch.names() == PRESETS


def test_every_constant_has_a_source_a_unit_and_a_confidence(arch: Arch) -> None:
    assert len(arch) > 200
    for c in arch:
        assert c.source.strip(), c.name
        assert c.unit.strip(), c.name
        assert c.description.strip(), c.name
        assert c.confidence in CONFIDENCES, c.name
        assert c.confidence != "memory" or not fields()[c.name].engine, c.name
        assert (c.confidence == "fitted") <= bool(c.fitted_on), c.name
        assert ("choice" in c.source) <= (c.confidence == "choice"), f"{c.name}: a choice is called a choice"


@pytest.mark.parametrize("cut", ["source", "confidence", "unit"])
def test_a_preset_without_provenance_is_refused(cut: str, tmp_path: Path) -> None:
    text = (FOLDER / "wse2.toml").read_text()
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("hop_cycles"))
    parts = tomllib.loads(lines[at])["hop_cycles"]
    del parts[cut]
    lines[at] = "hop_cycles = { " + ", ".join(f"{k} = {v!r}" for k, v in parts.items()) + " }"
    (tmp_path / "wse2.toml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=f"wse2.toml:{at + 1}: hop_cycles: no {cut}"):
        _build(read(tmp_path / "wse2.toml"), "wse2", base=None, root="wse2", strict=True)


def test_a_preset_without_a_required_constant_is_refused(tmp_path: Path) -> None:
    lines = [x for x in (FOLDER / "wse2.toml").read_text().splitlines() if not x.startswith("hop_cycles")]
    (tmp_path / "wse2.toml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="hop_cycles: missing"):
        _build(read(tmp_path / "wse2.toml"), "wse2", base=None, root="wse2", strict=True)


def test_fields_and_schema_name_the_same_constants() -> None:
    engine = {
        f.name for f in fields().values() if f.engine and "." not in f.name and not f.name.endswith("_hz")
    }
    slots = {s.name.lower().removesuffix("0") for s in ArchInt}
    facts = {"clock_hz", "fabric_width", "fabric_height", "usable_width", "usable_height"}
    assert engine - facts == slots - set(DERIVED)
    assert {f"vop.{op.name}.{part}" for op in VOp for part in ("simd", "beat_cycles", "pace")} <= set(
        fields()
    )


def test_every_slot_of_the_vector_is_filled(arch: Arch) -> None:
    ints = arch.ints()
    assert ints.shape == (ARCH_INTS,) and ints.dtype == np.int64
    may_be_zero = {
        "CONFLICT_CLASS_BYTES",
        "TASK_START_CYCLES",
        "STRIDE_RULE",
        "UT_FREE_CHOICE",
        "MULTI_INPUT_COLORS",
        "DEFAULT_SIMD",
    }
    for slot in ArchInt:
        if slot.name.endswith("CONFIG_BASE"):
            assert ints[slot] == -1 or ints[slot] >= arch.sram_bytes
        elif slot.name not in may_be_zero:
            assert ints[slot] > 0, slot.name
    for first, depths in ((ArchInt.IQ_DEPTH0, arch.iq_depth), (ArchInt.OQ_DEPTH0, arch.oq_depth)):
        assert ints[first : first + 8].tolist() == [*depths, *[0] * (8 - len(depths))]
    used = {int(s) for s in ArchInt} | {
        int(f) + i for f in (ArchInt.IQ_DEPTH0, ArchInt.OQ_DEPTH0) for i in range(8)
    }
    assert not ints[[i for i in range(ARCH_INTS) if i not in used]].any()
    assert ints[ArchInt.NUM_IQ] == arch.num_iq == len(arch.iq_depth)
    assert ints[ArchInt.DEFAULT_SIMD] == arch.default_simd


def test_vector_op_table(arch: Arch) -> None:
    costs = arch.vop_costs()
    assert costs.shape == (len(VOp), len(VOpCost)) and costs.dtype == np.int32
    assert (costs >= 1).all()
    assert (costs[:, VOpCost.PACE_NUM] >= costs[:, VOpCost.PACE_DEN]).all()
    for op in VOp:
        t = arch.vop[op.name]
        assert costs[op].tolist() == [t["simd"], t["beat_cycles"], *t["pace"]]


def test_values_that_tell_the_profiles_apart() -> None:
    wse2, wse2_sdk, wse3, wse3_sdk = (Arch.load(n) for n in PRESETS)
    assert [a.generation for a in (wse2, wse2_sdk, wse3, wse3_sdk)] == [2, 2, 3, 3]
    assert [a.hop_cycles for a in (wse2, wse3)] == [1, 2]
    assert [a.num_oq for a in (wse2, wse3)] == [6, 8]
    assert wse2.default_simd == Simd.SIMD_32 and wse3.default_simd == Simd.SIMD_32_OR_64
    assert wse2.switchable_colors == tuple(range(24))
    assert wse3.switchable_colors == (*range(10), 12, 13, 16, 17, 20, 21)
    assert {c.name for c in wse2_sdk if c.value != wse2.get(c.name).value} == {
        "vop.fmacs.beat_cycles", "vop.fmacs.pace"}  # fmt: skip
    assert {c.name for c in wse3_sdk if c.value != wse3.get(c.name).value} == {
        "ramp_pace_num", "ramp_pace_den",
        *(f"vop.{op}.pace" for op in ("fmach", "fmovh", "fmovs", "mov16", "mov32"))}  # fmt: skip
    for simulator in (wse2_sdk, wse3_sdk):
        assert all(t["beat_cycles"] == 1 and t["pace"] == [1, 1] for t in simulator.vop.values())


def test_buffers_sustain_one_wavelet_per_cycle(arch: Arch) -> None:
    assert arch.link_buffer >= 2 * arch.hop_cycles
    assert arch.ramp_buffer >= 2 * arch.ramp_out_cycles


def test_published_timings_follow_from_the_constants() -> None:
    wse2, wse3 = Arch.load("wse2"), Arch.load("wse3-sdk")
    stage = wse2.ramp_in_cycles + wse2.fabric_write_cycles + wse2.ramp_out_cycles + wse2.hop_cycles
    assert stage == 2 * 2 + 2
    first_on_link = wse3.fabric_write_cycles + wse3.ramp_out_cycles
    last_to_task = wse3.ramp_in_cycles + wse3.completion_cycles + wse3.task_start_cycles
    assert (first_on_link, last_to_task) == (7, 3)
    assert first_on_link + wse3.hop_cycles + (8 - 1) + last_to_task == 19
