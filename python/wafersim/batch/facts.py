"""What decides the answer to a request: the facts that its key in a store is made of."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wafersim._version import __version__
from wafersim.errors import ANSWER_SCHEMA, ConfigError
from wafersim.record.plain import plain
from wafersim.simulate import request as requests
from wafersim.store import code_digest

#: answers that depend on nothing but the facts: by status, and of errors by reason
_KEPT_STATUS = {"finished", "stuck", "fault", "limit"}
_KEPT_REASONS = {
    "bad_request", "bad_program", "does_not_fit", "sram_overflow", "color_exhausted", "task_exhausted",
    "unsupported",
}  # fmt: skip

#: largest program or model file that is hashed
_MAX_FILE_BYTES = 1 << 30


def facts_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a request, defaults filled in, files by their content.

    Raises
    ------
    ConfigError
        A request that cannot be carried out as written.
    """
    request = requests.from_fields(fields)
    facts: dict[str, Any] = {"kind": "run"}
    if request.kernel is not None:
        facts |= _kernel_facts(request)
    else:
        arch = None if request.arch is None else requests.arch_of(request.arch)
        facts |= {
            "program": _content(Path(request.program or "")), "launch": request.launch,
            "arch": None if arch is None else _arch_facts(arch), "params": plain(request.params),
        }  # fmt: skip
    return facts | {
        "fidelity": request.fidelity, "values": request.values, "grain": request.grain, "seed": request.seed,
        "max_cycles": request.max_cycles, "max_events": request.max_events,
        "wafersim": __version__, "code": code_digest(), "schema": ANSWER_SCHEMA,
    }  # fmt: skip


def _kernel_facts(request: requests.Request) -> dict[str, Any]:
    from wafersim.simulate.runner import check_fits, find_kernel, parse_grid, resolve_params

    kernel = find_kernel(str(request.kernel))
    arch = requests.arch_of(request.arch or "wse2")
    grid = kernel.default_grid if request.grid is None else parse_grid(request.grid)
    check_fits(arch, *grid)
    params = {name: content_of(value) for name, value in resolve_params(kernel, request.params).items()}
    return {"kernel": kernel.name, "arch": _arch_facts(arch), "grid": list(grid), "params": params}


def _arch_facts(arch: Any) -> dict[str, Any]:
    """Values decide the run; name and base decide which published rows support it."""
    return {"name": arch.name, "base": arch.base, "values": arch.fingerprint()}


def content_of(value: Any) -> Any:
    """A parameter's value; one that is the path of a file stands for its content."""
    if isinstance(value, str) and os.path.isfile(value):
        return {"path": value, "sha256": _content(Path(value))}
    return plain(value)


def _content(path: Path) -> str:
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise ConfigError("no regular file")
        if state.st_size > _MAX_FILE_BYTES:
            raise ConfigError(f"larger than {_MAX_FILE_BYTES} bytes")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"program file {str(path)[:400]!r}: {text}") from None


def is_kept(answer: Mapping[str, Any]) -> bool:
    """Whether the same request would always get this answer: no time-out, crash, memory or Ctrl-C in it."""
    code = (answer.get("reason") or {}).get("code")
    if answer.get("status") == "error":
        return code in _KEPT_REASONS
    return answer.get("status") in _KEPT_STATUS and code != "timeout" and not answer.get("dry_run")
