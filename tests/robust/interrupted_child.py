"""Runs something long, waits to be interrupted, and says how that went: one line of JSON per try."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import wafersim as ws
from small_programs import CASES, same, snapshot


def streams():
    """64 rows of 64 PEs, two colors on every link, for ever."""
    lay = ws.Layout(64, 64, name="streams")
    source, relay, sink = (lay.tile(name) for name in ("source", "relay", "sink"))
    lay.place(source, height=64)
    lay.place(relay, x=1, width=62, height=64)
    lay.place(sink, x=63, height=64)
    for k in range(2):
        color = lay.color(f"c{k}", k)
        lay.route(color, height=64, rx="RAMP", tx="EAST")
        lay.route(color, x=1, width=62, height=64, rx="WEST", tx="EAST")
        lay.route(color, x=63, height=64, rx="WEST", tx="RAMP")
    colors = [lay.colors[k] for k in range(2)]
    with source.function("main"):
        for k, color in enumerate(colors):
            source.mov32(source.fabout_dsd(source.output_queue(2 + k, color)), 5, async_=True)
    with sink.function("main"):
        for k, color in enumerate(colors):
            last = sink.array(f"last{k}", "u32", 1)
            sink.mov32(sink.ptr(last), sink.fabin_dsd(sink.input_queue(2 + k, color)), async_=True)
    return lay.build()


def compute(side, vector):
    """Every PE computes for ever and touches no fabric."""
    lay = ws.Layout(side, side, name="compute")
    pe = lay.tile("all")
    lay.place(pe, width=side, height=side)
    x, y = pe.array("x", "f32", 200), pe.array("y", "f32", 200)
    with pe.function("main"):
        n = pe.let("u32", 1)
        with pe.while_(1):
            if vector:
                pe.fmacs(pe.mem_dsd(x), pe.mem_dsd(x), pe.mem_dsd(y), 2.0)
            else:
                n += 3
    return lay.build()


PROGRAMS = {
    "streams": streams,
    "scalar": lambda: compute(64, False),
    "vector": lambda: compute(64, True),
    "one_pe": lambda: compute(1, False),
    "thread": lambda: compute(16, False),
}


def next_run_is_undisturbed(before) -> bool:
    sim = CASES["allreduce"]()
    sim.run()
    return same(before, snapshot(sim)) == []


def say(**answer) -> None:
    print(json.dumps(answer), flush=True)


def in_main_thread(sim, before) -> None:
    print("running", flush=True)
    record = sim.run()
    back_at, back_cpu = time.monotonic(), time.process_time()
    counters = sim._machine.counters()
    again = sim.run(max_cycles=50)
    say(
        back_at=back_at,
        back_cpu=back_cpu,
        status=record.status,
        cycles=record.cycles,
        adds_up=bool((counters.sum(axis=2) == record.cycles).all()),
        readable=isinstance(record.summary(), str | dict)
        and record["pe"] is not None
        and bool(sim.inspect(0, 0)),
        goes_on=(again.status, again.cycles) == ("limit", 50),
        next_run_is_undisturbed=next_run_is_undisturbed(before),
    )


class Stop(Exception):
    pass


def in_other_thread(sim, before) -> None:
    stop, over, got_it = threading.Event(), threading.Event(), False

    def progress(cycle, events):
        if stop.is_set():
            raise Stop

    def work():
        try:
            sim.run(progress=progress)
        except Stop:
            over.set()

    thread = threading.Thread(target=work)
    try:
        thread.start()
        print("running", flush=True)
        over.wait()
    except KeyboardInterrupt:
        got_it = True
        stop.set()
        over.wait()
    back_at, back_cpu = time.monotonic(), time.process_time()
    counters = sim._machine.counters()
    say(
        back_at=back_at,
        back_cpu=back_cpu,
        main_thread_got_it=got_it,
        adds_up=bool((counters.sum(axis=2) == sim.cycle).all()) and sim.cycle > 0,
        next_run_is_undisturbed=next_run_is_undisturbed(before),
    )


def main(kind: str, tries: int) -> None:
    first = CASES["allreduce"]()
    first.run()
    before = snapshot(first)
    for _ in range(tries):
        sim = ws.Simulator(PROGRAMS[kind]())
        sim.launch("main")
        (in_other_thread if kind == "thread" else in_main_thread)(sim, before)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
