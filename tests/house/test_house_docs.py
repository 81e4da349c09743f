"""The Python examples of README and docs run, and the doctests of public docstrings hold."""

from __future__ import annotations

import doctest
import importlib
import re
import time

import pytest

from source_tree import ROOT, needs_source_tree

pytestmark = needs_source_tree

#: most seconds of computing of an example
MOST_SECONDS = 10

#: those of the gallery are written when the site is built
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.is_file() and page.parent.name != "gallery"
]


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


def test_every_page_is_in_the_table_of_contents():
    listed = set(re.findall(r"^([\w/-]+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE))
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= listed, "add them to a toctree at the end of docs/index.md"


SCRIPTS = [*sorted((ROOT / "examples").glob("*.py")), *sorted((ROOT / "examples" / "gallery").glob("*.py"))]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_example_scripts_run(script, tmp_path, monkeypatch, capsys):
    import runpy

    began = time.process_time()

    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out
    assert time.process_time() - began < MOST_SECONDS
    if script.name.startswith("llm_") or script.parent.name == "gallery":
        assert list(tmp_path.glob("*.svg")), "each of these ends in a picture"


@pytest.mark.parametrize("module", ["wafersim.simulate.runner", "wafersim.batch.evaluation"])
def test_doctests(module):
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0
    assert result.failed == 0
