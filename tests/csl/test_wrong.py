"""Wrong programs: each is told what is wrong, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from wrong_programs import FOLDER, compile_one, programs

from wafersim.csl.diagnostics import CslError


@pytest.mark.parametrize("wrong", programs(), ids=lambda wrong: wrong.name)
def test_wrong_program(wrong):
    with pytest.raises(CslError) as caught:
        compile_one(wrong.path, wrong.arch)
    error = caught.value
    place = (Path(error.path).name, error.line, error.column) if error.line else ("", 0, 0)
    assert place == ((wrong.path.name, wrong.line, wrong.column) if wrong.line else ("", 0, 0)), str(error)
    assert wrong.text in error.text, str(error)
    assert str(error).count("\n") <= 40


def test_there_are_many():
    assert len(programs()) >= 120
    assert len({wrong.path.parent.name for wrong in programs()}) >= 10


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("name", ["pe", "sized"])
def test_the_programs_around_are_right(name, arch):
    if name == "pe":
        compile_one(FOLDER / "good/pe.csl", arch)
    else:
        text = "layout {\n  @set_rectangle(2, 1);\n  for (@range(u16, 2)) |x| {\n"
        text += '    @set_tile_code(x, 0, "sized.csl", .{ .size = 4 });\n  }\n}\n'
        compile_one(FOLDER / "good/around.csl", arch, text)
