"""One color, four neighbors: a ring of switch positions, and sentinels that end messages of unknown length.

The idea is that of the csl-examples tutorials on sentinels and switches (topics 5 to 7); the code is our own.
The PE in the middle sends a message to its west, east, south and north neighbor in turn, and starts again.  A
control wavelet ends each message: it turns the sender's switch to the next neighbor, starts a control task
there, and hands it the number of the round.  West and east add up the words in a data task; north and south
receive them with one vector op that the control wavelet terminates.  Run: python examples/switch_ring.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import wafersim as ws

TURNS = {"west": (0, 1), "east": (2, 1), "south": (1, 2), "north": (1, 0)}  # place of each, in sending order
LONGEST = 12
QUEUE = 2
SENTINEL = 40


def sender(lay: ws.Layout, color: Any, rounds: int) -> Any:
    """All messages of a round, one after another; lengths and words come from the host."""
    pe = lay.tile("sender")
    words = pe.array("words", "f32", (rounds, len(TURNS), LONGEST))
    lengths = pe.array("lengths", "u16", (rounds, len(TURNS)))
    queue = pe.output_queue(QUEUE, color)
    message, out = pe.mem_dsd(words, extent=LONGEST), pe.fabout_dsd(queue, LONGEST)
    sentinel = pe.fabout_dsd(queue, 1, control=True)
    with pe.function("main"):
        with pe.for_range(rounds) as turn:
            payload = pe.let("u32", pe.control_payload(SENTINEL, ["advance"], data=0))
            payload |= turn.to("u32")
            with pe.for_range(len(TURNS)) as k:
                pe.set_dsd_length(message, pe.load(lengths, (turn, k)))
                pe.mov32(out, message)
                pe.mov32(sentinel, payload)
                pe.increment_dsd_offset(message, LONGEST)
        pe.done()
    return pe


def adder(lay: ws.Layout, color: Any, rounds: int) -> Any:
    """A data task per word, a control task per message."""
    pe = lay.tile("adder")
    sums = pe.array("sums", "f32", rounds)
    total = pe.array("total", "f32", export=False)
    queue = pe.input_queue(QUEUE, color)
    with pe.data_task("word", queue, type="f32") as value:
        pe.store(total, 0, pe.load(total) + value)
    with pe.control_task("message_ends", SENTINEL, args=("data",)) as turn:
        pe.store(sums, turn, pe.load(total))
        pe.store(total, 0, 0.0)
        with pe.if_(turn == rounds - 1):
            pe.done()
    with pe.function("main"):
        pass
    return pe


def collector(lay: ws.Layout, color: Any, rounds: int) -> Any:
    """One asynchronous op per message; the saved address tells how many words came.

    The op asks for one word more than the longest message has: it must still run when the sentinel arrives.
    """
    pe = lay.tile("collector")
    received = pe.array("received", "f32", (rounds, LONGEST + 1))
    counts = pe.array("counts", "u16", rounds)
    turn = pe.array("turn", "u16", export=False)
    buffer, source = pe.mem_dsd(received, extent=LONGEST + 1), pe.fabin_dsd(pe.input_queue(QUEUE, color))
    dest, src = pe.dsr("dest", 1), pe.dsr("src0", 1)
    ends = pe.local_task("message_ends", 9)
    receive = pe.function("receive", export=False)
    with receive:
        pe.load_to_dsr(dest, buffer)
        pe.load_to_dsr(src, source, async_=True, on_control="terminate", save_address=True, activate=ends)
        pe.mov32(dest, src)
    with ends:
        row = pe.load(turn)
        pe.store(counts, row, (pe.get_dsd(dest, "base") - pe.get_dsd(buffer, "base")) >> 2)
        pe.store(turn, 0, row + 1)
        pe.increment_dsd_offset(buffer, LONGEST + 1)
        with pe.if_(row + 1 == rounds):
            pe.done()
        with pe.else_():
            receive()
    with pe.function("main"):
        receive()
    return pe


def build(rounds: int, arch: str = "wse2-sdk") -> ws.MachineProgram:
    """3 x 3 PEs, the corners empty."""
    lay = ws.Layout(3, 3, arch=arch, name="switch_ring")
    color = lay.color("channel", 0)
    lay.place(sender(lay, color, rounds), 1, 1)
    tiles = {"x": adder(lay, color, rounds), "y": collector(lay, color, rounds)}
    for name, (x, y) in TURNS.items():
        lay.place(tiles["x" if y == 1 else "y"], x, y)
        back = {"west": "EAST", "east": "WEST", "south": "NORTH", "north": "SOUTH"}[name]
        lay.route(color, x, y, rx=back, tx="RAMP")
    lay.route(color, 1, 1, rx="RAMP", tx="NORTH", ring=True, initial=1,
              switches=[{"tx": "WEST"}, {"tx": "EAST"}, {"tx": "SOUTH"}])  # fmt: skip
    return lay.build()


def run_once(words: np.ndarray, lengths: np.ndarray, arch: str = "wse2-sdk") -> tuple[bool, ws.Record]:
    """Send words[rounds, 4, LONGEST] of the given lengths[rounds, 4]; true if every neighbor got its own."""
    sim = ws.Simulator(build(len(words), arch), arch=arch)
    sim.write("words", words, rect=(1, 1, 1, 1))
    sim.write("lengths", lengths, rect=(1, 1, 1, 1))
    sim.launch("main")
    record = sim.run()
    good = True
    for k, (x, y) in enumerate(TURNS.values()):
        for turn, n in enumerate(lengths[:, k]):
            sent = words[turn, k, :n]
            if y == 1:
                total = np.add.accumulate(sent, dtype=np.float32)[-1] if n else np.float32(0)
                good &= bool(sim.read("sums", (x, y, 1, 1))[0, 0, turn] == total)
            else:
                good &= bool(sim.read("counts", (x, y, 1, 1))[0, 0, turn] == n)
                good &= bool((sim.read("received", (x, y, 1, 1))[0, 0, turn, :n] == sent).all())
    return good, record


def main() -> None:
    """Both generations."""
    rng = np.random.default_rng(0)
    words = rng.standard_normal((3, len(TURNS), LONGEST)).astype(np.float32)
    lengths = rng.integers(0, LONGEST + 1, (3, len(TURNS))).astype(np.uint16)
    for arch in ("wse2-sdk", "wse3-sdk"):
        good, record = run_once(words, lengths, arch)
        print(f"{arch}: {('WRONG', 'verified')[good]}, {record.cycles} cycles")


if __name__ == "__main__":
    main()
