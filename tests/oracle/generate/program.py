"""A whole random program from a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from wafersim.program.schema import Op, TaskKind, Type

from . import flows, hosts, mishaps, scalar_blocks, task_blocks, vector_blocks
from .context import Feed, PeGen, ProgramGen
from .machine import random_arch

SIZES = ((1, 1), (2, 1), (1, 2), (3, 1), (2, 2), (1, 3), (3, 2), (2, 3), (4, 1), (1, 4), (4, 4))
SIZE_WEIGHTS = (7, 12, 11, 16, 14, 11, 10, 8, 7, 5, 1)
BLOCKS: tuple[Callable[[PeGen], None], ...] = (
    scalar_blocks.random_block,
    scalar_blocks.random_block,
    vector_blocks.random_block,
    vector_blocks.random_block,
    task_blocks.random_block,
)


@dataclass
class Generated:
    """A program, the machine it runs on, and what it holds."""

    seed: int
    tables: dict[str, np.ndarray]
    arch_ints: np.ndarray
    vop_costs: np.ndarray
    run_seed: int
    launches: list[tuple[int, list[int]]]
    features: set[str]
    feeds: list[Feed] = field(default_factory=list)
    more_feeds: list[Feed] = field(default_factory=list)  # once nothing can happen any more

    @staticmethod
    def feed(machine: Any, feeds: list[Feed]) -> None:
        """Give the machine's host ports their words."""
        for x, y, color, port, words in feeds:
            values = np.array([[[payload for payload, _ in words]]], np.uint32)
            control = np.array([[[control for _, control in words]]], np.uint8)
            machine.feed(x, y, 1, 1, color, port, values, control)

    def make(self, machine: Any, **options: Any) -> Any:
        """A machine of the given class, launched."""
        made = machine(self.tables, self.arch_ints, self.vop_costs, self.run_seed, **options)
        for function, arguments in self.launches:
            made.launch(function, arguments)
        self.feed(made, self.feeds)
        return made


def generate(
    seed: int,
    keep: Callable[[str, int], bool] | None = None,
    shares_queues: bool = False,
    binds_queues: bool = False,
) -> Generated:
    """The program of a seed; ``keep(kind, number)`` may leave parts out (used to minimise).

    ``shares_queues``: flows share output queues, so that queues have several colors, and colors several queues.
    ``binds_queues``: ops give input queues their colors (generation 2).
    """
    rng = Random(seed)
    keep = keep or (lambda kind, number: True)
    ints, costs = random_arch(rng)
    width, height = rng.choices(SIZES, SIZE_WEIGHTS)[0]
    program = ProgramGen(rng, width, height, ints, costs)
    program.shares_queues, program.binds_queues = shares_queues, binds_queues
    program.features.add(f"generation {program.generation}")
    kinds, weights = zip(*flows.KINDS, (hosts.fed, 8), strict=True)
    for number in range(rng.choice((1, 2, 2, 3, 3, 4, 5))):
        part = Random(rng.getrandbits(64))
        kind = rng.choices(kinds, weights)[0]
        if keep("flow", number):
            program.with_rng(part, lambda kind=kind: kind(program))
    _local_blocks(program, rng, keep)
    if rng.random() < mishaps.CHANCE and keep("mishap", 0):
        mishaps.random_mishap(program)
    launches = _finish(program, rng)
    run_seed = rng.getrandbits(16)
    return Generated(
        seed, program.asm.build(), ints, costs, run_seed, launches, program.features, program.feeds,
        program.more_feeds,
    )  # fmt: skip


def _local_blocks(program: ProgramGen, rng: Random, keep: Callable[[str, int], bool]) -> None:
    for number in range(rng.choice((2, 3, 4, 6, 8))):
        x, y = rng.randrange(program.width), rng.randrange(program.height)
        block = rng.choice(BLOCKS)
        place = rng.random()
        part = Random(rng.getrandbits(64))
        if not keep("block", number):
            continue
        pe = program.pe(x, y)
        pe.computes = True

        def step(block: Any = block, pe: PeGen = pe, part: Random = part) -> None:
            program.with_rng(part, lambda: block(pe))

        pe.early.insert(int(place * (len(pe.early) + 1)), step)


def _finish(program: ProgramGen, rng: Random) -> list[tuple[int, list[int]]]:
    """Main functions, task 29, placement and launches."""
    program.pe(rng.randrange(program.width), rng.randrange(program.height))
    arguments = [rng.getrandbits(32) for _ in range(rng.choice((0, 1, 3)))]
    spare = [
        (x, y)
        for y in range(program.height)
        for x in range(program.width)
        if (x, y) not in program.pes and rng.random() < 0.7
    ]
    for pe in list(program.pes.values()):
        _main(pe, len(arguments))
    for pe in program.pes.values():
        program.asm.placed[(pe.x, pe.y)] = pe.asm.number
    if spare:
        _twins(program, spare, len(arguments))
    program.asm.strings = ["x={}"]
    return [(0, arguments)] + ([(1, [])] if rng.random() < 0.1 else [])


def _twins(program: ProgramGen, places: list[tuple[int, int]], nargs: int) -> None:
    """PEs without a role share one tile; a parameter tells them apart."""
    program.features.add("shared tile")
    pe = PeGen(program, *places[0])
    parameter = pe.asm.data(bytes(4), 4)
    values = [program.rng.randrange(100).to_bytes(4, "little") for _ in places]
    pe.asm.params.append((parameter, values))

    def read() -> None:
        pe.emit(Op.LOAD, type=Type.U32, dst=pe.regs[0], imm=parameter)
        pe.emit(Op.ADD, type=Type.U32, dst=pe.regs[0], a=pe.regs[0], imm=1, flags=1)
        pe.keep(pe.regs[0], int(Type.U32))

    pe.early.append(read)
    _main(pe, nargs)
    for place in places:
        program.asm.placed[place] = pe.asm.number


def _main(pe: PeGen, nargs: int) -> None:
    entry = pe.asm.label()
    first = [pe.asm.reg() for _ in range(nargs)]
    pe.asm.function(0, entry, nargs, first[0] if first else -1)
    for register in first[:1]:
        pe.keep(register, int(Type.U32))
    for step in pe.early + pe.late:
        step()
    if pe.rng.random() < 0.5:
        scalar_blocks.timestamp(pe)
    if "no done" not in pe.marks:
        pe.emit(Op.DONE)
    if pe.rng.random() < 0.2:
        scalar_blocks.arithmetic(pe, 2)
    pe.emit(Op.RET)
    if pe.rng.random() < 0.5:
        second = pe.asm.label()
        pe.asm.function(1, second)
        pe.emit(Op.DONE)
        pe.emit(Op.RET)
    if pe.teardown_actions:
        handler = pe.asm.label()
        pe.asm.task(TaskKind.LOCAL, 29, handler, priority=pe.rng.randint(0, 1))
        for act in pe.teardown_actions:
            act()
        pe.emit(Op.RET)
    while pe.later:
        pe.later.pop(0)()
