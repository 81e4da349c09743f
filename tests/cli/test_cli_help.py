"""Help everywhere, quick starts, and the small commands: kernels, explain, doctor."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from command_line import call
from wafersim.cli.main import COMMANDS
from wafersim.record.dictionary import TERMS

SUBCOMMANDS = [[], *([name] for name in COMMANDS), ["arch", "list"], ["arch", "show"]]


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("path", SUBCOMMANDS, ids=" ".join)
def test_help_everywhere(path, flag):
    result = call(*path, flag)
    assert result.code == 0
    assert result.err == ""
    assert result.out.startswith("Usage: wafersim")
    assert "--debug" in result.out


# the standard output of `python` belongs to the script
@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "python"])
def test_every_command_takes_json(name):
    assert "--json" in call(name, "-h").out or "list" in call(name, "-h").out


def test_nothing_typed_shows_the_commands():
    result = call()
    assert result.code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.out


def test_version():
    import wafersim

    assert call("--version").out.strip() == f"wafersim {wafersim.__version__}"


def imported_by(statement):
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    return set(
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def best_seconds(*arguments):
    """Processor time of the quickest of five starts, minus that of an interpreter that does nothing.

    Processor time, because the machine may be busy with other things.
    """
    import resource

    def once(arguments):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    return min(once(arguments) for _ in range(5)) - min(once(("-c", "pass")) for _ in range(5))


def test_import_is_light():
    heavy = {"rich", "nanoarrow", "numpy", "click", "wafersim._core", "wafersim.kernels", "wafersim.program"}
    assert not heavy & imported_by("import wafersim")
    assert best_seconds("-c", "import wafersim") < 0.150


def test_help_is_quick():
    heavy = {"rich", "nanoarrow", "numpy", "wafersim.program"}
    statement = "from wafersim.cli.main import call\nimport os\nsys.stdout = open(os.devnull, 'w')\ncall(['--help'])\nsys.stdout = sys.__stdout__"
    assert not heavy & imported_by(statement)
    assert best_seconds("-m", "wafersim", "--help") < 0.300


def test_public_names_are_all_there():
    import wafersim

    for name in wafersim.__all__:
        assert getattr(wafersim, name) is not None
        assert name in dir(wafersim)
    with pytest.raises(AttributeError, match="no attribute 'Laoyut'"):
        wafersim.Laoyut  # noqa: B018


def test_kernels():
    listed = json.loads(call("kernels", "--json").out)["kernels"]
    names = [kernel["name"] for kernel in listed]
    assert {"broadcast", "reduce", "allreduce", "relay", "stencil"} <= set(names)
    for kernel in listed:
        assert kernel["description"]
        one = call("kernels", kernel["name"])
        assert one.code == 0
        for parameter in kernel["parameters"]:
            assert parameter["doc"]
            assert f"{parameter['name']}=" in one.out
    assert all(name in call("kernels").out for name in names)


@pytest.mark.parametrize("name", TERMS)
def test_every_term_is_explained(name):
    result = call("explain", name)
    assert result.code == 0
    assert TERMS[name].description in result.out
    answer = json.loads(call("explain", name, "--json").out)
    assert answer["name"] == name
    assert answer["description"] == TERMS[name].description


def test_explain_lists_all_terms():
    assert all(name in call("explain").out for name in TERMS)
    assert len(json.loads(call("explain", "--json").out)["topics"]) == len(TERMS)


@pytest.mark.smoke
def test_doctor_finds_this_installation_healthy():
    result = call("doctor")
    assert result.code == 0, result.out
    assert "FAILED" not in result.out
    answer = json.loads(call("doctor", "--json").out)
    assert answer["healthy"] is True
    assert {"core", "run"} <= {check["name"] for check in answer["checks"]}


def test_doctor_says_what_is_broken(monkeypatch):
    from wafersim.cli import doctor

    def broken():
        raise ImportError("no core here")

    monkeypatch.setitem(doctor.CHECKS, "core", broken)
    result = call("doctor")
    assert result.code == 1
    assert "FAILED" in result.out
    assert "no core here" in result.out
    assert json.loads(call("doctor", "--json").out)["healthy"] is False


def test_a_closed_pipe_is_no_traceback():
    command = f"{sys.executable} -m wafersim explain | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert result.stderr == ""
