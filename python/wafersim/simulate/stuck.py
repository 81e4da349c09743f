"""Words for a stuck run: who waits on what, grouped over PEs, and the cycle of waits if there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.program.schema import Op, VOp
from wafersim.simulate.places import color_text, pe_of, pes_text, source_of

Entry = Mapping[str, Any]
Pe = tuple[int, int]

#: kinds of waits that the one-line message names; the others are counted
_SHOWN_KINDS = 3

_REASONS = {
    "input": "waits for a wavelet",
    "output": "waits for room to send",
    "fifo empty": "waits for an element of FIFO {queue}",
    "fifo full": "waits for room in FIFO {queue}",
    "resource": "waits for a queue, FIFO or microthread that another op of this PE holds",
    "blocked": "is activated and blocked, and nothing unblocks it",
    "blocked microthread": "is blocked, and nothing unblocks it",
    "done": "never signalled completion, and no task is active",
}

_OP_NAMES = {("vop", int(op)): op.name for op in VOp} | {
    ("instruction", int(op)): op.name.lower() for op in Op
}


def describe(waits: Sequence[Entry], meta: Entry) -> list[dict[str, Any]]:
    """The core's waits with names, source lines and one sentence (``text``) each."""
    return [_described(wait, meta) for wait in waits]


def headline(waits: Sequence[Entry], cycles: int) -> str:
    """One line for all described waits of a stuck run; equal ones are grouped over their PEs."""
    if not waits:
        return f"stuck after {cycles} cycles: a launched function never signalled completion"
    groups: dict[str, list[Pe]] = {}
    for wait in waits:
        groups.setdefault(str(wait["text"]), []).append((wait["pe"][0], wait["pe"][1]))
    shown = [f"{pes_text(pes)}: {text}" for text, pes in list(groups.items())[:_SHOWN_KINDS]]
    more = len(groups) - len(shown)
    tail = f"; and {more} more kinds of waits" if more > 0 else ""
    ring = wait_cycle(waits)
    if ring:
        steps = " -> ".join(f"({x}, {y})" for x, y in [*ring, ring[0]])
        tail += f"; the waits form a cycle: {steps}"
    return f"stuck after {cycles} cycles: {'; '.join(shown)}{tail}"


def wait_cycle(waits: Sequence[Entry]) -> list[Pe]:
    """PEs that wait for each other in a ring (at least two), in order; empty if there is none."""
    edges: dict[Pe, list[Pe]] = {}
    for wait in waits:
        here = (wait["pe"][0], wait["pe"][1])
        targets = [(x, y) for x, y in wait.get("waits_for", ()) if (x, y) != here]
        edges.setdefault(here, []).extend(targets)
    done: set[Pe] = set()
    for start in edges:
        ring = _ring_from(start, edges, done)
        if ring:
            return ring
    return []


def _ring_from(start: Pe, edges: Mapping[Pe, list[Pe]], done: set[Pe]) -> list[Pe]:
    """Depth-first search without recursion; ``done`` holds PEs known to lead to no ring."""
    path, on_path, iterators = [start], {start}, [iter(edges[start])]
    if start in done:
        return []
    while path:
        following = next(iterators[-1], None)
        if following is None:
            iterators.pop()
            last = path.pop()
            on_path.discard(last)
            done.add(last)
        elif following in on_path:
            return path[path.index(following) :]
        elif following in edges and following not in done:
            path.append(following)
            on_path.add(following)
            iterators.append(iter(edges[following]))
    return []


def _described(wait: Entry, meta: Entry) -> dict[str, Any]:
    entry = {key: value for key, value in wait.items() if key not in ("x", "y")}
    entry["pe"] = list(pe_of(wait) or (0, 0))
    entry["waits_for"] = [list(pe) for pe in wait.get("waits_for", ())]
    entry["places"] = list(wait.get("places", ()))
    entry["what"] = _op_name(str(wait.get("what", "")))
    entry |= source_of(wait, meta)
    entry["text"] = _sentence(entry, meta)
    return entry


def _sentence(wait: Entry, meta: Entry) -> str:
    who = str(wait.get("thread", "main"))
    task = wait.get("task", -1)
    if isinstance(task, int) and task >= 0 and not who.startswith("task"):
        who += f" (task {task})"
    reason = _REASONS.get(str(wait.get("reason")), f"waits ({wait.get('reason')})")
    words = [f"{who} {reason.format(queue=wait.get('queue', '?'))}"]
    if wait["what"] and wait.get("reason") != "done":
        words.append(_progress(wait))
    if isinstance(wait.get("color"), int) and wait["color"] >= 0:
        queue = wait.get("queue", -1)
        held = f", queue {queue} holds {wait.get('fill', 0)}" if isinstance(queue, int) and queue >= 0 else ""
        words.append(f"color {color_text(wait['color'], meta)}{held}")
    if "source" in wait:
        words.append(f"at {wait['source']}")
    words += [str(place) for place in wait["places"][:2]]
    return ", ".join(words)


def _progress(wait: Entry) -> str:
    done, length = wait.get("done"), wait.get("length")
    if not isinstance(length, int) or length <= 0:
        return str(wait["what"])
    return f"{wait['what']} after {done} of {length} elements"


def _op_name(what: str) -> str:
    """``"vop 27"`` and ``"instruction 70"`` with the names of the encoding."""
    kind, _, number = what.partition(" ")
    if not number.isdigit():
        return what
    return _OP_NAMES.get((kind, int(number)), what)
