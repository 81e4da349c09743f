"""A broadcast library for rows and columns, after the documented face of the vendor's ``collectives_2d``.

Documented: one call per axis at a time with root, buffer, count and completion task; queues and DSRs per
axis; routes are set anew for every call through teardown.  The source is not public, so the protocol is ours:

1. The root's router passes its ramp to both directions, every other one what comes from the root's side to
its own
   ramp and on.  The root sends the words, then one control wavelet with a teardown command.
2. Behind the last word the command puts the color into teardown, router by router, and starts the teardown
task
   there.  That sets the route for the next root, one PE farther on, and leaves teardown.
3. A PE is done when it has its words (has sent them) and its teardown task has run; then it starts the user's
task.

No barrier: the next root may send while the words of this step are still under way elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.program.control import control_payload

if TYPE_CHECKING:
    from wafersim.program import Layout

#: Turns of an empty loop (9 cycles each) that stand for the unknown work of a library call: checks of
#: arguments and descriptor arithmetic.  Fitted on SUMMA-007 and SUMMA-010 (tiles 4, 32; 32x32 PEs, CS-2).
LIBRARY_TURNS = 9
FITTED_ON = ("SUMMA-007", "SUMMA-010")


@dataclass(frozen=True)
class Line:
    """One axis of a square of PEs: direction names and resources, the library's documented defaults."""

    name: str
    before: str
    behind: str
    in_queue: int
    out_queue: int
    dsr: int
    task_ids: tuple[int, int]


X_LINE = Line("x", "WEST", "EAST", 2, 2, 1, (8, 9))
Y_LINE = Line("y", "NORTH", "SOUTH", 3, 3, 2, (10, 11))


def add_line_routes(layout: Layout, line: Line, color: Any, size: int) -> None:
    """Routes of the first call, whose root is PE 0 of every line."""
    for start, count, kind in spans(size):
        place: dict[str, Any] = {"x": start, "y": 0, "width": count, "height": size}
        if line.name == "y":
            place = {"x": 0, "y": start, "width": size, "height": count}
        rx = "RAMP" if start == 0 else line.before
        tx = () if start == 0 else ("RAMP",)
        layout.route(color, rx=rx, tx=(*tx, *(() if kind == "last" else (line.behind,))), **place)


def spans(size: int) -> list[tuple[int, int, str]]:
    """(start, count, kind) of the parts of a line of 2 or more PEs."""
    middle = [(1, size - 2, "middle")] if size > 2 else []
    return [(0, 1, "first"), *middle, (size - 1, 1, "last")]


class LineBroadcast:
    """The library's code for one axis in one tile; ``done`` emits what follows a broadcast."""

    def __init__(
        self, pe: Any, line: Line, color: Any, words: int, position: Any, kind: str, done: Any
    ) -> None:
        self.pe, self.line, self.color, self.position, self.kind, self.done = (
            pe,
            line,
            color,
            position,
            kind,
            done,
        )
        name = line.name
        self.root = pe.array(f"{name}_root", "i16", init=0)
        self.parts = pe.array(f"{name}_parts", "i16", init=0)
        out = pe.output_queue(line.out_queue, color)
        into = pe.input_queue(line.in_queue, color)
        self.send = pe.fabout_dsd(out, extent=words)
        self.receive = pe.fabin_dsd(into, extent=words)
        self.close = pe.fabout_dsd(out, extent=1, control=True)
        self.sent = pe.local_task(f"{name}_sent", id=line.task_ids[0])
        self.received = pe.local_task(f"{name}_received", id=line.task_ids[1])
        self.payload = control_payload(0, [("teardown", True)])
        self.call = pe.function(f"{name}_broadcast", args=[("buffer", "u16")], export=False)
        self.finish = pe.function(f"{name}_part", export=False)

    def emit(self, view: Any) -> None:
        """The call and its two tasks; ``view`` is a memory descriptor of the right length."""
        pe = self.pe
        with self.finish:
            parts = pe.load(self.parts, 0) + 1
            pe.store(self.parts, 0, parts)
            with pe.if_(parts < 2):
                pe.return_()
            pe.store(self.parts, 0, 0)
            self.done()
        with self.call as (buffer,):
            library_work(pe)
            pe.set_dsd_base_addr(view, buffer)
            with pe.if_(pe.load(self.position, 0) == pe.load(self.root, 0)):
                pe.fmovs(self.send, view, async_=True, activate=self.sent)
                pe.return_()
            pe.fmovs(view, self.receive, async_=True, activate=self.received)
        with self.sent:
            pe.mov32(self.close, self.payload)
            pe.call(self.finish)
        with self.received:
            pe.call(self.finish)

    def emit_teardown(self) -> None:
        """Inside the teardown task: if this color is in teardown, route it for the next root."""
        pe, line, kind = self.pe, self.line, self.kind
        with pe.if_(pe.teardown_get(self.color)):
            root = pe.load(self.root, 0) + 1
            pe.store(self.root, 0, root)
            position = pe.load(self.position, 0)
            sides = [*([line.before] if kind != "first" else []), *([line.behind] if kind != "last" else [])]
            with pe.if_(position == root):
                pe.route_set(self.color, pe.layout.route_class(rx="RAMP", tx=tuple(sides)))
            if kind != "last":
                onward = ("RAMP", line.before) if kind == "middle" else ("RAMP",)
                with pe.if_(position < root):
                    pe.route_set(self.color, pe.layout.route_class(rx=line.behind, tx=onward))
            pe.teardown_exit(self.color)
            pe.call(self.finish)


def library_work(pe: Any) -> None:
    """Time that a library call spends on work that is not public."""
    with pe.for_range(LIBRARY_TURNS):
        pass
