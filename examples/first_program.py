"""Your first own program: one PE sends a vector east, all others scale it by a factor of their own."""

import numpy as np

import wafersim as ws

WIDTH, N = 8, 16
lay = ws.Layout(WIDTH, 1, arch="wse2", name="first_program")
red = lay.color("red")

root = lay.tile("root")  # the program of the PE at the west end
x = root.array("x", "f32", N)
with root.function("main"):
    root.fmovs(root.fabout_dsd(root.output_queue(2, red), extent=N), root.mem_dsd(x))
    root.done()

worker = lay.tile("worker")  # the program that all others share
y = worker.array("y", "f32", N)
factor = worker.param("factor", "f32")  # one SRAM word, different on every PE
finished = worker.local_task("finished")
with finished:
    worker.done()
with worker.function("main"):
    incoming = worker.fabin_dsd(worker.input_queue(2, red), extent=N)
    worker.fmuls(worker.mem_dsd(y), incoming, factor, async_=True, activate=finished)

factors = np.arange(1, WIDTH, dtype=np.float32)
lay.place(root, 0, 0)
lay.place(worker, 1, 0, WIDTH - 1, 1, params={"factor": factors[np.newaxis, :]})
lay.route(red, 0, 0, rx="RAMP", tx="EAST")
lay.route(red, 1, 0, WIDTH - 2, 1, rx="WEST", tx=("RAMP", "EAST"))
lay.route(red, WIDTH - 1, 0, rx="WEST", tx="RAMP")
print(lay.picture(red))

sim = ws.Simulator(lay.build(), arch="wse2")
vector = np.linspace(0, 1, N, dtype=np.float32)
sim.write("x", vector[np.newaxis, np.newaxis, :])
sim.launch("main")
record = sim.run()
assert np.array_equal(sim.read("y")[0], factors[:, np.newaxis] * vector)
print(f"{WIDTH - 1} PEs scaled {N} numbers in {record.cycles} cycles")
