"""Rooms are layers: C++ includes and Python imports point down only."""

from __future__ import annotations

import ast
import re

import pytest

from source_tree import PACKAGE, ROOT, needs_source_tree

pytestmark = needs_source_tree

CPP_LAYERS = {
    "base": 0, "arch": 1, "record": 1, "program": 2, "engine": 2, "memory": 2, "fabric": 3, "pe": 4, "host": 4,
    "wafer": 5, "stream": 6, "bindings": 7,
}  # fmt: skip

#: generated words of the encoding, below every room
CPP_WORDS = "program/opcodes.hpp"
PYTHON_WORDS = "wafersim.program.schema"

PYTHON_ORDER = [
    "_version", "errors", "arch", "program", "csl", "kernels", "record", "store", "simulate", "comparison", "sdk", "analysis", "estimates", "batch", "validation", "models", "deploy", "sweep", "report", "cli",
]  # fmt: skip

#: a kernel is handed its simulator and its record; these imports happen in functions or for types only
LATE_IMPORTS_ALLOWED = {
    "kernels": {"simulate", "record"},
    "errors": set(),
    "estimates": {"models"},
    "program": {"record", "simulate"},
}


def cpp_sources():
    return sorted([*(ROOT / "csrc").rglob("*.hpp"), *(ROOT / "csrc").rglob("*.cpp")])


def test_cpp_rooms_include_lower_rooms_only():
    wrong = []
    for path in cpp_sources():
        room = path.relative_to(ROOT / "csrc").parts[0]
        for include in re.findall(r'^#include "([^"]+)"', path.read_text(), re.MULTILINE):
            other = include.split("/")[0]
            assert other in CPP_LAYERS, f"{path.name} includes {include}: no known room"
            lower = include == CPP_WORDS or other == room or CPP_LAYERS[other] < CPP_LAYERS[room]
            if not lower:
                wrong.append(f"{path.relative_to(ROOT)} includes {include}")
    assert not wrong, wrong
    assert {path.relative_to(ROOT / "csrc").parts[0] for path in cpp_sources()} <= set(CPP_LAYERS)


def test_only_bindings_knows_python():
    for path in cpp_sources():
        if path.relative_to(ROOT / "csrc").parts[0] != "bindings":
            assert not re.search(r"pybind11|Python\.h", path.read_text()), path


def imports(path):
    """(module, whether at module level and at run time) of every import of our package."""
    tree = ast.parse(path.read_text())
    late = set()
    for node in ast.walk(tree):
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_typing:
            late |= {id(child) for child in ast.walk(node)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "wafersim"
                else [node.module]
            )
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
        for name in names:
            if name.startswith("wafersim.") and name != PYTHON_WORDS:
                module = name.split(".")[1].replace("__version__", "_version")
                yield module, id(node) not in late


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_python_imports_point_down(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    assert room in PYTHON_ORDER, f"{room} is no known room"
    below = set(PYTHON_ORDER[: PYTHON_ORDER.index(room) + 1])
    for other, early in imports(path):
        if other == "_core":
            assert room in ("simulate", "record", "cli"), f"{path.name} imports the private core"
        elif early:
            assert other in below, f"{path.name} imports {other}, which is above {room}"
        else:
            assert other in below | LATE_IMPORTS_ALLOWED.get(room, set()), f"{path.name} imports {other} late"


#: sub-rooms of `models`, each importing from those before it only; single modules of the room come last
MODELS_ORDER = [
    "accounting", "reading", "work", "pieces", "decode", "prefill", "surface", "placement", "answer",
]  # fmt: skip


def early_modules(path):
    """Our modules that a file imports when it is loaded."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_rooms_of_models_import_earlier_rooms_only():
    wrong = []
    for path in (PACKAGE / "models").rglob("*/*.py"):
        room = path.parent.name
        assert room in MODELS_ORDER, f"{room} is no known room of models"
        for module in early_modules(path):
            words = module.split(".")
            if words[:2] == ["wafersim", "models"]:
                earlier = MODELS_ORDER[: MODELS_ORDER.index(room) + 1]
                if words[2] not in earlier and words[2] != "service":
                    wrong.append(f"{path.name} imports {module}")
    assert not wrong
