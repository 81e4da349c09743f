"""The compile command: the vendor compiler's options, `compile_csl`, the output folder."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wafersim.errors import ConfigError

#: options of the vendor's compiler that change nothing here: name -> whether a value follows
_UNUSED = {
    "--max-parallelism": True, "--comptime-func-depth-limit": True,
    "--link-section-start-address-bytes": True, "--dump-dsr-alloc-graph": False, "--no-dsr-alloc": False,
    "-g0": False, "--debug-info": False,
}  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are ours."""

    def error(self, message: str) -> Any:
        raise ConfigError(f"cslc: {message}; see cslc --help")


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    p = _Parser(
        prog="wafersim cslc",
        description="Compile a CSL program to a folder that host scripts can run.",
        allow_abbrev=False,
    )
    p.add_argument("source", metavar="FILE", help="top file of the program, with the layout block")
    out = p.add_argument_group("output")
    out.add_argument("-o", dest="output", metavar="DIR", default="out", help="output folder (default: out)")
    out.add_argument(
        "--output-json", nargs="?", const="", metavar="PATH", help="also write the parameters to this file"
    )
    out.add_argument("--out-routes", action="store_true", help="print the routes of every color")
    out.add_argument("--verbose", action="store_true", help="say what is done")
    out.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    out.add_argument("--debug", action="store_true", help="print the traceback of an error")
    out.add_argument("--check", action="store_true", help="look for clashes of resources; write nothing")
    out.add_argument("--warnings-as-errors", action="store_true")
    target = p.add_argument_group("target")
    target.add_argument("--arch", choices=["wse2", "wse3"], default="wse2", help="generation (default: wse2)")
    target.add_argument("--fabric-dims", type=_pair, metavar="W,H", help="PEs of the fabric")
    target.add_argument(
        "--fabric-offsets", type=_pair, metavar="X,Y", default=(0, 0), help="place of the program on it"
    )
    target.add_argument("--fp16-format", choices=["f16", "cb16", "bf16"], default="f16")
    target.add_argument(
        "--sdk", metavar="VERSION", default=os.environ.get("WAFERSIM_SDK") or None,
        help="dialect; 0.x accepts colors as task ids and @bind_task (default: WAFERSIM_SDK)",
    )  # fmt: skip
    source = p.add_argument_group("source")
    source.add_argument(
        "--params", action="append", default=[], metavar="NAME:VALUE,...", help="values of params"
    )
    source.add_argument(
        "--colors", action="append", default=[], metavar="NAME:VALUE,...", help="values of colors"
    )
    source.add_argument(
        "--import-path", "-I", action="append", default=[], metavar="DIR", help="where imports are sought"
    )
    source.add_argument("--max-inlined-iterations", type=int, metavar="N")
    host = p.add_argument_group("host")
    host.add_argument("--memcpy", action="store_true", help="the program uses host copies")
    host.add_argument(
        "--channels", type=int, default=1, metavar="N", help="channels of the host link (default: 1)"
    )
    host.add_argument(
        "--width-west-buf", type=int, default=0, metavar="N", help="accepted; buffers are not modelled"
    )
    host.add_argument(
        "--width-east-buf", type=int, default=0, metavar="N", help="accepted; buffers are not modelled"
    )
    for name, has_value in _UNUSED.items():
        if has_value:
            p.add_argument(name, help=argparse.SUPPRESS)
        else:
            p.add_argument(name, action="store_true", help=argparse.SUPPRESS)
    return p


def _pair(text: str) -> tuple[int, int]:
    try:
        x, y = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} given, two whole numbers X,Y wanted") from None
    return x, y


def assignments(options: Sequence[str], option: str) -> dict[str, int]:
    """``["a:1,b:2", "c:3"]`` as a dict.

    Raises
    ------
    ConfigError
        No ``name:value``, no whole number, or a name given twice with different values.
    """
    result: dict[str, int] = {}
    for part in ",".join(options).split(","):
        if not part.strip():
            continue
        name, colon, text = (piece.strip() for piece in part.partition(":"))
        try:
            value = int(text, 0)
        except ValueError:
            value = -1
            colon = ""
        if not name or not colon:
            raise ConfigError(f"cslc: {option} {part!r}: NAME:VALUE with a whole number wanted")
        if result.get(name, value) != value:
            raise ConfigError(f"cslc: {option}: {name} is given twice, {result[name]} and {value}")
        result[name] = value
    return result


def compile_command(arguments: Sequence[str]) -> tuple[argparse.Namespace, Any]:
    """Parse the command line, compile, and write the folder unless ``--check``.

    Returns
    -------
    tuple
        The options, and what `compile_csl` returned (``program``, ``warnings``).
    """
    from wafersim.csl.compile import compile_csl
    from wafersim.sdk.elf_runner import write_marker
    from wafersim.sdk.folder import Folder

    options = parser().parse_args(list(arguments))
    if not Path(options.source).is_file():
        raise ConfigError(f"cslc: {options.source}: no such file")
    params, colors = assignments(options.params, "--params"), assignments(options.colors, "--colors")
    compiled = compile_csl(
        Path(options.source),
        arch=options.arch,
        params=params,
        colors=colors,
        fabric_dims=options.fabric_dims,
        fabric_offsets=options.fabric_offsets,
        memcpy=options.memcpy,
        channels=options.channels,
        import_paths=[Path(path) for path in options.import_path],
        sdk=options.sdk,
        fp16=options.fp16_format,
        max_inlined_iterations=options.max_inlined_iterations,
        warnings_as_errors=options.warnings_as_errors,
    )
    if not options.check:
        folder = Folder(Path(options.output), compiled.program, params, colors)
        folder.save()
        if (options.sdk or "").startswith("0"):
            write_marker(folder.path)
        if options.output_json is not None:
            path = Path(options.output_json or f"{options.output}.json")
            path.write_text((folder.path / "out.json").read_text())
    return options, compiled
