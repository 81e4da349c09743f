"""Runs a host script as Python would, in this process, with the host modules on offer."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from wafersim.errors import ConfigError, WafersimError
from wafersim.sdk import hook


def run_script(arguments: Sequence[str]) -> int:
    """Run ``script.py args...`` or ``-m module args...``; the exit code is the script's.

    Raises
    ------
    ConfigError
        No such script.
    """
    hook.install()
    is_module = arguments[0] == "-m"
    if is_module and len(arguments) < 2:
        raise ConfigError("python -m: the name of a module is missing")
    target = arguments[1] if is_module else arguments[0]
    if not is_module and not Path(target).is_file():
        raise ConfigError(f"{target}: no such script")
    sys.argv = [target, *arguments[2 if is_module else 1 :]]
    sys.path[0:0] = [""] if is_module else [str(Path(target).resolve().parent)]
    try:
        if is_module:
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(target, run_name="__main__")
    except SystemExit as stop:
        return _exit_code(stop.code)
    except KeyboardInterrupt:
        return 130
    except WafersimError as error:
        sys.stdout.flush()
        sys.stderr.write(f"{_place(error)}wafersim: {type(error).__name__}: {error}\n")
        return 1
    except BaseException as error:
        sys.stdout.flush()
        shown = error.with_traceback(_without_ours(error))
        sys.excepthook(type(shown), shown, shown.__traceback__)
        return 1
    return 0


def _exit_code(code: object) -> int:
    """What a process exits with for the argument of ``sys.exit``."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    sys.stderr.write(f"{code}\n")
    return 1


def _place(error: BaseException) -> str:
    """The line of the script that led to the error."""
    from traceback import extract_tb

    package = str(Path(__file__).resolve().parent.parent)
    frames = [f for f in extract_tb(error.__traceback__) if not f.filename.startswith((package, "<frozen"))]
    return f"{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}\n" if frames else ""


def _without_ours(error: BaseException) -> TracebackType | None:
    """The traceback from the script on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (
        __file__,
        runpy.__file__,
        "<frozen runpy>",
    ):
        trace = trace.tb_next
    return trace
