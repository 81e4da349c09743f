"""A run request, from the command line or from a line of JSON: checked, prepared, carried out."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wafersim.errors import ANSWER_SCHEMA, ConfigError
from wafersim.simulate.fidelity import check_fidelity, check_threads
from wafersim.simulate.interrupt import remembered_interrupts
from wafersim.simulate.limits import did_you_mean

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.record import Record
    from wafersim.simulate.watching import Watch

#: field -> what a value has to be, in words; the JSON names of a request
FIELDS: dict[str, str] = {
    "schema": "1",
    "id": "any JSON value; comes back in the answer",
    "kernel": "name of a library kernel",
    "program": "path of a program file",
    "launch": "name of an exported function of the program file",
    "arch": 'name of an arch, path of a TOML file, or object {"from": name, constants and their values}',
    "grid": "WxH",
    "params": "object of parameters, or of the launched function's arguments",
    "fidelity": "wavelet or stream",
    "values": "true or false",
    "grain": "whole number",
    "threads": "whole number",
    "seed": "whole number",
    "max_cycles": "whole number",
    "max_events": "whole number",
    "max_seconds": "number",
    "timeout": "number",
    "memory": "whole number",
    "dry_run": "true or false",
}


@dataclass
class Request:
    """One run as asked for; None stands for the default."""

    kernel: str | None = None
    program: str | None = None
    launch: str | None = None
    arch: str | dict[str, Any] | None = None
    grid: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    max_cycles: int | None = None
    max_events: int | None = None
    max_seconds: float | None = None
    timeout: float | None = None
    memory: int | None = None
    dry_run: bool = False
    fidelity: str = "wavelet"
    grain: int | None = None
    values: bool = True
    threads: int = 1

    @property
    def limits(self) -> dict[str, Any]:
        """The limits as `Simulator.run` takes them."""
        return {"max_cycles": self.max_cycles, "max_events": self.max_events, "max_seconds": self.max_seconds}


def from_fields(fields: Mapping[str, Any]) -> Request:
    """A request from its JSON fields.

    Raises
    ------
    ConfigError
        Unknown field, wrong type, or something that this version cannot do.
    """
    for name in fields:
        if name not in FIELDS:
            raise ConfigError(f"request: field {name!r} is unknown; {did_you_mean(name, FIELDS)}")
    check_schema(fields.get("schema"))
    fidelity = _typed(fields, "fidelity", str)
    values, grain = _typed(fields, "values", bool), _whole(fields, "grain", 1)
    fidelity = check_fidelity(fidelity, values is not False, grain)
    threads = check_threads(_whole(fields, "threads", 1), fidelity)
    texts = {name: _typed(fields, name, str) for name in ("kernel", "program", "launch")}
    if (texts["kernel"] is None) == (texts["program"] is None):
        raise ConfigError("request: exactly one of 'kernel' and 'program' is wanted")
    grid = fields.get("grid")
    if isinstance(grid, list):
        grid = "x".join(str(side) for side in grid)
    return Request(
        **texts,
        arch=fields["arch"] if isinstance(fields.get("arch"), dict) else _typed(fields, "arch", str),
        grid=_typed({"grid": grid}, "grid", str),
        params=_typed(fields, "params", dict) or {},
        seed=_whole(fields, "seed", 0) or 0,
        max_cycles=_whole(fields, "max_cycles", 1),
        max_events=_whole(fields, "max_events", 1),
        max_seconds=_positive(fields, "max_seconds"),
        timeout=_positive(fields, "timeout"),
        memory=_whole(fields, "memory", 1),
        dry_run=_typed(fields, "dry_run", bool) or False,
        fidelity=fidelity,
        grain=grain,
        values=values is not False,
        threads=threads,
    )


def check_schema(schema: Any) -> None:
    """Raise for a request of a schema that this version does not read."""
    if schema is not None and (isinstance(schema, bool) or schema != ANSWER_SCHEMA):
        found = json.dumps(schema)[:40]
        raise ConfigError(f"request: schema={found}, this wafersim reads requests of schema {ANSWER_SCHEMA}")


def arch_of(arch: str | Mapping[str, Any]) -> Arch:
    """A preset, a TOML file, or a changed arch written as an object.

    Raises
    ------
    ConfigError
        Unknown name, unreadable file, unknown constant, or a value that is not allowed.
    """
    from wafersim.arch import Arch as ArchClass

    if isinstance(arch, str):
        return ArchClass.load(arch)
    try:
        text = json.dumps(arch, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ConfigError("request: arch is an object that is no JSON") from None
    return _changed_arch(text)


@functools.lru_cache(maxsize=64)
def _changed_arch(text: str) -> Arch:
    from wafersim.arch import Arch as ArchClass

    changes = json.loads(text)
    base = changes.pop("from", None)
    if not isinstance(base, str):
        raise ConfigError(f'request: arch={text[:80]}, {FIELDS["arch"]} wanted; it lacks "from"')
    reserved = sorted({"name", "source", "confidence"} & changes.keys())
    if reserved:
        raise ConfigError(f"request: arch has {reserved[0]!r}, which is no constant")
    loaded = ArchClass.load(base)
    return loaded.replace(source="set by the request", **changes) if changes else loaded


def execute(
    request: Request, progress: Any = None, watch: Watch | None = None, frames: int | None = None
) -> Record:
    """Carry the run out; a stuck or faulty run comes back as a record, not as an error."""
    if request.kernel is not None and request.launch is not None:
        raise ConfigError("launch: only a program file has functions to choose from")
    with remembered_interrupts(progress) as watched:
        return run_built(request, build(request), watched, watch, frames)


def build(request: Request) -> Any:
    """What runs of one program share: a prepared kernel, or an opened file with its arch."""
    if request.kernel is not None:
        from wafersim.simulate.runner import prepare

        return prepare(request.kernel, arch_of(request.arch or "wse2"), request.grid, request.params)
    from wafersim.simulate.program_file import open_program

    arch = None if request.arch is None else arch_of(request.arch)
    return open_program(Path(request.program or ""), arch, request.grid)


def run_built(
    request: Request,
    built: Any,
    progress: Any = None,
    watch: Watch | None = None,
    frames: int | None = None,
) -> Record:
    """Run what `build` made of this request, or of another one for the same program."""
    if request.kernel is not None:
        record: Record = built.execute(
            seed=request.seed,
            fidelity=request.fidelity,
            values=request.values,
            grain=request.grain,
            threads=request.threads,
            raise_on_stuck=False,
            progress=progress,
            watch=watch,
            frames=frames,
            **request.limits,
        )
        return record
    from wafersim.simulate.program_file import execute_opened

    return execute_opened(
        Path(request.program or ""),
        built,
        function=request.launch,
        arguments=request.params,
        seed=request.seed,
        fidelity=request.fidelity,
        values=request.values,
        grain=request.grain,
        threads=request.threads,
        progress=progress,
        watch=watch,
        frames=frames,
        **request.limits,
    )


def exit_code(record: Record) -> int:
    """0 for a finished run whose values are right or were not to be checked, else 1."""
    return 0 if record.status == "finished" and record.info.get("verified") is not False else 1


def looks_like_file(target: str) -> bool:
    """Whether the target of ``wafersim run`` names a program file rather than a kernel."""
    return target.endswith(".wsp") or os.sep in target or os.path.isfile(target)


def parse_settings(settings: tuple[str, ...]) -> dict[str, str]:
    """``("tile=4", ...)`` as a dict of texts."""
    result: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.strip()
        if not equals or not name or not value.strip():
            raise ConfigError(f"--set {setting!r}: NAME=VALUE wanted, for example --set tile=4")
        if name in result:
            raise ConfigError(f"--set {name}: given twice ({result[name]!r} and {value.strip()!r})")
        result[name] = value.strip()
    return result


def _typed(fields: Mapping[str, Any], name: str, kind: type) -> Any:
    value = fields.get(name)
    if value is not None and not isinstance(value, kind):
        raise ConfigError(f"request: {name}={json.dumps(value)[:80]}, {FIELDS[name]} wanted")
    return value


def _whole(fields: Mapping[str, Any], name: str, low: int) -> int | None:
    value = _typed(fields, name, int)
    if value is not None and (isinstance(value, bool) or not low <= value < 1 << 63):
        raise ConfigError(f"request: {name}={str(value)[:80]}, a whole number {low} .. 2**63 - 1 wanted")
    return None if value is None else int(value)


def _positive(fields: Mapping[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15:
        raise ConfigError(f"request: {name}={str(value)[:80]}, a positive number of seconds wanted")
    return float(value)
