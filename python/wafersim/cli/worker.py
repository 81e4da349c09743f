"""``wafersim worker``: run requests as JSON lines in, answers as JSON lines out.

Requests run in an isolated process that is kept; one that crashes, hangs or runs out of memory costs its own
answer only, and the next one is ready by then.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from wafersim.store import ResultStore


@click.command()
@click.option("--timeout", type=float, metavar="S", help="Host seconds that a request may take.")
@click.option("--memory-limit", type=int, metavar="BYTES", help="Memory that a request's run may take.")
@click.option(
    "--store", type=click.Path(path_type=Path), metavar="DIR", help="Keep answers in DIR and find them again."
)
@click.option(
    "--schema", "which", type=click.Choice(["request", "answer"]), help="Print that JSON Schema and end."
)
@click.option("--json", "as_json", is_flag=True, help="Accepted as everywhere; answers are always JSON.")
def worker(
    timeout: float | None, memory_limit: int | None, store: Path | None, which: str | None, as_json: bool
) -> int:
    """Serve run requests: one JSON object per line in, one JSON object per line out, in the same order.

    \b
    {"id": 1, "kernel": "reduce", "arch": "wse2", "grid": "8x1", "params": {"words": 64}}

    The fields are those of the answer of `wafersim run --json`; an optional "id" comes back.
    """
    from wafersim.batch import protocol
    from wafersim.errors import ConfigError
    from wafersim.store import ResultStore

    if which is not None:
        click.echo(json.dumps(protocol.schema(which), indent=1))
        return 0
    if timeout is not None and not 0 < timeout < 1e9:
        raise ConfigError(f"--timeout {timeout}: a positive number of seconds wanted")
    if memory_limit is not None and memory_limit < 1 << 20:
        raise ConfigError(f"--memory-limit {memory_limit}: at least {1 << 20} bytes (1 MiB) wanted")
    del as_json
    opened = None if store is None else ResultStore(store)
    with _Server(timeout, memory_limit, opened) as server:
        for line in protocol.lines(sys.stdin.buffer):
            sys.stdout.write(json.dumps(server.answer(line), allow_nan=False) + "\n")
            sys.stdout.flush()
    return 0


class _Server:
    """A process at work and another one that is ready to take its place."""

    def __init__(self, timeout: float | None, memory: int | None, store: ResultStore | None) -> None:
        from wafersim.batch.children import Child

        self._timeout, self._memory, self._store = timeout, memory, store
        self._child, self._spare = Child(), Child()

    def __enter__(self) -> _Server:
        self._child.start()
        self._spare.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()
        self._spare.close()
        if self._store is not None:
            self._store.flush()

    def answer(self, line: bytes | None) -> dict[str, Any]:
        """The answer to a line, whatever it is."""
        from wafersim.batch import protocol
        from wafersim.batch.serving import failure

        request_id = None
        try:
            fields = protocol.parse(line)
            request_id = fields.get("id")
            answer = self._of_fields(fields)
        except Exception as error:
            answer = failure(error)
        return {"id": request_id, **{name: value for name, value in answer.items() if name != "id"}}

    def _of_fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        from wafersim.batch.facts import facts_of, is_kept
        from wafersim.batch.serving import order_of
        from wafersim.simulate import request as requests
        from wafersim.store import key_of

        request = requests.from_fields(fields)
        order = order_of(fields, request, self._timeout, self._memory)
        if self._store is None or request.dry_run:
            return self._run(order)
        facts = facts_of(order["fields"])
        known = self._store.get(key_of(facts))
        if known is not None:
            return known | {"stored": True}
        answer = self._run(order)
        if is_kept(answer):
            self._store.put(facts, answer)
        return answer

    def _run(self, order: dict[str, Any]) -> dict[str, Any]:
        if not self._child.is_running:
            self._child, self._spare = self._spare, self._child
        answer = self._child.ask(order, order.get("timeout"))
        if not self._child.is_running:
            self._child, self._spare = self._spare, self._child
            self._spare.start()
        return answer
