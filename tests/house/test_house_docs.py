"""The Python examples of README and docs run, and the doctests of public docstrings hold."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest

from source_tree import ROOT, needs_source_tree

pytestmark = needs_source_tree

PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()]


def examples(page):
    """Source of every ```python block; one that starts with a comment saying so is only shown."""
    return [
        block
        for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
        if not block.startswith("# not run")
    ]


BLOCKS = [
    pytest.param(source, id=f"{page.name}-{number}")
    for page in PAGES
    for number, source in enumerate(examples(page), start=1)
]


@pytest.mark.parametrize("source", BLOCKS)
def test_examples_run(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(source, "example", "exec"), {"__name__": "__main__"})


def test_there_are_examples():
    assert len(BLOCKS) >= 4


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_example_scripts_run(script, tmp_path, monkeypatch, capsys):
    import runpy

    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out
    if script.name.startswith("llm_"):
        assert list(tmp_path.glob("*.svg")), "each of these ends in a plot"


@pytest.mark.parametrize("module", ["wafersim.simulate.runner"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
