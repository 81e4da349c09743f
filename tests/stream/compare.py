"""One kernel or program at both fidelities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.oracle.generate import Generated, generate
from wafersim import _core
from wafersim.errors import UnsupportedError
from wafersim.program.schema import NUM_PORTS, ParamCol, TileCol
from wafersim.simulate import Simulator
from wafersim.simulate.runner import prepare
from wafersim.simulate.stream import StreamSimulator, write_without_values

MAX_CYCLES = 20_000
STUCK, LIMIT, PAUSED, FAULT = 1, 2, 4, 5


@dataclass
class Both:
    """Cycles and time stamps of a kernel at both fidelities."""

    stream: Any
    wavelet: Any
    stamps: Any
    wavelet_stamps: Any


def run_both(
    kernel: str, grid: str, params: dict[str, Any], arch: str = "wse2", most_words: int | None = None
) -> Both:
    """A library kernel at both fidelities."""
    prepared = prepare(kernel, arch, grid, params)
    sims: list[Any] = [
        StreamSimulator(prepared.built.program, prepared.arch, most_words=most_words),
        Simulator(prepared.built.program, prepared.arch),
    ]
    write_without_values(sims[0], prepared.built.setup)
    prepared.built.setup(sims[1], np.random.default_rng(0))
    records, stamps = [], []
    for sim in sims:
        for launch in prepared.built.launches:
            sim.launch(launch.function, **launch.args)
        records.append(sim.run())
        stamps.append(_stamps(sim, prepared.width, prepared.height))
    return Both(records[0], records[1], stamps[0], stamps[1])


def _stamps(sim: Any, width: int, height: int) -> Any:
    """Stamps that the kernel stores; on PEs that store none, nothing."""
    found = []
    for y in range(height):
        for x in range(width):
            try:
                found.append(sim.read("stamps", rect=(x, y, 1, 1)).tolist())
            except UnsupportedError:  # a stamp that the program never touches
                found.append(None)
    return found


def kept_parts(seed: int) -> Iterator[Callable[[str, int], bool]]:
    """Ways to leave parts of a random program out: whole programs mostly use something that is refused."""
    for flow in range(5):
        yield lambda kind, number, flow=flow: kind == "flow" and number == flow
    for flow in range(5):
        block = (seed + flow) % 8
        yield (
            lambda kind, number, flow=flow, block=block: (
                (kind == "flow" and number in (flow, flow + 1)) or (kind == "block" and number == block)
            )
        )


def repeated(generated: Generated, across: int, down: int) -> Generated:
    """The same program side by side: many PEs are in the same situation, but not those at the edges of the copies.

    One that the host feeds stays alone: the ports that it feeds look out of the fabric.
    """
    if generated.feeds or generated.more_feeds:
        return generated
    tables = dict(generated.tables)
    tile_map = generated.tables["tile_map"]
    tables["grid"] = (generated.tables["grid"] * (across, down)).astype(np.int32)
    tables["tile_map"] = np.ascontiguousarray(np.tile(tile_map, (down, across)))
    tables["route_map"] = np.ascontiguousarray(np.tile(generated.tables["route_map"], (1, down, across)))
    tables["params"], tables["param_values"] = generated.tables["params"].copy(), []
    for row in tables["params"]:
        tile, size = row[ParamCol.TILE], row[ParamCol.BYTES]
        ranks = np.zeros(tile_map.shape, int)
        ranks[tile_map == tile] = np.arange(np.count_nonzero(tile_map == tile))
        order = np.tile(ranks, (down, across))[tables["tile_map"] == tile]
        values = generated.tables["param_values"][row[ParamCol.OFFSET] :][: size * (order.max() + 1)]
        row[ParamCol.OFFSET] = sum(len(part) for part in tables["param_values"])
        tables["param_values"].append(values.reshape(-1, size)[order].ravel())
    tables["param_values"] = np.concatenate([*tables["param_values"], np.zeros(0, np.uint8)])
    return replace(generated, tables=tables)


def random_programs(seed: int, **options: bool) -> Iterator[Generated]:
    """Distinct programs made of parts of one seed; options: those of `generate`."""
    seen = set()
    for keep in kept_parts(seed):
        generated = generate(seed, keep, **options)
        key = hash(tuple(table.tobytes() for table in generated.tables.values()))
        if key not in seen:
            seen.add(key)
            yield generated


def coarse_error(generated: Generated, grain: int) -> float | None:
    """Cycles at a grain relative to the exact ones, less 1; None if the program is refused or has no end.

    The exact ones are those of grain 1, which `difference` compares with the wavelet engine.
    """
    if generated.feeds:
        return None
    cycles = []
    for words in (1, grain):
        try:
            machine = generated.make(
                lambda tables, ints, costs, _seed, words=words: _core.StreamMachine(
                    tables, ints, costs, words
                )
            )
            status = machine.run(MAX_CYCLES)
        except UnsupportedError:
            return None
        if status == LIMIT:
            return None
        assert machine.figures()["late"] == 0
        cycles.append(max(int(machine.cycle), 1))
    return cycles[1] / cycles[0] - 1


def difference(
    generated: Generated, most_words: int, look_up: bool = True, values: bool = False, threads: int = 1
) -> str | None:
    """What differs between the fidelities; "" nothing, None if the program is refused.

    `look_up`: whether situations of PEs that occurred before are looked up. `values`: with values, whose memory is
    compared too, and the words that came to the host.
    """
    stream: Any = None
    wavelet = generated.make(_core.Machine)
    for turn in range(2 if generated.more_feeds else 1):
        expected = wavelet.run(MAX_CYCLES) if not turn else _fed_again(generated, wavelet)
        try:
            if stream is None:
                stream = generated.make(
                    lambda tables, ints, costs, seed: _core.StreamMachine(
                        tables,
                        ints,
                        costs,
                        1,
                        most_words,
                        look_up=look_up,
                        values=values,
                        threads=threads,
                        seed=seed,
                    )
                )
                status = stream.run(MAX_CYCLES)
            else:
                status = _fed_again(generated, stream)
        except UnsupportedError:
            return None
        if expected == FAULT and not values and "wavelet index" in wavelet.fault()["message"]:
            return None  # where the words of an op with INDEX_OFFSET go is array data
        if status != expected:
            return f"run {turn}: status {status}, wavelet {expected}"
        if expected in (LIMIT, FAULT):
            break
        if stream.cycle != wavelet.cycle:
            return f"run {turn}: cycles {stream.cycle}, wavelet {wavelet.cycle}"
        if values and (what := _other_memory(generated, stream, wavelet)):
            return f"run {turn}: {what}"
        if what := _other_words(generated, stream, wavelet, values):
            return f"run {turn}: {what}"
    return f"{stream.figures()['late']} late words" if stream.figures()["late"] else ""


def _fed_again(generated: Generated, machine: Any) -> int:
    """The status of another run, with what the host feeds once nothing can happen any more."""
    generated.feed(machine, generated.more_feeds)
    return int(machine.run(MAX_CYCLES))


def _other_words(generated: Generated, stream: Any, wavelet: Any, values: bool) -> str:
    """What came to the host otherwise, "" if nothing did: how many words, and with values which ones and when."""
    height, width = generated.tables["tile_map"].shape
    for color in generated.tables["colors"].tolist():
        for port in range(NUM_PORTS):
            counts = [np.asarray(m.arrived(0, 0, width, height, color, port)) for m in (stream, wavelet)]
            if (counts[0] != counts[1]).any():
                return f"color {color}, port {port}: {counts[0].tolist()} words, wavelet {counts[1].tolist()}"
            for y, x in np.argwhere(counts[1]) if values else ():
                place = (int(x), int(y), 1, 1, color, port, int(counts[1][y, x]))
                found, right = stream.collect(*place), wavelet.collect(*place)
                for name, a, b in zip(("values", "cycles", "control"), found, right, strict=True):
                    if (a != b).any():
                        at = int(np.argwhere(a != b)[0][2])
                        return f"{name} of word {at} by port {port} of PE ({x}, {y}), color {color}: {a[0, 0, at]}, wavelet {b[0, 0, at]}"
    return ""


def paused_and_whole(generated: Generated) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Status and cycles of a run, and of one that pauses again and again; None if it is refused or has no end."""
    if generated.feeds:
        return None

    def made() -> Any:
        return generated.make(lambda tables, ints, costs, _seed: _core.StreamMachine(tables, ints, costs))

    try:
        whole, paused = made(), made()
        status = whole.run(MAX_CYCLES)
        if status == LIMIT:
            return None
        again = PAUSED
        for cycle in range(13, MAX_CYCLES, 37):
            if again == PAUSED:
                again = paused.run(pause_at=cycle)
    except UnsupportedError:
        return None
    return (status, int(whole.cycle)), (again, int(paused.cycle))


def _other_memory(generated: Generated, stream: Any, wavelet: Any) -> str:
    """The first byte of SRAM that differs, "" if none does."""
    height, width = generated.tables["tile_map"].shape
    num_bytes = int(generated.tables["tiles"][:, TileCol.DATA_BYTES].max())
    found, right = (np.asarray(m.read(0, 0, width, height, 0, num_bytes)) for m in (stream, wavelet))
    wrong = np.argwhere(found != right)
    if not len(wrong):
        return ""
    y, x, byte = wrong[0]
    return f"{len(wrong)} bytes, the first is {byte} of PE ({x}, {y})"
