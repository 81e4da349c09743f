"""A flow: a tree of one color and its traffic."""

from __future__ import annotations

from . import ends
from .context import PeGen, ProgramGen, Steps
from .ends import INDEXED, WORDS, Batch
from .nets import (
    RAMP,
    Node,
    advance_local,
    release,
    trace,
)
from .vector_blocks import completion


class Flow:
    """One tree and its traffic."""

    def __init__(self, program: ProgramGen, root: Node, width: str) -> None:
        self.program, self.rng, self.root, self.width = program, program.rng, root, width
        self.batches: list[Batch] = []
        self.late = False
        self.advance = False
        self.torn_nodes: list[Node] = []

    # routes

    def lay_routes(self) -> None:
        """Enter the tree into the route map."""
        asm = self.program.asm
        for node in self.root.walk():
            columns = {"initial": node.initial, "ring": int(node.ring), "pop_mode": node.pop}
            columns |= node.filter
            if node.to_host:
                columns["sink"] = node.to_host
            asm.route_at[(node.color, node.x, node.y)] = asm.route_class(node.positions, **columns)
            if node.color != node.arrives:
                self.program.features.add("color swap")
                swaps = (
                    ("swap_x", "swap_y")
                    if node.parent == 4
                    else ("swap_x",)
                    if node.parent in (1, 3)
                    else ("swap_y",)
                )
                number = asm.route_class([(0, 0)], **dict.fromkeys(swaps, 1))
                asm.route_at[(node.arrives, node.x, node.y)] = number

    def send(self, wavelets: list[tuple[int, bool]]) -> None:
        for payload, control in wavelets:
            trace(self.root, payload, control)

    def run_trace(self) -> None:
        """Find out what every sink gets."""
        for batch in self.batches:
            if batch.controls is None:
                self.send([(batch.index << 16, False)] * batch.wavelets)
            else:
                self.send([(p, True) for p in batch.controls])
        if self.advance:
            advance_local(self.root)
        torn = True
        while torn:
            torn = False
            for node in self.root.walk():
                if node.torn:
                    torn = True
                    release(node, node.positions[:1])

    def sinks(self) -> list[Node]:
        return [n for n in self.root.walk() if n.got and not n.to_host >> RAMP & 1]

    def participants(self) -> list[tuple[int, int]]:
        return [(n.x, n.y) for n in self.sinks()] + [(self.root.x, self.root.y)]

    def fits(self, source: bool = True) -> bool:
        """Are there queues for the source and every possible sink?"""
        nodes = [
            n for n in self.root.walk()
            if (n.sink and not n.to_host >> RAMP & 1) or (source and n is self.root)
        ]  # fmt: skip
        pes = [self.program.pe(n.x, n.y) for n in nodes]
        return all(len(pe.free_iq) >= 2 and len(pe.free_oq) >= 2 for pe in pes)

    def steps(self, pe: PeGen) -> Steps:
        pe.computes = True
        return pe.late if self.late else pe.early

    # ends

    def attach(self, source: bool = True) -> bool:
        """Emit the code of the source and of all sinks; False if a queue is missing."""
        if not self.fits(source):
            return False
        places = self.participants()
        self.lay_routes()
        if source:
            pe = self.program.pe(self.root.x, self.root.y)
            queue = pe.output_queue(self.root.color)
            assert queue is not None
            both = len(set(places)) < len(places)
            self._attach_source(pe, queue, both)
        for node in self.sinks():
            self.attach_sink(node)
        return True

    def _attach_source(self, pe: PeGen, queue: int, is_sink_too: bool) -> None:
        ops = ends.send_ops(pe, self.root.color, queue, self.width, self.batches, self.advance)
        styles = ("async", "chain") if self.late else ("async",) if is_sink_too else ("sync", "sync", "async")
        style = self.rng.choice(styles)
        if self.late and len(ops) > 1 and self.rng.random() < 0.85:
            style = "chain"  # a queue still claimed would hold up main, and with it the tasks here
        self.program.features.add(f"{style} send")

        def emit() -> None:
            pe.filler()
            ends.run_ops(pe, ops, style, completion(pe) if self.rng.random() < 0.3 else None)

        self.steps(pe).append(emit)

    def attach_sink(self, node: Node) -> None:
        """Choose how the node's CE takes its wavelets."""
        rng, width = self.rng, self.width
        pe = self.program.pe(node.x, node.y)
        has_control = any(c for _, c in node.got)
        data = sum(not c for _, c in node.got)
        choices = ["terminate", "act", "dfilt", "none"] if has_control else ["op", "op", "split", "map"]
        if self.late:
            choices = ["data task"] * 3 + ["terminate", "act", "dfilt", "none"] * has_control
            choices += ["op", "split"] * (not has_control)
        if not has_control and rng.random() < 0.15:
            choices = ["endless"]
        if width == INDEXED and rng.random() < 0.4 and not has_control:
            choices = ["index"]
        choice = rng.choice(choices)
        if choice == "data task" and self.program.generation == 2 and node.color > 15:
            choice = "terminate" if has_control else "op"
        if choice == "map" and width != WORDS:
            choice = "op"
        queue = pe.input_queue(node.color, exclusive=choice == "endless")
        if queue is None:
            return  # its input queues all have other colors: the words wait for ever
        if has_control:
            ends.bind_control_tasks(pe, node.got)
        if choice == "data task":
            ends.data_task(pe, queue, node.color, node.got)
            pe.computes = True
            return
        if self.program.binds_queues and self.program.generation == 2 and rng.random() < 0.6:
            pe.bind_late(queue)
        ops = self._sink_ops(pe, node, queue, choice, data)
        styles = (
            ("async", "chain") if self.late or choice == "endless" else ("sync", "sync", "async", "chain")
        )
        if choice == "none":
            styles = ("async", "chain")
        style = "sync" if choice == "map" else rng.choice(styles)
        if self.late and len(ops) > 1 and rng.random() < 0.85:
            style = "chain"
        self.program.features.add(f"{style} receive")

        def emit() -> None:
            pe.filler()
            ends.run_ops(pe, ops, style, completion(pe) if rng.random() < 0.4 else None)

        self.steps(pe).append(emit)

    def _sink_ops(self, pe: PeGen, node: Node, queue: int, choice: str, data: int) -> list[ends.Emitter]:
        width, got = self.width, node.got
        if choice == "terminate":
            return ends.terminated_ops(pe, queue, width, got)
        if choice == "act":
            return ends.acting_op(pe, queue, width, got)
        if choice == "dfilt":
            return ends.filtering_ops(pe, queue, width, got)
        if choice == "endless":
            return [ends.endless_op(pe, queue, width)]
        if choice == "map":
            return [ends.mapped(pe, queue, data)]
        if choice == "index":
            return [ends.indexed_op(pe, queue, data)]
        if choice == "split" and data > 1:
            self.program.features.add("split receive")
            first = self.rng.randint(1, data - 1)
            parts = [first, data - first]
            return [ends.receive_op(pe, queue, width, n) for n in parts]
        return [ends.receive_op(pe, queue, width, data)] if data else []


# kinds of flows
