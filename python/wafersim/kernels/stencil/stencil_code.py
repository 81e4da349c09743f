"""The program of one PE of the tiled star stencil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wafersim.kernels.timing import stamp_array

if TYPE_CHECKING:
    from wafersim.kernels.stencil.stencil_tiled import Shape

EXIT_ID, LOOP_ID, COMPUTE_ID = 9, 18, 19
RECEIVE_IDS = {"EAST": 10, "WEST": 11, "NORTH": 12, "SOUTH": 13}
SEND_IDS = {"WEST": 14, "EAST": 15, "NORTH": 16, "SOUTH": 17}
IN_QUEUES = {"EAST": 4, "WEST": 5, "NORTH": 6, "SOUTH": 7}
OUT_QUEUES = {
    2: {"EAST": 0, "WEST": 1, "NORTH": 2, "SOUTH": 3},
    3: {"EAST": 4, "WEST": 1, "NORTH": 2, "SOUTH": 3},
}
#: DSR numbers of the public program.
SEND_DSR = {"NORTH": 5, "SOUTH": 6, "WEST": 7, "EAST": 8}
RECEIVE_DSR = {"NORTH": 11, "SOUTH": 12, "WEST": 13, "EAST": 14}
ORDER = ("WEST", "EAST", "NORTH", "SOUTH")
_UNIT = {"NORTH": (-1, 0), "SOUTH": (1, 0), "WEST": (0, -1), "EAST": (0, 1)}


class TileCode:
    """Emits the whole program of one kind of PE.

    ``links`` gives for each direction with a neighbour the color to it and the color from it.
    """

    def __init__(self, pe: Any, shape: Shape, links: dict[str, tuple[Any, Any]]) -> None:
        self.pe, self.shape, self.links = pe, shape, links
        self.inner = len(links) == 4
        self.wait = shape.wait or not self.inner
        self.generation = pe.layout.generation
        self._arrays()
        self._tasks()
        self._fabric()
        self.use_dsrs = shape.radius == 1
        if self.use_dsrs:
            self._dsrs()

    # --- data ------------------------------------------------------------------------------------------

    def _arrays(self) -> None:
        pe, shape = self.pe, self.shape
        r = shape.radius
        self.own = pe.array("own_values", "f32", (shape.rows, shape.pitch), align=16, export=True)
        self.buffer = pe.array("buffer", "f32", (shape.rows, shape.pitch), export=True)
        self.weights = pe.array("weights", "f32", r + 1, init=[0.5**i for i in range(r + 1)], export=True)
        self.centre_weight = pe.array("centre_weight", "f32")
        self.iteration = pe.array("iteration_count", "i32", init=0)
        self.limit = pe.array("num_iterations", "i32", init=0)
        self.sent = pe.array("send_count", "i16", init=0)
        self.received = pe.array("receive_count", "i16", init=0)
        self.segment = pe.array("segment", "i16", init=0)
        self.stamps = stamp_array(pe, 4)

    def _view(self, array: Any, row: int, column: int, rows: int, columns: int) -> Any:
        """A descriptor over a block of an array; one-dimensional where it can be."""
        pitch = self.shape.pitch
        offset = row * pitch + column
        if rows == 1:
            return self.pe.mem_dsd(array, extent=columns, offset=offset)
        if columns == 1:
            return self.pe.mem_dsd(array, extent=rows, stride=pitch, offset=offset)
        return self.pe.mem_dsd(array, extents=(rows, columns), strides=(pitch, 1), offset=offset)

    def _block(self, array: Any, dy: int = 0, dx: int = 0) -> Any:
        """The tile's block of an array, shifted; always two-dimensional, as in the public programs."""
        shape, r = self.shape, self.shape.radius
        offset = (r + dy) * shape.pitch + r + dx
        return self.pe.mem_dsd(
            array, extents=(shape.tile_height, shape.tile_width), strides=(shape.pitch, 1), offset=offset
        )

    def _edge(self, direction: str, halo: bool) -> Any:
        """The strip that is sent in a direction, or the halo that is received from it."""
        shape, r = self.shape, self.shape.radius
        th, tw = shape.tile_height, shape.tile_width
        out = r if halo else 0
        if direction in ("NORTH", "SOUTH"):
            row = r - out if direction == "NORTH" else th + out
            return self._view(self.buffer, row, r, r, tw)
        column = r - out if direction == "WEST" else tw + out
        return self._view(self.buffer, r, column, th, r)

    def _words(self, direction: str) -> int:
        shape = self.shape
        return shape.radius * (shape.tile_width if direction in ("NORTH", "SOUTH") else shape.tile_height)

    # --- tasks, queues, descriptors ------------------------------------------------------------------------

    def _tasks(self) -> None:
        pe = self.pe
        self.exit = pe.local_task("exit", id=EXIT_ID, priority="high")
        self.loop = pe.local_task("loop", id=LOOP_ID, priority="low")
        self.compute = pe.local_task("compute", id=COMPUTE_ID, priority="low")
        self.on_sent: dict[str, Any] = {}
        self.on_received: dict[str, Any] = {}
        if self.wait:
            for d in self.links:
                self.on_sent[d] = pe.local_task(f"sent_{d.lower()}", id=SEND_IDS[d], priority="high")
                self.on_received[d] = pe.local_task(
                    f"received_{d.lower()}", id=RECEIVE_IDS[d], priority="high"
                )

    def _fabric(self) -> None:
        pe = self.pe
        self.send_dsd: dict[str, Any] = {}
        self.receive_dsd: dict[str, Any] = {}
        for d, (to, back) in self.links.items():
            out = pe.output_queue(OUT_QUEUES[self.generation][d], to, priority="high")
            into = pe.input_queue(IN_QUEUES[d], back, priority="high")
            self.send_dsd[d] = pe.fabout_dsd(out, extent=self._words(d))
            self.receive_dsd[d] = pe.fabin_dsd(into, extent=self._words(d))
        self.edge = {d: self._edge(d, halo=False) for d in self.links}
        self.halo = {d: self._edge(d, halo=True) for d in self.links}

    def _send_settings(self, direction: str) -> dict[str, Any]:
        settings: dict[str, Any] = {"async_": True}
        if direction in self.on_sent:
            settings["activate"] = self.on_sent[direction]
        if self.generation == 3 and direction == "EAST":
            settings["ut"] = 0
        return settings

    def _receive_settings(self, direction: str) -> dict[str, Any]:
        settings: dict[str, Any] = {"async_": True}
        if direction in self.on_received:
            settings["activate"] = self.on_received[direction]
        return settings

    def _dsrs(self) -> None:
        """Radius 1: everything in DSRs before the start; completion settings sit in the fabric DSRs."""
        pe = self.pe
        self.send_dst, self.send_src, self.receive_dst, self.receive_src = {}, {}, {}, {}
        for d in self.links:
            self.send_dst[d] = self._loaded("dest", SEND_DSR[d], self.send_dsd[d], **self._send_settings(d))
            self.send_src[d] = pe.dsr("src0", SEND_DSR[d])
            self.receive_dst[d] = pe.dsr("dest", RECEIVE_DSR[d])
            self.receive_src[d] = self._loaded(
                "src0", RECEIVE_DSR[d], self.receive_dsd[d], **self._receive_settings(d)
            )
        own, centre = self._block(self.own), self._block(self.buffer)
        self.own_dst, self.own_src = self._loaded("dest", 1, own), self._loaded("src0", 1, own)
        self.centre_dst, self.centre_src = self._loaded("dest", 9, centre), self._loaded("src0", 10, centre)
        self.shifts = [
            self._loaded("src1", k + 1, self._block(self.buffer, *_UNIT[d]))
            for k, d in enumerate(("NORTH", "SOUTH", "WEST", "EAST"))
        ]

    def _loaded(self, file: str, index: int, dsd: Any, **settings: Any) -> Any:
        dsr = self.pe.dsr(file, index)
        self.pe.preload_dsr(dsr, dsd, **settings)
        return dsr

    # --- code -----------------------------------------------------------------------------------------------

    def emit(self) -> None:
        """All tasks and the function that the host launches."""
        self._emit_loop()
        self._emit_compute()
        for task in self.on_sent.values():
            self._emit_count(task, self.sent, lambda: self.pe.unblock(self.compute))
        for task in self.on_received.values():
            self._emit_count(task, self.received, lambda: self.pe.activate(self.compute))
        self._emit_exit()
        self._emit_start()

    def _emit_loop(self) -> None:
        pe = self.pe
        with self.loop:
            done = pe.load(self.iteration, 0)
            with pe.if_(done >= pe.load(self.limit, 0)):
                pe.activate(self.exit)
                pe.return_()
            if self.use_dsrs:
                self._reload()
            if self.wait:
                pe.block(self.compute)
            self._exchange()
            if not self.wait:
                pe.activate(self.compute)
            pe.store(self.iteration, 0, pe.load(self.iteration, 0) + 1)

    def _reload(self) -> None:
        pe = self.pe
        for d in ("NORTH", "SOUTH", "WEST", "EAST"):
            if d in self.links:
                pe.load_to_dsr(self.send_src[d], self.edge[d])
        for d in ("NORTH", "SOUTH", "WEST", "EAST"):
            if d in self.links:
                pe.load_to_dsr(self.receive_dst[d], self.halo[d])

    def _exchange(self) -> None:
        pe = self.pe
        there = [d for d in ORDER if d in self.links]
        for d in there:
            if self.use_dsrs:
                pe.fmovs(self.send_dst[d], self.send_src[d])
            else:
                pe.fmovs(self.send_dsd[d], self.edge[d], **self._send_settings(d))
        for d in there:
            if self.use_dsrs:
                pe.fmovs(self.receive_dst[d], self.receive_src[d])
            else:
                pe.fmovs(self.halo[d], self.receive_dsd[d], **self._receive_settings(d))

    def _emit_compute(self) -> None:
        pe = self.pe
        with self.compute:
            if self.inner and self.use_dsrs:
                self._compute_near()
            elif self.inner:
                self._compute_far()
            pe.activate(self.loop)

    def _compute_near(self) -> None:
        """Radius 1: scale, add the four shifted blocks, scale back into the buffer."""
        pe = self.pe
        centre, outer = pe.load(self.centre_weight, 0), pe.load(self.weights, 1)
        pe.fmuls(self.own_dst, self.centre_src, centre)
        for shift in self.shifts:
            pe.fadds(self.own_dst, self.own_src, shift)
        pe.fmuls(self.centre_dst, self.own_src, outer)

    def _compute_far(self) -> None:
        """Radius 2 and more: one multiply, then a multiply-add per shifted block, the cell itself last."""
        pe, own, centre = self.pe, self._block(self.own), self._block(self.buffer)
        for i in range(1, self.shape.radius + 1):
            weight = pe.load(self.weights, i)
            for d in ("NORTH", "SOUTH", "WEST", "EAST"):
                dy, dx = _UNIT[d]
                shifted = self._block(self.buffer, i * dy, i * dx)
                if i == 1 and d == "NORTH":
                    pe.fmuls(own, shifted, weight)
                else:
                    pe.fmacs(own, own, shifted, weight)
        pe.fmacs(centre, own, centre, pe.load(self.weights, 0))

    def _emit_count(self, task: Any, counter: Any, last: Any) -> None:
        """Count one completion; the last of the iteration resets the counter and goes on."""
        pe = self.pe
        with task:
            count = pe.load(counter, 0) + 1
            pe.store(counter, 0, count)
            with pe.if_(count < len(self.links)):
                pe.return_()
            pe.store(counter, 0, 0)
            last()

    def _emit_exit(self) -> None:
        """End of a segment: stamp, and start the next one or finish."""
        pe, segments = self.pe, self.shape.segments()
        with self.exit:
            number = pe.load(self.segment, 0) + 1
            pe.store(self.stamps, number, pe.timestamp())
            pe.store(self.segment, 0, number)
            with pe.if_(number >= len(segments)):
                pe.done()
                pe.return_()
            more = pe.let("i32", segments[0])
            if len(segments) == 3:
                with pe.if_(number == 2):
                    more.set(segments[2])
            pe.store(self.limit, 0, pe.load(self.limit, 0) + more)
            pe.activate(self.loop)

    def _emit_start(self) -> None:
        pe, r = self.pe, self.shape.radius
        with pe.function("start"):
            pe.store(self.stamps, 0, pe.timestamp())
            pe.store(self.limit, 0, self.shape.segments()[0])
            total = pe.let("f32", 0.0)
            for i in range(r + 1):
                weight = pe.load(self.weights, i)
                total += weight if i == 0 else weight * 4.0
            for i in range(r + 1):
                pe.store(self.weights, i, pe.load(self.weights, i) / total)
            if self.use_dsrs:
                pe.fmovs(self.own_dst, self.centre_src)
                pe.store(self.centre_weight, 0, pe.load(self.weights, 0) / pe.load(self.weights, 1))
            pe.activate(self.loop)
