"""Programs that end with something still bound, live or lying about, and are not stuck.

Every function returns the program and the warnings of its record.
"""

from __future__ import annotations

import wafersim as ws

RED, BLUE = 4, 5


def row(width, name, arch="wse2"):
    """A row of PEs with one tile each, and the color red."""
    lay = ws.Layout(width, 1, arch=arch, name=name)
    tiles = [lay.tile(f"pe{x}") for x in range(width)]
    for x, pe in enumerate(tiles):
        lay.place(pe, x=x, y=0)
    return lay, tiles, lay.color("red", RED)


def eastward(lay, color, **first):
    lay.route(color, x=0, rx="RAMP", tx="EAST", **first)
    if lay.width > 2:
        lay.route(color, x=1, width=lay.width - 2, rx="WEST", tx="EAST")
    lay.route(color, x=lay.width - 1, rx="WEST", tx="RAMP")


def send(pe, color, words, queue=3):
    """``main`` sends words and signals completion."""
    x = pe.array("x", "u32", max(words, 1), init=7)
    with pe.function("main"):
        pe.mov32(pe.fabout_dsd(pe.output_queue(queue, color), extent=words), pe.mem_dsd(x, extent=words))
        pe.done()


def only_done(pe):
    with pe.function("main"):
        pe.done()


def nothing_but_done():
    lay, (pe,), _ = row(1, "nothing_but_done")
    only_done(pe)
    return lay.build(), []


def endless_receive():
    """A microthread receives for ever; 5 words came."""
    lay, (left, right), red = row(2, "endless_receive")
    eastward(lay, red)
    send(left, red, 5)
    last = right.array("last", "u32", 1)
    with right.function("main"):
        right.mov32(right.ptr(last), right.fabin_dsd(right.input_queue(2, red)), async_=True)
        right.done()
    return lay.build(), []


def endless_relay():
    """The middle PE forwards for ever from queue to queue."""
    lay, (left, middle, right), red = row(3, "endless_relay")
    blue = lay.color("blue", BLUE)
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    lay.route(blue, x=1, rx="RAMP", tx="EAST")
    lay.route(blue, x=2, rx="WEST", tx="RAMP")
    send(left, red, 20)
    with middle.function("main"):
        middle.mov32(
            middle.fabout_dsd(middle.output_queue(3, blue)),
            middle.fabin_dsd(middle.input_queue(2, red)),
            async_=True,
        )
        middle.done()
    y = right.array("y", "u32", 20)
    with right.function("main"):
        right.mov32(right.mem_dsd(y), right.fabin_dsd(right.input_queue(2, blue), extent=20))
        right.done()
    return lay.build(), []


def idle_data_task():
    lay, (left, right), red = row(2, "idle_data_task")
    eastward(lay, red)
    only_done(left)
    total = right.array("total", "u32", 1)
    with right.data_task("take", right.input_queue(2, red)) as data:
        right.store(total, 0, data)
    only_done(right)
    return lay.build(), []


def busy_data_task():
    """A data task took 9 wavelets and waits for the next."""
    lay, (left, right), red = row(2, "busy_data_task")
    eastward(lay, red)
    send(left, red, 9)
    total = right.array("total", "u32", 1, init=0)
    with right.data_task("take", right.input_queue(2, red)) as data:
        right.store(total, 0, right.load(total) + data)
    only_done(right)
    return lay.build(), []


def idle_control_task():
    lay, (left, right), red = row(2, "idle_control_task")
    eastward(lay, red)
    only_done(left)
    right.input_queue(2, red)
    with right.control_task("react", 40):
        right.done()
    only_done(right)
    return lay.build(), []


def blocked_task_without_activation():
    lay, (pe,), _ = row(1, "blocked_task_without_activation")
    with pe.local_task("later", id=10, blocked=True):
        pe.done()
    only_done(pe)
    return lay.build(), []


def blocked_task_after_done():
    """The task is activated and blocked, but the launch is done already."""
    lay, (pe,), _ = row(1, "blocked_task_after_done")
    later = pe.local_task("later", id=10, blocked=True)
    flag = pe.array("flag", "i32", 1)
    with later:
        pe.store(flag, 0, 1)
    with pe.function("main"):
        pe.done()
        pe.activate(later)
    return lay.build(), []


def blocked_data_task():
    """Its wavelets stay in the queue."""
    lay, (left, right), red = row(2, "blocked_data_task")
    eastward(lay, red)
    send(left, red, 3)
    flag = right.array("flag", "u32", 1)
    with right.data_task("take", right.input_queue(2, red), blocked=True) as data:
        right.store(flag, 0, data)
    only_done(right)
    return lay.build(), ["PE (1, 0): 3 wavelets of color 4 (red) left in input queue 2"]


def nobody_takes_three():
    lay, (left, right), red = row(2, "nobody_takes_three")
    eastward(lay, red)
    send(left, red, 3)
    right.input_queue(2, red)
    only_done(right)
    return lay.build(), ["PE (1, 0): 3 wavelets of color 4 (red) left in input queue 2"]


def one_before_a_switch():
    """One word stands before a switch in the other position."""
    lay, (left, middle, right), red = row(3, "one_before_a_switch")
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="RAMP", tx="EAST", switches=[{"rx": "WEST"}])
    lay.route(red, x=2, rx="WEST", tx="RAMP")
    send(left, red, 1)
    only_done(middle)
    only_done(right)
    return lay.build(), ["PE (1, 0): 1 wavelet of color 4 (red) left in router, from WEST"]


def two_for_an_unbound_ramp():
    lay, (left, right), red = row(2, "two_for_an_unbound_ramp")
    eastward(lay, red)
    send(left, red, 2)
    only_done(right)
    return lay.build(), ["PE (1, 0): 2 wavelets of color 4 (red) left in router, from WEST"]


def endless_pop():
    """A microthread empties a FIFO for ever."""
    lay, (pe,), _ = row(1, "endless_pop")
    fifo = pe.fifo("f", "u32", 4)
    x, last = pe.array("x", "u32", 9, init=3), pe.array("last", "u32", 1)
    with pe.function("main"):
        pe.mov32(pe.ptr(last), fifo, async_=True, ut=1)
        pe.mov32(fifo, pe.mem_dsd(x), async_=True, ut=2)
        pe.done()
    return lay.build(), []


def words_left_in_a_fifo():
    lay, (pe,), _ = row(1, "words_left_in_a_fifo")
    fifo = pe.fifo("f", "u32", 8)
    x = pe.array("x", "u32", 5)
    with pe.function("main"):
        pe.mov32(fifo, pe.mem_dsd(x), async_=True, ut=2)
        pe.done()
    return lay.build(), []


def synchronous_endless_receive_after_done():
    """The main thread itself receives for ever, after completion was signalled."""
    lay, (left, right), red = row(2, "synchronous_endless_receive_after_done")
    eastward(lay, red)
    send(left, red, 4)
    last = right.array("last", "u32", 1)
    with right.function("main"):
        right.done()
        right.mov32(right.ptr(last), right.fabin_dsd(right.input_queue(2, red)))
    return lay.build(), []


def blocked_microthread_of_a_daemon():
    lay, (left, right), red = row(2, "blocked_microthread_of_a_daemon", "wse3")
    eastward(lay, red)
    send(left, red, 2)
    last = right.array("last", "u32", 1)
    with right.function("main"):
        right.mov32(right.ptr(last), right.fabin_dsd(right.input_queue(2, red)), async_=True, ut=5)
        right.block_ut(5)
        right.done()
    return lay.build(), ["PE (1, 0): 2 wavelets of color 4 (red) left in input queue 2"]


def holes_and_tiles_without_functions():
    lay = ws.Layout(3, 2, name="holes_and_tiles_without_functions")
    mute, talk = lay.tile("mute"), lay.tile("talk")
    lay.place(mute, x=0, y=0)
    lay.place(talk, x=2, y=1)
    with mute.local_task("never", id=9):
        mute.done()
    only_done(talk)
    return lay.build(), []


def teardown_without_traffic():
    lay, (left, right), red = row(2, "teardown_without_traffic")
    lay.route(red, x=0, rx="RAMP", tx="EAST", teardown=True)
    lay.route(red, x=1, rx="WEST", tx="RAMP", teardown=True)
    only_done(left)
    only_done(right)
    return lay.build(), []


def one_in_a_teardown():
    lay, (left, right), red = row(2, "one_in_a_teardown")
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP", teardown=True)
    send(left, red, 1)
    right.input_queue(2, red)
    only_done(right)
    return lay.build(), ["PE (1, 0): 1 wavelet of color 4 (red) left in router, from WEST"]


def empty_ops():
    """Ops of no elements, one of them activating the task that signals completion."""
    lay, (left, right), red = row(2, "empty_ops")
    eastward(lay, red)
    send(left, red, 0)
    finish = right.local_task("finish", id=10)
    with finish:
        right.done()
    y = right.array("y", "u32", 1)
    with right.function("main"):
        right.mov32(
            right.mem_dsd(y, extent=0),
            right.fabin_dsd(right.input_queue(2, red), extent=0),
            async_=True,
            activate=finish,
        )
    return lay.build(), []


def long_silence():
    """The right PE waits for 40,000 cycles in which nothing moves in the fabric."""
    lay, (left, right), red = row(2, "long_silence")
    eastward(lay, red)
    x = left.array("x", "u32", 1)
    with left.function("main"):
        value = left.let("u32", 77)
        with left.for_range(1000):
            value /= 3
        left.mov32(left.fabout_dsd(left.output_queue(3, red), extent=1), left.mem_dsd(x))
        left.done()
    y = right.array("y", "u32", 1)
    with right.function("main"):
        right.mov32(right.mem_dsd(y), right.fabin_dsd(right.input_queue(2, red), extent=1))
        right.done()
    return lay.build(), []


def control_wavelet_before_a_daemon():
    """An endless receive takes a control wavelet that names no task, as data (docs/semantics.md, 4.2)."""
    lay, (left, right), red = row(2, "control_wavelet_before_a_daemon")
    eastward(lay, red)
    x = left.array("x", "u32", 1, init=left.control_payload(50))
    with left.function("main"):
        left.mov32(left.fabout_dsd(left.output_queue(3, red), extent=1, control=True), left.mem_dsd(x))
        left.done()
    last = right.array("last", "u32", 1)
    with right.function("main"):
        right.mov32(right.ptr(last), right.fabin_dsd(right.input_queue(2, red)), async_=True)
        right.done()
    return lay.build(), []


def flush_that_never_comes():
    """The queue never becomes empty, so that the teardown task is not activated; nobody waits for it."""
    lay, (left, right), red = row(2, "flush_that_never_comes")
    eastward(lay, red)
    send(left, red, 2)
    queue = right.input_queue(2, red)
    with right.teardown_task():
        right.teardown_exit(red)
    with right.function("main"):
        with right.for_range(20):
            right.queue_field(queue, "depth")
        right.queue_flush(queue)
        right.done()
    return lay.build(), ["PE (1, 0): 2 wavelets of color 4 (red) left in input queue 2"]


def relay_with_a_full_output():
    """An endless relay cannot get rid of what it took; the sender is done."""
    lay, (left, middle, right), red = row(3, "relay_with_a_full_output")
    blue = lay.color("blue", BLUE)
    lay.route(red, x=0, rx="RAMP", tx="EAST")
    lay.route(red, x=1, rx="WEST", tx="RAMP")
    lay.route(blue, x=1, rx="RAMP", tx="EAST")
    lay.route(blue, x=2, rx="WEST", tx="RAMP", teardown=True)
    send(left, red, 14)
    with middle.function("main"):
        middle.mov32(
            middle.fabout_dsd(middle.output_queue(3, blue)),
            middle.fabin_dsd(middle.input_queue(2, red)),
            async_=True,
        )
        middle.done()
    only_done(right)
    return lay.build(), [
        "PE (1, 0): 4 wavelets of color 5 (blue) left in router, from RAMP",
        "PE (1, 0): 2 wavelets of color 4 (red) left in input queue 2",
        "PE (1, 0): 6 wavelets of color 5 (blue) left in output queue 3",
        "PE (2, 0): 2 wavelets of color 5 (blue) left in router, from WEST",
    ]


PROGRAMS = (
    nothing_but_done, endless_receive, endless_relay, idle_data_task, busy_data_task, idle_control_task,
    blocked_task_without_activation, blocked_task_after_done, blocked_data_task, nobody_takes_three,
    one_before_a_switch, two_for_an_unbound_ramp, endless_pop, words_left_in_a_fifo,
    synchronous_endless_receive_after_done, blocked_microthread_of_a_daemon, holes_and_tiles_without_functions,
    teardown_without_traffic, one_in_a_teardown, empty_ops, long_silence, control_wavelet_before_a_daemon,
    flush_that_never_comes, relay_with_a_full_output,
)  # fmt: skip
