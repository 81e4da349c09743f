"""A whole wafer in seconds: a broadcast to 750x994 PEs at fidelity stream, beside smaller grids.

At this fidelity the words of an operation travel together: the same cycles, without values and counts per PE.
"""

from pathlib import Path

import wafersim as ws
from wafersim.deploy.plot import line_plot

points = []
for side in (50, 150, 300, 750):
    record = ws.run("broadcast", grid=(side, side * 994 // 750), words=16, fidelity="stream", values=False)
    pes = record.width * record.height
    points.append((pes, record.cycles))
    print(f"{pes:7,} PEs: {record.cycles:,} cycles, {record.wall_s:.2f} s on this machine")

plot = line_plot(
    {"broadcast of 16 words": points}, title="from a corner to the whole wafer", x_label="PEs",
    y_label="cycles", log_x=True, log_y=True,
)  # fmt: skip
Path("whole_wafer.svg").write_text(plot)
