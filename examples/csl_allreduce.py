"""A CSL library by hand: all-reduce over a rectangle with one color, one queue pair and four tasks.

The structure follows the `allreduce` library of the Cerebras csl-examples repository; the code is our own.
One color carries three phases; configuration words are loaded and stored to change its routes in between:
rows (one PE after another sends to the east, a control wavelet closes its switch and opens the next one's,
the last PE folds what arrives), columns (the same to the south), broadcast (north from the corner, then
west).  The color starts in teardown, and the first PE of a line ends each phase with a teardown command:
task 29 activates the lock task, which is blocked until the PE's own part is done and then moves the state
machine on.  `nrm2` chains nine states.  Run: python examples/csl_allreduce.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import wafersim as ws

ROWS, COLUMNS, BROADCAST, SQUARE, ROOT, DONE = range(6)
ADD, MAX, MAX_WORDS, QUEUE, NO_TASK = 0, 1, 16, 2, 31
VERDICT = ("WRONG", "verified")
#: Directions as the configuration words number them; also their bits in the masks.
DIRECTION = {"WEST": 0, "EAST": 1, "SOUTH": 2, "NORTH": 3, "RAMP": 4}
VARIABLES = {
    "x_address": "u16", "functor": "u16", "words": "u16", "state_index": "i16", "state": "i16",
    "next_state": "i16", "turns": "i16", "turn": "i16", "is_first": "u16", "is_last": "u16", "alpha": "f32",
    "inv_alpha": "f32", "x_copy": "f32",
}  # fmt: skip


class Worker:
    """The tile of one kind of PE: first, middle or last in x and in y (``end_x``, ``end_y``)."""

    def __init__(self, lay: ws.Layout, color: Any, end_x: str, end_y: str) -> None:
        self.color, self.end_x, self.end_y = color, end_x, end_y
        self.width, self.height = lay.width, lay.height
        self.pe = pe = lay.tile(f"{end_x}_{end_y}")
        self.x = pe.array("x", "f32", MAX_WORDS)
        self.stamps = pe.array("stamps", "u64", 2)
        self.variables = {name: pe.array(name, kind, export=False) for name, kind in VARIABLES.items()}
        self.sequence = pe.array("sequence", "i16", 10, export=False)
        self.descriptors()
        tasks = enumerate(("send_ctrl", "send_data", "state_entry", "lock"), start=9)
        self.send_ctrl, self.send_data, self.state_entry, self.lock = (pe.local_task(t, i) for i, t in tasks)
        last, corner = end_x == "last", end_x == end_y == "last"
        outputs = {"WEST": end_x != "first", "NORTH": last and end_y != "first", "RAMP": not corner}
        ports = (
            "RAMP" if corner else "SOUTH" if last else "EAST",
            *(port for port in outputs if outputs[port]),
        )
        self.configure = {BROADCAST: self.routes("broadcast_routes", *ports, switched=False)}
        lines = ((ROWS, "rows", end_x, "WEST", "EAST"), (COLUMNS, "columns", end_y, "NORTH", "SOUTH"))
        for phase, name, end, back, forth in lines:
            rx, tx = "RAMP" if end == "first" else back, "RAMP" if end == "last" else forth
            self.configure[phase] = self.routes(f"{name}_routes", rx, tx, switched=end != "last")
        self.phase_functions()
        self.norm_functions()
        self.task_bodies()
        self.portals()

    def descriptors(self) -> None:
        """Six descriptors and one DSR of each file; both directions share a queue number."""
        pe = self.pe
        commands = {"ctrl_11": ["advance"] * 2 + ["nop"] * 6, "stop": ["teardown"] + ["nop"] * 7}
        self.ctrl_11, stop = (
            pe.array(name, "u32", init=pe.control_payload(NO_TASK, [(c, True) for c in row]), export=False)
            for name, row in commands.items()
        )
        iq, oq = pe.input_queue(QUEUE, self.color), pe.output_queue(QUEUE)
        self.mem_x, self.mem_ctrl, self.mem_td = (pe.mem_dsd(a, 1) for a in (self.x, self.ctrl_11, stop))
        self.fab_out = pe.fabout_dsd(oq, 1, color=self.color)
        self.fab_ctrl = pe.fabout_dsd(oq, 1, color=self.color, control=True)
        self.fab_in = pe.fabin_dsd(iq, 1)
        self.dest, self.src0, self.src1 = (pe.dsr(file, 1) for file in ("dest", "src0", "src1"))

    def get(self, name: str) -> Any:
        return self.pe.load(self.variables[name])

    def put(self, **values: Any) -> None:
        for name, value in values.items():
            self.pe.store(self.variables[name], 0, value)

    def change(self, address: int, clear: int = 0, put: int = 0, flip: int = 0) -> None:
        """One library call of the original: read a word, change bits, write it back."""
        word = self.pe.load_at("u16", address)
        word = word & (0xFFFF ^ clear) if clear else word
        word = word | put if put else word
        self.pe.store_at("u16", address, word ^ flip if flip else word)

    def routes(self, name: str, rx: str, *tx: str, switched: bool) -> Any:
        """A function that gives the color new routes and lets it out of teardown."""
        color_word = self.pe.color_config_address(self.color)
        switch_word = self.pe.switch_config_address(self.color)
        function = self.pe.function(name, export=False)
        with function:
            outputs = sum(1 << DIRECTION[port] for port in tx)
            self.change(color_word, clear=0x3FF, put=1 << DIRECTION[rx] + 5 | outputs)
            self.change(switch_word, clear=0x6000)  # back to position 0
            self.change(switch_word, clear=0x777, put=0x555)  # positions 1 to 3 invalid; ring mode stays
            if switched:  # position 1 takes from the RAMP and keeps the outputs of position 0
                self.change(switch_word, clear=0xF, put=0x8 | DIRECTION["RAMP"])
            self.change(color_word, flip=1 << 14)  # out of teardown
        return function

    def move(self, destination: Any, source: Any, fold: str = "", **action: Any) -> None:
        """An asynchronous op through the DSRs; its settings ride on the fabric descriptor's DSR."""
        pe, settings = self.pe, {"async_": True, **action}
        sends = destination is not self.mem_x
        pe.load_to_dsr(self.dest, destination, **(settings if sends else {}))
        pe.load_to_dsr(self.src1, source, **({} if sends else settings))
        if fold:
            pe.load_to_dsr(self.src0, destination)
            pe.vop(fold, self.dest, self.src0, self.src1)
        else:
            pe.mov32(self.dest, self.src1)

    def phase_functions(self) -> None:
        """Reduce along a line, and broadcast: close the lock until this PE's part is done, and begin."""
        pe, self.phase = self.pe, {}
        for name in ("reduce", "broadcast"):
            self.phase[name] = pe.function(name, [("n", "u16")], export=False)
            with self.phase[name] as (n,):
                pe.block(self.lock)
                pe.set_dsd_base_addr(self.mem_x, self.get("x_address"))
                for dsd in (self.mem_x, self.fab_in, self.fab_out):
                    pe.set_dsd_length(dsd, n)
                if name == "reduce":
                    self.put(turn=0)
                    pe.set_dsd_base_addr(self.mem_ctrl, self.ctrl_11)
                    pe.activate(self.send_data)
                elif self.end_x == self.end_y == "last":
                    self.move(self.fab_out, self.mem_x, activate=self.send_ctrl)
                else:
                    self.move(self.mem_x, self.fab_in, unblock=self.lock)

    def norm_functions(self) -> None:
        """x / alpha with alpha a power of two near the largest |x|: the squares cannot overflow."""
        pe = self.pe
        self.scale = pe.function("scale_and_square", export=False)
        with self.scale:
            bits = pe.load_at("f32", self.get("x_address")).bitcast("u32")
            exponent = ((bits & 0x7F800000) >> 23).to("u16")
            with pe.if_(exponent == 0):  # zero, or a subnormal number
                exponent.set(pe.select(bits & 0x7FFFFF, pe.let("u16", 1), 127))
            with pe.if_(exponent == 255):  # infinite, or no number
                exponent.set(127)
            alpha, inv_alpha = ((e.to("u32") << 23).bitcast("f32") for e in (exponent, 254 - exponent))
            self.put(alpha=alpha, inv_alpha=inv_alpha)
            scaled = self.get("x_copy") * self.get("inv_alpha")
            pe.store_at("f32", self.get("x_address"), scaled * scaled)
        self.root = pe.function("norm_postprocessing", export=False)
        with self.root:
            root = pe.load_at("f32", self.get("x_address")).math("sqrt") * self.get("alpha")
            pe.store_at("f32", self.get("x_address"), root)

    def task_bodies(self) -> None:
        """The state machine, the two halves of a PE's turn on the line, the lock, the teardown handler."""
        pe = self.pe
        with self.state_entry:
            self.state_machine()
        with self.send_data:
            turn = self.get("turn")
            with pe.if_(self.get("is_last")):
                with pe.if_(turn < self.get("turns")):  # fold in one more vector
                    for fold, branch in (
                        ("fadds", pe.if_(self.get("functor") == ADD)),
                        ("fmaxs", pe.else_()),
                    ):
                        with branch:
                            self.move(self.mem_x, self.fab_in, fold, activate=self.send_data)
                    self.put(turn=turn + 1)
                with pe.else_():
                    pe.unblock(self.lock)
            with pe.else_():
                with pe.if_(turn < 1):  # send the vector, then send_ctrl passes the turn on
                    self.move(self.fab_out, self.mem_x, activate=self.send_ctrl)
                    self.put(turn=turn + 1)
                with pe.else_():
                    pe.unblock(self.lock)
                    with pe.if_(self.get("is_first")):
                        self.move(self.fab_ctrl, self.mem_td)
        with self.send_ctrl:
            with pe.if_(self.get("state") == BROADCAST):
                self.move(self.fab_ctrl, self.mem_td, unblock=self.lock)
            with pe.else_():
                self.move(self.fab_ctrl, self.mem_ctrl, activate=self.send_data)
        with self.lock:
            self.put(state=self.get("next_state"))
            pe.activate(self.state_entry)
        with pe.teardown_task(), pe.if_(pe.teardown_get(self.color)):
            pe.activate(self.lock)

    def state_machine(self) -> None:
        """One state per run; the three phases go on when the lock runs, the two local states at once."""
        pe, state = self.pe, self.get("state")
        for phase, end, turns in ((ROWS, self.end_x, self.width - 1), (COLUMNS, self.end_y, self.height - 1)):
            with pe.if_(state == phase) if phase == ROWS else pe.elif_(lambda: state == COLUMNS):
                self.configure[phase]()
                self.put(turns=turns, is_first=int(end == "first"), is_last=int(end == "last"))
                self.phase["reduce"](self.get("words"))
                self.put(next_state=self.following())
        with pe.elif_(lambda: state == BROADCAST):
            self.configure[BROADCAST]()
            self.phase["broadcast"](self.get("words"))
            self.put(next_state=self.following())
        for number, function in ((SQUARE, self.scale), (ROOT, self.root)):
            with pe.elif_(lambda number=number: state == number):
                function()
                if number == SQUARE:
                    self.put(functor=ADD)
                self.put(state=self.following())
                pe.activate(self.state_entry)
        with pe.else_():
            pe.assert_(state == DONE, "unknown state")
            pe.store(self.stamps, 1, pe.timestamp())
            pe.done()

    def following(self) -> Any:
        """Step the index and read the next state."""
        index = self.get("state_index") + 1
        self.put(state_index=index)
        return self.pe.load(self.sequence, index)

    def portals(self) -> None:
        """``allreduce(n, op)`` of the first n words of x, and ``nrm2()`` of x[0]."""
        pe, phases = self.pe, (ROWS, COLUMNS, BROADCAST)
        with pe.function("allreduce", [("n", "i16"), ("op", "u16")]) as (n, op):
            pe.assert_(n > 0, "no words to reduce")
            self.start(n.to("u16"), op, (*phases, DONE))
        with pe.function("nrm2"):
            value = abs(pe.load(self.x, 0))
            pe.store(self.x, 0, value)
            self.put(x_copy=value)
            self.start(1, MAX, (*phases, SQUARE, *phases, ROOT, DONE))

    def start(self, words: Any, functor: Any, states: tuple[int, ...]) -> None:
        """Set the state machine going."""
        pe = self.pe
        pe.store(self.stamps, 0, pe.timestamp())
        for i, state in enumerate(states):
            pe.store(self.sequence, i, state)
        address = pe.address_of(self.x)
        self.put(words=words, functor=functor, state_index=0, state=states[0], x_address=address)
        pe.activate(self.state_entry)


def build(width: int, height: int, arch: str = "wse2-sdk") -> ws.MachineProgram:
    """The program: up to nine kinds of PE, all with the same initial route."""
    if width < 2 or height < 2:
        raise ws.ProgramError(f"the library needs at least 2 x 2 PEs, found {width} x {height}")
    lay = ws.Layout(width, height, arch=arch, name="csl_allreduce")
    color = lay.color("route", 8)
    ends = [[("first", 0, 1), ("middle", 1, n - 2), ("last", n - 1, 1)] for n in (width, height)]
    for end_y, y, rows in ends[1]:
        for end_x, x, columns in ends[0]:
            if rows and columns:
                lay.place(Worker(lay, color, end_x, end_y).pe, x, y, columns, rows)
    lay.route(color, 0, 0, width, height, rx="WEST", tx="EAST", switches=[{"rx": "RAMP"}], ring=True,
              pop="on_advance", teardown=True)  # fmt: skip
    return lay.build()


def expected(x: np.ndarray, op: int) -> np.ndarray:
    """The exact result: the last PE's own value, then the others' from the first on; rows, then columns."""
    for _ in range(2):
        total = x[..., -1, :]
        for i in range(x.shape[-2] - 1):
            total = total + x[..., i, :] if op == ADD else np.maximum(total, x[..., i, :])
        x = total
    return x


def reduce_once(sim: ws.Simulator, x: np.ndarray, op: int) -> tuple[bool, ws.Record]:
    """One all-reduce of x[height, width, words]; true if every PE has the exact result."""
    words = x.shape[2]
    sim.write("x", np.pad(x, ((0, 0), (0, 0), (0, MAX_WORDS - words))))
    sim.launch("allreduce", n=words, op=op)
    record = sim.run()
    return bool((sim.read("x")[..., :words] == expected(x, op)).all()), record


def main() -> None:
    """A few grids and lengths, and one norm."""
    rng = np.random.default_rng(0)
    for width, height, words in ((3, 5, 1), (4, 4, 4), (5, 3, 16), (8, 8, 16)):
        sim = ws.Simulator(build(width, height), arch="wse2-sdk")
        x = rng.standard_normal((height, width, words)).astype(np.float32)
        for op, name in ((ADD, "add"), (MAX, "max")):
            good, record = reduce_once(sim, x, op)
            print(f"{width}x{height}, {words:2} words, {name}: {VERDICT[good]}, {record.cycles} cycles")
    sim.write("x", x)
    sim.launch("nrm2")
    record = sim.run()
    good = np.allclose(sim.read("x")[..., 0], np.linalg.norm(x[..., 0].astype(np.float64)), rtol=1e-6)
    print(f"8x8, nrm2: {VERDICT[good]}, {record.cycles} cycles")


if __name__ == "__main__":
    main()
