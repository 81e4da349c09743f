"""The format page, the tutorial and the example say what the code does."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from enum import IntEnum
from pathlib import Path

import pytest

from wafersim.program import Layout, schema, schema_arch, schema_code, schema_tables
from wafersim.program.model_tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
FORMAT = (ROOT / "docs" / "program-format.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
EXAMPLE = (ROOT / "examples" / "first_program.py").read_text()
COLUMNS: dict[str, type[IntEnum]] = {
    "tiles": schema.TileCol, "code": schema.CodeCol, "dsds": schema.DsdCol, "settings": schema.SettingsCol,
    "tasks": schema.TaskCol, "queues": schema.QueueCol, "fifos": schema.FifoCol,
    "functions": schema.FunctionCol, "dsr_init": schema.DsrInitCol, "routes": schema.RouteCol,
    "params": schema.ParamCol, "arrays": schema.ArrayCol,
}  # fmt: skip


def blocks(page: str, language: str) -> list[str]:
    """Code of a page; ``py`` blocks go on where the block before them ended."""
    return re.findall(rf"^```(?:{language})\n(.*?)^```$", page, flags=re.S | re.M)


def test_code_blocks_of_the_format_page_round_trip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    code = blocks(FORMAT, "python|py")
    assert len(code) == 2
    for block in code:
        exec(compile(block, "program-format.md", "exec"), names)
    assert (tmp_path / "again.wsp").exists()


def test_the_written_program_computes_its_answer(tmp_path, monkeypatch):
    from oracle.run import FINISHED, Machine
    from wafersim.arch import Arch
    from wafersim.program import MachineProgram

    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(FORMAT, "python")[0], "program-format.md", "exec"), {})
    program = MachineProgram.load("answer.wsp")
    arch = Arch.load("wse3")
    machine = Machine(program.tables, arch.ints(), arch.vop_costs(), 0)
    machine.launch(0, [])
    assert machine.run(max_cycles=1000) == FINISHED
    assert bytes(machine.grid[0][0].sram[256:260]) == b"\x2a\0\0\0"


@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_is_described(table):
    section = FORMAT.split(f"### {table}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (.+) \|$", section, flags=re.M)
    assert [(int(n), name) for n, name, _ in rows] == [(int(c), c.name) for c in COLUMNS[table]]
    assert all(text.strip() for *_, text in rows)


def test_every_table_is_listed_in_order():
    section = FORMAT.split("## 3. Tables")[1].split("###")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.M) == list(TABLES)
    for name, (_, columns) in TABLES.items():
        if columns is not None:
            assert re.search(rf"^\| `{name}` \| \[[A-Z.]+, {columns}\]", section, flags=re.M), name


def test_the_instruction_table_is_fresh():
    spec = importlib.util.spec_from_file_location("gen_isa", ROOT / "tools" / "gen_isa.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.updated(FORMAT) == FORMAT, "run tools/gen_isa.py"
    assert all(f"| {op.name} | {int(op)} |" in FORMAT for op in schema.Op)
    assert all(f"| {op.name} | {int(op)} |" in FORMAT for op in schema.VOp)


def test_the_schema_number_is_the_page_s():
    assert f"schema **{schema.SCHEMA_VERSION}**" in FORMAT
    assert schema.FORMAT_NAME in FORMAT


def _statements(text: str) -> list[str]:
    lines = (line.split("  #")[0].rstrip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(('"""', "#"))]


def test_the_tutorial_is_the_example():
    assert _statements("\n".join(blocks(TUTORIAL, "py"))) == _statements(EXAMPLE)
    assert len(_statements(EXAMPLE)) <= 40


def test_the_tutorial_s_picture_is_true():
    lay = Layout(8, 1)
    red = lay.color("red")
    lay.route(red, 0, 0, rx="RAMP", tx="EAST")
    lay.route(red, 1, 0, 6, 1, rx="WEST", tx=("RAMP", "EAST"))
    lay.route(red, 7, 0, rx="WEST", tx="RAMP")
    assert blocks(TUTORIAL, "text") == [lay.picture(red) + "\n"]


def test_names_in_the_tutorial_exist():
    """Every ``pe.NAME`` and ``lay.NAME`` of the table of what else there is."""
    lay = Layout(1, 1)
    pe = lay.tile("t")
    for owner, name in re.findall(r"\b(pe|lay)\.(\w+)", TUTORIAL):
        assert hasattr(pe if owner == "pe" else lay, name), name


def test_the_example_runs():
    pytest.importorskip("wafersim._core", reason="the C++ core is not built")
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "first_program.py")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "7 PEs scaled 16 numbers in" in done.stdout


def test_every_enumeration_is_in_the_header():
    parts = (schema_arch, schema_code, schema_tables)
    named = {
        enum
        for part in parts
        for enum in vars(part).values()
        if getattr(enum, "__module__", "") == part.__name__
    }
    assert set(schema.ENUMS) == named
    assert {enum.__name__ for enum in schema.ENUMS} < set(schema.__all__)
