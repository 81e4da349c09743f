"""Loading, looking up, replacing, writing and comparing arches."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wafersim.arch import Arch, describe
from wafersim.arch.fields import DERIVED, fields
from wafersim.errors import ConfigError, DeadlockError, FaultError, LimitError, ProgramError, WafersimError
from wafersim.program.schema import Simd


def test_a_users_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        from = "wse2"
        title = "WSE-2 with a slow fabric"
        source = "what-if study"
        hop_cycles = 3
        default_simd = "OFF"
        system_power_watts = 20_000
        link_buffer = { value = 6, unit = "wavelets", source = "2 hops", confidence = "derived", note = "y" }

        [vop.fmacs]
        beat_cycles = 1
        pace = [9, 8]
        source = "row"
        note = "for both"

        [vop]
        fadds = { simd = 4 }
        """
    )
    arch = Arch.load(path)
    base = Arch.load("wse2")
    assert (arch.name, arch.base, arch.title) == ("mine", "wse2", "WSE-2 with a slow fabric")
    assert (arch.hop_cycles, arch.default_simd, arch.system_power_watts) == (3, Simd.OFF, 20_000.0)
    hop = arch.get("hop_cycles")
    assert (hop.source, hop.confidence, hop.unit, hop.note) == ("what-if study", "choice", "cycles", "")
    link = arch.get("link_buffer")
    assert (link.value, link.source, link.confidence, link.note) == (6, "2 hops", "derived", "y")
    assert arch.vop["fmacs"] == {"simd": 1, "beat_cycles": 1, "pace": [9, 8]}
    assert (arch.get("vop.fmacs.pace").source, arch.get("vop.fmacs.pace").note) == ("row", "for both")
    assert arch.get("vop.fmacs.simd") == base.get("vop.fmacs.simd")
    assert arch.vop["fadds"]["simd"] == 4 and arch.get("vop.fadds.simd").source == "what-if study"
    assert arch.get("cost_alu") == base.get("cost_alu")
    assert len(arch.changes()) == 7


def test_a_chain_of_files(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('from = "b.toml"\nsource = "a"\nhop_cycles = 5\n')
    (tmp_path / "b.toml").write_text('from = "wse3-sdk"\nsource = "b"\nhop_cycles = 4\nlink_buffer = 8\n')
    arch = Arch.load(str(tmp_path / "a.toml"))
    assert (arch.base, arch.hop_cycles, arch.link_buffer) == ("wse3-sdk", 5, 8)
    assert arch.get("link_buffer").source == "b"


def test_a_file_without_the_toml_ending_and_with_a_mark_and_other_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_bytes(b'\xef\xbb\xbffrom = "wse2"\r\nsource = "x"\r\nhop_cycles = 2\r\n')
    assert Arch.load(str(path)).hop_cycles == 2


@pytest.mark.parametrize("name", Arch.names())
def test_round_trip_of_a_preset(name: str, tmp_path: Path) -> None:
    arch = Arch.load(name)
    path = tmp_path / "x.toml"
    path.write_text(arch.to_toml())
    assert Arch.load(path) == arch
    assert arch.changes() == []


def test_round_trip_of_a_changed_arch(tmp_path: Path) -> None:
    arch = Arch.load("wse3").replace(
        name="mine", source='quotes " \\ and \x7f\n new lines, ö', hop_cycles=7, iq_depth=[3, 2],
        ut_free_choice=True, default_simd="SIMD_64", clock_hz=10**9, host_link_bits_per_second=2.5e11,
        color_config_base=-1,
        vop={"fmacs": {"pace": [9, 8]}, "fadds": {"simd": 2}})  # fmt: skip
    path = tmp_path / "x.toml"
    path.write_text(arch.to_toml())
    again = Arch.load(path)
    assert again == arch
    assert again.fingerprint() == arch.fingerprint()
    assert again.get("hop_cycles") == arch.get("hop_cycles")


def test_replace_leaves_the_old_one_alone() -> None:
    old = Arch.load("wse2")
    new = old.replace(hop_cycles=3, **{"vop.fmacs.beat_cycles": 4})
    assert (old.hop_cycles, new.hop_cycles, new.vop["fmacs"]["beat_cycles"]) == (1, 3, 4)
    assert (old.name, new.name, new.replace(hop_cycles=4).name) == ("wse2", "wse2*", "wse2*")
    assert new.get("hop_cycles").source == "set by the caller"
    assert new.replace(hop_cycles=1, name="other").name == "other"
    assert new.ints()[3] == 3 and old.ints()[3] == 1
    assert old == Arch.load("wse2") != new


def test_replace_accepts_what_an_arch_gives() -> None:
    arch = Arch.load("wse3")
    same = arch.replace(name=arch.name, **{c.name: c.value for c in arch if "." not in c.name})
    assert same.fingerprint() == arch.fingerprint()


def test_an_arch_does_not_change() -> None:
    arch = Arch.load("wse2")
    with pytest.raises(AttributeError, match=r"use arch.replace\(hop_cycles=...\)"):
        arch.hop_cycles = 3
    with pytest.raises(AttributeError):
        arch.get("hop_cycles").value = 3
    arch.ints()[3] = 99
    arch.vop["fmacs"]["simd"] = 99
    assert arch.ints()[3] == 1 and arch.vop["fmacs"]["simd"] == 1


def test_looking_up() -> None:
    arch = Arch.load("wse2")
    assert arch.get("num_iq").value == 8 and arch.get("num_iq").source == arch.get("iq_depth").source
    assert (
        arch.has("clock_hz")
        and not arch.has("host_launch_seconds")
        and not hasattr(arch, "host_launch_seconds")
    )
    with pytest.raises(ConfigError, match="arch wse2: host_launch_seconds: no public value is known"):
        arch.get("host_launch_seconds")
    with pytest.raises(ConfigError, match=r"hop_cycle: unknown constant\. Did you mean 'hop_cycles'"):
        arch.get("hop_cycle")
    with pytest.raises(AttributeError, match="Did you mean 'hop_cycles'"):
        _ = arch.hop_cycle
    assert arch.seconds(850) == pytest.approx(1e-6)
    assert Arch.load(arch) is arch
    assert repr(arch) == "<Arch wse2: WSE-2, silicon (CS-2)>"
    assert arch.get("hop_cycles").as_dict() == {
        "name": "hop_cycles", "value": 1, "unit": "cycles", "confidence": "read",
        "source": "HPDC'24; SDK documentation; WSE-2 simulator traces",
        "description": "grant at one router until the wavelet is visible at the next",
        "note": "launch skew between neighbours is exactly 1 cycle in the traces"}  # fmt: skip


def test_the_dictionary_describes_every_constant() -> None:
    for name in (*fields(), *DERIVED):
        row = describe(name)
        assert row["name"] == name and row["description"] and row["unit"]
    assert describe("hop_cycles")["low"] == 1
    with pytest.raises(KeyError):
        describe("hop")


def test_fingerprint_is_of_the_values_only(tmp_path: Path) -> None:
    arch = Arch.load("wse2")
    renamed = arch.replace(name="other", source="elsewhere", hop_cycles=1)
    assert renamed.fingerprint() == arch.fingerprint() and renamed != arch
    seen = {arch.fingerprint()}
    for c in arch:
        if not isinstance(c.value, int) or isinstance(c.value, bool | Simd) or "." in c.name:
            continue
        try:
            other = arch.replace(**{c.name: c.value + (16 if "bytes" in c.name else 1)})
        except ConfigError:
            continue
        seen.add(other.fingerprint())
    assert len(seen) > 60
    (tmp_path / "a.toml").write_text('from = "wse2"\nsource = "x"\nsystem_power_watts = 5\nhop_cycles = 2\n')
    (tmp_path / "b.toml").write_text(
        'hop_cycles = 2\nfrom = "wse2"\nsource = "y"\nsystem_power_watts = 5.0\n'
    )
    assert Arch.load(tmp_path / "a.toml").fingerprint() == Arch.load(tmp_path / "b.toml").fingerprint()


def test_fingerprint_does_not_depend_on_the_process() -> None:
    code = "from wafersim.arch import Arch; print(*(Arch.load(n).fingerprint() for n in Arch.names()))"
    out = {_python(code, PYTHONHASHSEED=seed) for seed in ("0", "12345")}
    assert out == {" ".join(Arch.load(n).fingerprint() for n in Arch.names())}


def _python(code: str, **env: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ | env
    )
    return run.stdout.strip()


def test_pickle_and_copy() -> None:
    arch = Arch.load("wse3").replace(hop_cycles=3)
    for other in (pickle.loads(pickle.dumps(arch)), copy.copy(arch), copy.deepcopy(arch)):
        assert other == arch and hash(other) == hash(arch) and other.base == "wse3"
        assert np.array_equal(other.ints(), arch.ints())


def test_importing_is_quick_and_light() -> None:
    code = (
        "import time, sys; t = time.process_time(); import wafersim.arch as a; a.Arch.load('wse3-sdk');"
        "print(time.process_time() - t, *[m for m in ('rich', 'click', 'wafersim._core') if m in sys.modules])"
    )
    out = min((_python(code).split() for _ in range(3)), key=lambda o: float(o[0]))
    assert float(out[0]) < 0.5, "CPU seconds to import the room and load a preset"
    assert out[1:] == [], "loading an arch needs no heavy import"


def test_errors_keep_their_data_through_pickle() -> None:
    for error in (
        ConfigError.of(["a", "b"]),
        ProgramError("no", pe=(1, 2), color=3),
        DeadlockError("stuck", waits=[{"pe": (0, 0)}]),
        LimitError("cycles"),
        FaultError("x"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)
        assert isinstance(again, WafersimError)
    assert ConfigError.of(["a", "b"]).faults == ("a", "b") and ConfigError("a").faults == ("a",)
    assert isinstance(ConfigError("a"), ValueError) and isinstance(DeadlockError("a"), RuntimeError)


@pytest.mark.parametrize(
    "first", ["arch", "arch.model", "arch.loader", "program", "program.schema", "errors"]
)
def test_the_rooms_can_be_imported_in_any_order(first: str) -> None:
    code = f"import wafersim.{first}; from wafersim.arch import Arch; print(Arch.load('wse2').ints()[1])"
    assert _python(code) == "49152"
