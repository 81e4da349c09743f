"""``wafersim doctor``: is this installation healthy."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from typing import Any

import click

from wafersim._version import __version__
from wafersim.cli.common import bytes_text, json_option, print_json, print_rows

Check = Callable[[], str]


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Check this installation: versions, the compiled core, a tiny run, memory."""
    results = [_carry_out(name, check) for name, check in CHECKS.items()]
    healthy = all(result["ok"] for result in results)
    if as_json:
        print_json({"healthy": healthy, "checks": results})
    else:
        print_rows([("ok" if r["ok"] else "FAILED", r["name"], r["detail"]) for r in results])
        click.echo("healthy" if healthy else "not healthy: see the lines marked FAILED")
    return 0 if healthy else 1


def _carry_out(name: str, check: Check) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "detail": check()}
    except Exception as error:
        return {"name": name, "ok": False, "detail": " ".join(f"{type(error).__name__}: {error}".split())}


def _python() -> str:
    return f"Python {platform.python_version()} on {platform.platform()}"


def _package() -> str:
    import wafersim

    return f"wafersim {__version__} from {os.path.dirname(wafersim.__file__)}"


def _libraries() -> str:
    from importlib.metadata import version

    return ", ".join(f"{name} {version(name)}" for name in ("numpy", "click", "rich", "nanoarrow"))


def _core() -> str:
    from wafersim import _core
    from wafersim.program.schema import SCHEMA_VERSION

    if _core.schema_version != SCHEMA_VERSION:
        found = f"the core reads schema {_core.schema_version}, the package writes {SCHEMA_VERSION}"
        raise RuntimeError(f"{found}; reinstall: pip install .")
    return f"compiled core {os.path.basename(str(_core.__file__))}"


def _arches() -> str:
    from wafersim.arch import Arch

    return "arches " + ", ".join(Arch.load(name).name for name in Arch.names())


def _run() -> str:
    from wafersim.simulate import run

    record = run("reduce", arch="wse2", grid="3x1")
    if record.status != "finished" or not record.verified:
        raise RuntimeError(f"reduce on 3x1 PEs: {record.status}, verified {record.verified}")
    return f"reduce on 3x1 PEs: {record.cycles} cycles, values verified"


def _memory() -> str:
    from wafersim.simulate.footprint import available_bytes

    available = available_bytes()
    if available < 1 << 29:
        raise RuntimeError(f"only {bytes_text(available)} of memory available, 512 MiB wanted")
    return (
        f"{bytes_text(available)} of memory available, {len(os.sched_getaffinity(0))} processors (1 is used)"
    )


def _temporary() -> str:
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    return f"temporary files can be written in {tempfile.gettempdir()}"


#: name -> check; each gives a detail or raises
CHECKS: dict[str, Check] = {
    "python": _python,
    "package": _package,
    "libraries": _libraries,
    "core": _core,
    "arch": _arches,
    "run": _run,
    "memory": _memory,
    "files": _temporary,
}
