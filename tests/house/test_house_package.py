"""The package as installed: its data and stubs are there (how quick it is to import: `tests/cli/test_cli_help.py`)."""

from __future__ import annotations

from importlib import resources

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "_core.pyi",
        "report/page.js",
        "report/page.css",
        "arch/presets/wse2.toml",
        "validation/rows.csv",
    ],
)
def test_data_and_stubs_are_part_of_the_package(name):
    assert (resources.files("wafersim") / name).is_file()


def test_the_stub_names_what_the_core_offers():
    from wafersim import _core

    stub = (resources.files("wafersim") / "_core.pyi").read_text()
    for name in ("Machine", "StreamMachine", "perfetto"):
        assert hasattr(_core, name)
        assert name in stub
