"""Entry point ``wafersim``: finds the command, runs it, turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from wafersim._version import __version__

#: command -> (module, object, one line for ``--help``); modules are imported only when their command runs
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("wafersim.cli.run", "run", "Run a library kernel or a program file and check its values."),
    "demo": (
        "wafersim.cli.demo",
        "demo",
        "Ten seconds: a matrix product on 32x32 PEs, checked and compared.",
    ),
    "cslc": ("wafersim.cli.cslc", "cslc", "Compile a CSL program, with the vendor compiler's options."),
    "python": ("wafersim.cli.python", "python", "Run the host script of a CSL program."),
    "sdk-shims": (
        "wafersim.cli.shims",
        "sdk_shims",
        "Write the commands cslc and cs_python that call these two.",
    ),
    "kernels": ("wafersim.cli.kernels", "kernels", "List the library kernels and their parameters."),
    "arch": ("wafersim.cli.arch", "arch_group", "Show the machines and the source of every constant."),
    "validate": (
        "wafersim.cli.validate",
        "validate",
        "Replay published programs: predicted against observed.",
    ),
    "llm": ("wafersim.cli.llm", "llm", "Say how many wafers a language model takes and how fast it is."),
    "sweep": (
        "wafersim.cli.sweep",
        "sweep",
        "Explore a design space: grid, random sample or Bayesian search, resumable.",
    ),
    "explain": ("wafersim.cli.explain", "explain", "Say what a figure, a status or a recorded run means."),
    "report": ("wafersim.cli.report_page", "report", "Write one page that shows a saved run."),
    "compare": ("wafersim.cli.compare", "compare", "Say what differs between two saved runs, and why."),
    "doctor": ("wafersim.cli.doctor", "doctor", "Check this installation."),
    "worker": ("wafersim.cli.worker", "worker", "Serve run requests as JSON lines; survives crashing runs."),
}

EXIT_OK, EXIT_FAILED, EXIT_BAD_INPUT = 0, 1, 2


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        try:
            command = getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise click.UsageError(f"{cmd_name!r} is not part of this version") from None
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{name} is no command")
        add_debug(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, _, short_help) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(COMMANDS)}"
            raise click.UsageError(f"command {args[0]!r} is unknown; {hint}")
        return super().resolve_command(ctx, args)


def add_debug(command: click.Command) -> None:
    """Give a command and its subcommands the option ``--debug``."""
    if not any("--debug" in parameter.opts for parameter in command.params):
        command.params.append(
            click.Option(
                ["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."
            )
        )
    if isinstance(command, click.Group):
        for child in command.commands.values():
            add_debug(child)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, "--version", "-V", message="wafersim %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def cli() -> None:
    """A simulator of a wafer-scale engine: real programs, real values, measured cycles.

    Start with: wafersim demo
    """


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 success, 1 wrong, stuck or failed run, 2 bad input."""
    sys.exit(call(list(sys.argv[1:] if argv is None else argv)))


def call(argv: list[str]) -> int:
    """Exit code of one command line."""
    try:
        code = cli.main(args=argv or ["--help"], prog_name="wafersim", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else EXIT_OK
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except SystemExit as error:  # click's answer to a pipe that its reader closed
        return error.code if isinstance(error.code, int) else EXIT_FAILED
    except BaseException as error:
        if "--debug" in argv and not isinstance(error, click.exceptions.Exit):
            import traceback

            traceback.print_exc()
        return _report(error, "--json" in argv)


def _report(error: BaseException, as_json: bool) -> int:
    if isinstance(error, click.exceptions.Exit):
        return int(error.exit_code)
    from wafersim.cli.common import visible

    code, kind, message = classify(error)
    print("wafersim: " + "\n".join(map(visible, message.split("\n"))), file=sys.stderr)
    if as_json:
        print(json.dumps({"status": "error", "error": {"kind": kind, "message": message}}))
    return code


def classify(error: BaseException) -> tuple[int, str, str]:
    """Exit code, kind and message of an error."""
    from wafersim.errors import ConfigError, ProgramError, error_words

    if isinstance(error, click.ClickException):
        ctx: click.Context | None = getattr(error, "ctx", None)
        path = ctx.command_path.removeprefix("wafersim").strip() if ctx is not None else ""
        text = " ".join(error.format_message().split())
        return EXIT_BAD_INPUT, "usage", f"{path}: {text}" if path else text
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return EXIT_FAILED, "Interrupted", "interrupted"
    bad_input = isinstance(error, ConfigError | ProgramError)
    return EXIT_BAD_INPUT if bad_input else EXIT_FAILED, *error_words(error)
