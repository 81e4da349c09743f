"""Words for a stuck run: who waits on what and why, grouped over PEs, and the cycle of waits if any."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wafersim.program.schema import Op, Port, TaskCol, VOp
from wafersim.simulate.places import color_text, pe_of, pes_text, source_of

Entry = Mapping[str, Any]
Pe = tuple[int, int]

#: kinds of waits that the one-line message names; the others are counted
_SHOWN_KINDS = 3
#: PEs of a cycle of waits that the one-line message names
_SHOWN_RING = 12
#: places of a wait that its sentence names
_SHOWN_PLACES = 2

_REASONS = {
    "input": "waits for a wavelet",
    "output": "waits for room to send",
    "fifo empty": "waits for an element of FIFO {queue}",
    "fifo full": "waits for room in FIFO {queue}",
    "resource": "waits for a queue, FIFO or microthread that another op of this PE holds",
    "blocked": "is activated and blocked, and nothing unblocks it",
    "blocked microthread": "is blocked, and nothing unblocks it",
    "done": "never signalled completion, and no task is active",
    "endless": "never signalled completion, and its main thread is in an op without an end",
}

#: kinds that follow from other waits, or say least; they are named last
_LATER = {"no done": 1, "waiting sender": 2, "waiting receiver": 2}

#: what each ``kind`` of the core means
KINDS = {
    "missing sender": "nobody sends to it",
    "missing host data": "the host has fed nothing",
    "host stream dry": "the host has fed no more",
    "host stream blocked": "what the host feeds is held up on its way",
    "count mismatch": "fewer wavelets came than it takes",
    "waiting sender": "who should send waits itself",
    "waiting receiver": "who should receive waits itself",
    "nobody receives": "nobody takes what it sends",
    "self wait": "it waits for what only itself would do later",
    "dead branch": "one branch of a multicast takes nothing",
    "unbound queue": "no queue is bound to the color",
    "no route": "the color has no route",
    "switch position": "a switch stands in the wrong position",
    "teardown": "a router stands in teardown",
    "control wavelet": "a control wavelet stands in the way",
    "full FIFO": "a FIFO is full",
    "empty FIFO": "a FIFO is empty",
    "blocked task": "a task is blocked",
    "blocked microthread": "a microthread is blocked",
    "queue clash": "two ops want one queue",
    "FIFO clash": "two ops want one end of a FIFO",
    "busy microthread": "two ops want one microthread",
    "no done": "done() is never executed",
}

_OP_NAMES = {("vop", int(op)): op.name for op in VOp} | {
    ("instruction", int(op)): op.name.lower() for op in Op
}


def describe(waits: Sequence[Entry], meta: Entry, tables: Entry | None = None) -> list[dict[str, Any]]:
    """The core's waits with names, source lines and one sentence (``text``) each.

    ``tables`` are the program's tables, for the names of tasks.
    """
    return [_described(wait, meta, tables) for wait in waits]


def headline(waits: Sequence[Entry], cycles: int) -> str:
    """One line for all described waits of a stuck run; like ones are grouped over their PEs."""
    if not waits:
        return f"stuck after {cycles} cycles: a launched function never signalled completion"
    groups: dict[str, list[Entry]] = {}
    for wait in waits:
        groups.setdefault(str(wait.get("alike", wait["text"])), []).append(wait)
    ordered = sorted(groups.values(), key=lambda group: _LATER.get(str(group[0].get("kind")), 0))
    shown = [_group_text(group) for group in ordered[:_SHOWN_KINDS]]
    more = len(groups) - len(shown)
    tail = f"; and {more} more kinds of waits" if more > 0 else ""
    ring = wait_cycle(waits)
    if ring:
        steps = " -> ".join(f"({x}, {y})" for x, y in ring[:_SHOWN_RING])
        rest = f" -> ... ({len(ring) - _SHOWN_RING} more)" if len(ring) > _SHOWN_RING else ""
        tail += f"; the waits form a cycle: {steps}{rest} -> ({ring[0][0]}, {ring[0][1]})"
    return f"stuck after {cycles} cycles: {'; '.join(shown)}{tail}"


def _group_text(group: Sequence[Entry]) -> str:
    """The sentence of the first wait, said of all PEs of the group."""
    return f"{pes_text([(wait['pe'][0], wait['pe'][1]) for wait in group])}: {group[0]['text']}"


def wait_cycle(waits: Sequence[Entry]) -> list[Pe]:
    """PEs that wait for each other in a ring (at least two), in order; empty if there is none."""
    edges: dict[Pe, list[Pe]] = {}
    for wait in waits:
        here = (wait["pe"][0], wait["pe"][1])
        named = wait.get("blocked_on", wait.get("waits_for", ()))
        targets = [(x, y) for x, y in named if (x, y) != here]
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


def _described(wait: Entry, meta: Entry, tables: Entry | None) -> dict[str, Any]:
    entry = {key: value for key, value in wait.items() if key not in ("x", "y")}
    pe = pe_of(wait) or (0, 0)
    entry["pe"] = list(pe)
    for key in ("waits_for", "blocked_on"):
        if key in wait:
            entry[key] = [list(other) for other in wait[key]]
    entry.setdefault("waits_for", [])
    entry["host_ports"] = [
        {"pe": [x, y], "color": color, "port": Port(port).name}
        for x, y, color, port in wait.get("host_ports", ())
    ]
    entry["places"] = [_with_color_names(str(place), meta) for place in wait.get("places", ())]
    entry["what"] = _op_name(str(wait.get("what", "")))
    entry["task_name"] = _task_name(wait, pe, meta, tables)
    entry["function"] = _function_name(wait.get("function", -1), meta)
    entry |= source_of(wait, meta)
    entry["alike"] = _sentence(entry, meta)
    entry["text"] = "; ".join([entry["alike"], *_reasons_why(entry)])
    return entry


def _sentence(wait: Entry, meta: Entry) -> str:
    """What waits for what: the same for PEs that stand at the same place of the same code."""
    reason = _REASONS.get(str(wait.get("reason")), f"waits ({wait.get('reason')})")
    words = [f"{_who(wait)} {reason.format(queue=wait.get('queue', '?'))}"]
    if wait["what"] and wait.get("reason") != "done":
        words.append(_progress(wait))
    if isinstance(wait.get("color"), int) and wait["color"] >= 0:
        queue = wait.get("queue", -1)
        held = f", queue {queue} holds {wait.get('fill', 0)}" if isinstance(queue, int) and queue >= 0 else ""
        words.append(f"color {color_text(wait['color'], meta)}{held}")
    if "source" in wait:
        words.append(f"at {wait['source']}")
    if wait.get("kind"):
        meaning = KINDS.get(wait["kind"])
        words.append(f"{wait['kind']} ({meaning})" if meaning else str(wait["kind"]))
    return ", ".join(words)


def _reasons_why(wait: Entry) -> list[str]:
    """The first places, in words; they differ from PE to PE."""
    return [str(place) for place in wait["places"][:_SHOWN_PLACES]]


def _who(wait: Entry) -> str:
    who = str(wait.get("thread", "main"))
    task, name = wait.get("task", -1), wait.get("task_name")
    quoted = f" {name!r}" if name else ""
    if who.startswith("task"):
        return f"{who}{quoted}"
    if isinstance(task, int) and task >= 0:
        return f"{who} (task {task}{quoted})"
    return f"{who} (function {wait['function']!r})" if wait.get("function") else who


def _progress(wait: Entry) -> str:
    done, length = wait.get("done"), wait.get("length")
    if not isinstance(length, int) or length == 0:
        return str(wait["what"])
    return f"{wait['what']} after {done} {f'of {length} ' if length > 0 else ''}elements"


def _op_name(what: str) -> str:
    """``"vop 27"`` and ``"instruction 70"`` with the names of the encoding."""
    kind, _, number = what.partition(" ")
    if not number.isdigit():
        return what
    return _OP_NAMES.get((kind, int(number)), what)


def _with_color_names(text: str, meta: Entry) -> str:
    """Every ``color 5`` with the color's name."""
    return re.sub(r"\bcolor (\d+)\b", lambda m: f"color {color_text(int(m.group(1)), meta)}", text)


def _task_name(wait: Entry, pe: Pe, meta: Entry, tables: Entry | None) -> str:
    """The name of the task with the wait's id on its PE's tile; empty if unknown."""
    task = wait.get("task", -1)
    if tables is None or not isinstance(task, int) or task < 0:
        return ""
    rows = tables["tasks"]
    mine = rows[(rows[:, TaskCol.TILE] == tables["tile_map"][pe[1], pe[0]]) & (rows[:, TaskCol.ID] == task)]
    number = int(mine[0, TaskCol.NAME]) if len(mine) else -1
    strings = meta.get("strings", ())
    return str(strings[number]) if 0 <= number < len(strings) else ""


def _function_name(number: Any, meta: Entry) -> str:
    for name, entry in meta.get("functions", {}).items():
        if entry.get("number") == number:
            return str(name)
    return ""
