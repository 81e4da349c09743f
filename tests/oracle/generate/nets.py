"""A color's tree through the fabric, and what each end of it will get.

The tree is traced wavelet by wavelet when the program is made.  Every router has one input
per color here, so what arrives where does not depend on time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from wafersim.program.schema import FilterKind, PopMode, SwitchCommand

from ..router import command_field, with_field

RAMP = 4
STEPS = ((0, -1), (1, 0), (0, 1), (-1, 0))
Wavelet = tuple[int, bool]  # payload, control


@dataclass
class Node:
    """A router of the tree."""

    x: int
    y: int
    parent: int  # port of the input
    children: dict[int, Node] = field(default_factory=dict)
    sink: bool = False
    arrives: int = -1  # color under which wavelets come
    color: int = -1  # color under which they are routed here (differs where a swap is)
    positions: list[tuple[int, int]] = field(default_factory=list)
    position: int = 0
    initial: int = 0
    ring: bool = False
    pop: int = int(PopMode.NEVER)
    torn: bool = False
    filter: dict[str, int] = field(default_factory=dict)
    counter: int = 0
    filter_on: bool = True
    got: list[Wavelet] = field(default_factory=list)
    held: list[Wavelet] = field(default_factory=list)
    traced: list[tuple[int, int]] = field(default_factory=list)  # masks that the program sets later
    to_host: int = 0  # outputs that are sinks

    def outputs(self) -> int:
        mask = sum(1 << d for d in self.children)
        return mask | (1 << RAMP if self.sink else 0)

    def walk(self) -> list[Node]:
        return [self] + [n for c in self.children.values() for n in c.walk()]


def grow(rng: Random, width: int, height: int, x: int, y: int, reach: int) -> Node:
    """A random tree from (x, y) over at most ``reach`` further PEs."""
    root = Node(x, y, RAMP)
    seen = {(x, y): root}
    tip = root
    for _ in range(reach):
        if rng.random() < 0.25:
            tip = rng.choice(list(seen.values()))
        ways = [
            d
            for d, (dx, dy) in enumerate(STEPS)
            if 0 <= tip.x + dx < width and 0 <= tip.y + dy < height and (tip.x + dx, tip.y + dy) not in seen
        ]
        if not ways:
            continue
        d = rng.choice(ways)
        child = Node(tip.x + STEPS[d][0], tip.y + STEPS[d][1], d ^ 2)
        tip.children[d] = child
        seen[(child.x, child.y)] = child
        tip = child
    for node in root.walk():
        node.sink = not node.children or rng.random() < 0.2
    return root


def set_colors(root: Node, color: int, swap: Random | None) -> None:
    """Give the nodes their colors; with ``swap``, let some borders flip the lowest bit."""
    root.arrives = root.color = color
    if swap is not None and swap.random() < 0.25:
        root.color ^= 1  # at the ramp
    for node in root.walk():
        for child in node.children.values():
            child.arrives = child.color = node.color
            if swap is not None and swap.random() < 0.5:
                child.color ^= 1


def set_positions(root: Node, rng: Random, switched: bool) -> None:
    """Masks of the switch positions (one if not switched)."""
    for node in root.walk():
        inputs, full = 1 << node.parent, node.outputs()
        node.positions = [(inputs, full)]
        bits = [1 << d for d in range(5) if full >> d & 1]
        if switched and len(bits) > 1 and rng.random() < 0.8:
            node.positions = [(inputs, rng.choice(bits)) for _ in range(rng.choice((2, 2, 3, 4)))]
            if rng.random() < 0.3:
                node.positions[rng.randrange(len(node.positions))] = (inputs, full)
            node.ring = rng.random() < 0.5
            node.initial = node.position = rng.choice((0, 0, len(node.positions) - 1))
        if switched:
            node.pop = int(rng.choice(list(PopMode)))


def control_payload(rng: Random, task: int, commands: list[int], ignore: float) -> int:
    """A control wavelet with these commands and random not-to-the-CE bits."""
    bits = 0
    for k, command in enumerate(commands):
        bits |= (command | (int(rng.random() < ignore) << 2)) << 3 * k
    return with_field(task << 16 | rng.getrandbits(2) << 30, bits)


def random_commands(rng: Random, teardown: bool) -> list[int]:
    """Commands for the routers along the way."""
    kinds = [SwitchCommand.NOP, SwitchCommand.ADVANCE, SwitchCommand.ADVANCE, SwitchCommand.RESET]
    out = [int(rng.choice(kinds)) for _ in range(rng.choice((1, 1, 2, 3, 8)))]
    if teardown:
        out[0] = int(SwitchCommand.TEARDOWN)
    return out


def _filtered(node: Node, payload: int, control: bool) -> bool:
    """Does the node's filter drop the wavelet?  Its counter moves."""
    f = node.filter
    if not f or not node.filter_on:
        return False
    if f["filter"] == FilterKind.RANGE:
        return not (control or f["filter_min"] <= payload >> 16 <= f["filter_max"])
    drop = node.counter > f["filter_max"]
    if f["filter_count_control" if control else "filter_count_data"]:
        if node.counter != f["filter_limit1"]:
            node.counter += 1
        else:
            node.counter = 0
            if f["filter"] == FilterKind.SPARSE_COUNTER:
                f["filter_max"] += f["filter_limit2"]
                node.filter_on = f["filter_max"] <= 65535
    return drop


def trace(node: Node, payload: int, control: bool) -> None:
    """Send one wavelet through the node and on."""
    if node.torn:
        node.held.append((payload, control))
        return
    outputs = (node.traced or node.positions)[node.position][1]
    commands = command_field(payload) if control else 0
    if outputs >> RAMP & 1 and not commands >> 2 & 1 and not _filtered(node, payload, control):
        node.got.append((payload, control))
    onward = payload
    if control:
        command = commands & 3
        if (
            node.pop == PopMode.ALWAYS
            or (node.pop == PopMode.ON_ADVANCE and command == 1)
            or (node.pop == PopMode.ON_ADVANCE_OR_NOP and command in (0, 1))
        ):
            onward = with_field(payload, commands >> 3)
        _act(node, command)
    for d, child in node.children.items():
        if outputs >> d & 1:
            trace(child, onward, control)


def _act(node: Node, command: int) -> None:
    if command == SwitchCommand.ADVANCE:
        last = node.position + 1 >= len(node.positions)
        node.position = (0 if node.ring else node.position) if last else node.position + 1
    elif command == SwitchCommand.RESET:
        node.position = 0
    elif command == SwitchCommand.TEARDOWN:
        node.torn = True


def advance_local(root: Node) -> None:
    """The descriptor's advance after the last wavelet."""
    _act(root, int(SwitchCommand.ADVANCE))


def release(node: Node, positions: list[tuple[int, int]]) -> None:
    """Teardown is left with a new route: what waited goes on."""
    node.torn, node.position, node.positions = False, 0, positions
    held, node.held = node.held, []
    for payload, control in held:
        trace(node, payload, control)
