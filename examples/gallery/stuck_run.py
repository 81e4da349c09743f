"""A run that is stuck explains itself: two PEs that both want to receive first.

Nothing can happen any more, so the answer is exact: who waits, on what, at which line, and in which ring.
"""

import wafersim as ws

lay = ws.Layout(2, 1, name="stuck")
east, west = lay.color("eastward"), lay.color("westward")
lay.route(east, 0, 0, rx="RAMP", tx="EAST")
lay.route(east, 1, 0, rx="WEST", tx="RAMP")
lay.route(west, 1, 0, rx="RAMP", tx="WEST")
lay.route(west, 0, 0, rx="EAST", tx="RAMP")
for x, inward, outward in ((0, west, east), (1, east, west)):
    pe = lay.tile(f"pe{x}")
    lay.place(pe, x, 0)
    a, b = pe.array("a", "f32", 4), pe.array("b", "f32", 4)
    with pe.function("main"):
        pe.fmovs(pe.mem_dsd(b), pe.fabin_dsd(pe.input_queue(2, inward), extent=4))
        pe.fmovs(pe.fabout_dsd(pe.output_queue(3, outward), extent=4), pe.mem_dsd(a))
        pe.done()

sim = ws.Simulator(lay.build(), "wse2")
sim.launch("main")
try:
    sim.run()
except ws.DeadlockError as error:
    print(error)
lay.picture_svg("stuck_run.svg")
