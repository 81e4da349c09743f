"""Files stay livable: sizes, no foreign words, one version, generated files fresh, README commands true."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from source_tree import PACKAGE, ROOT, needs_source_tree

pytestmark = needs_source_tree

MOST_LINES = {
    "python": 400,
    "csrc": 800,
    "tests": 800,
    "tools": 400,
    "bench": 400,
    "examples": 300,
    "docs": 200,
}

SOURCE_SUFFIXES = {".py", ".pyi", ".hpp", ".cpp", ".md", ".toml", ".txt", ".json", ".cfg", ".yml"}


def tracked():
    """Files under version control, or all files of the known folders when there is no git."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
        names = [name for name in listed.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        folders = ("csrc", "python", "tests", "docs", "bench", "examples", "tools")
        names = [str(p.relative_to(ROOT)) for folder in folders for p in (ROOT / folder).rglob("*")]
    return [ROOT / name for name in names if (ROOT / name).is_file() and "__pycache__" not in name]


def texts(*suffixes):
    return [path for path in tracked() if path.suffix in (suffixes or SOURCE_SUFFIXES) or path.name == "run"]


def test_code_files_are_not_too_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in texts(".py", ".hpp", ".cpp")
        if path.suffix
        if (lines := path.read_text().count("\n")) > MOST_LINES[path.relative_to(ROOT).parts[0]]
    }
    assert not long


#: words that only make sense where the code was written, spelled in pieces so that this file does not hold them
PRIVATE_WORDS = [
    "/wo" + "rk/",
    "sha" + "red/",
    "/ro" + "ot/",
    "chat" + "gpt",
    "anth" + "ropic",
    "cl" + "aude",
]


def test_no_file_names_the_place_where_it_was_written():
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in texts()
        for word in PRIVATE_WORDS
        if word in path.read_text(errors="replace").lower()
    ]
    assert not found


def test_no_unfinished_marks():
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
    found = [
        str(path.relative_to(ROOT)) for path in texts() if marks.search(path.read_text(errors="replace"))
    ]
    assert not found


def test_nothing_dangerous_is_called():
    # methods of these names are our own, as the interpreter's
    calls = re.compile(
        r"(?<![.\w])(?<!def )(eval|exec|os\.system|pickle\.loads?|marshal\.loads?|yaml\.load)\(|shell=True"
    )
    found = [
        f"{path.name}: {match.group()}"
        for path in PACKAGE.rglob("*.py")
        if (match := calls.search(path.read_text()))
    ]
    assert not found


def test_the_core_never_prints_or_exits():
    calls = re.compile(r"std::(cout|cerr)|\bprintf\(|\b(exit|abort|terminate)\(")
    found = [
        f"{path.name}: {match.group()}"
        for path in (ROOT / "csrc").rglob("*.[ch]pp")
        if (match := calls.search(re.sub(r"//.*", "", path.read_text())))
    ]
    assert not found


def test_the_package_never_prints_outside_the_command_line():
    found = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] != "cli"
        and re.search(r"^\s*print\(", path.read_text(), re.MULTILINE)
    ]
    assert not found


def test_the_version_is_written_once():
    import wafersim

    pattern = re.compile(r"\b" + re.escape(wafersim.__version__) + r"\b")
    places = [
        str(path.relative_to(ROOT))
        for path in texts(".py", ".toml", ".txt", ".hpp", ".cpp")
        if path.is_relative_to(ROOT / "python") or path.parent == ROOT or path.is_relative_to(ROOT / "csrc")
        if pattern.search(path.read_text()) and ("version" in path.read_text().lower())
    ]
    assert places == ["python/wafersim/_version.py"]


@pytest.mark.parametrize("generator", ["gen_opcodes.py", "gen_stub.py", "gen_csl_page.py"])
def test_generated_files_are_fresh(generator):
    command = [sys.executable, ROOT / "tools" / generator, "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_readme_holds_the_two_commands_and_states_independence():
    readme = (ROOT / "README.md").read_text()
    lines = [line.strip() for line in readme.splitlines()]
    assert "pip install . && wafersim demo" in lines
    assert "pip install '.[test]' && pytest" in lines
    assert "not affiliated with" in readme
    assert "What it cannot do" in readme


def test_ci_runs_what_the_readme_says():
    script = (ROOT / ".ci" / "run").read_text()
    for command in ("pip install '.[test]'", "pytest", "wafersim demo"):
        assert command in script


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/index.md"])
def test_links_between_pages_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{name} links to {target}"


def test_licence_is_the_whole_apache_text():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
