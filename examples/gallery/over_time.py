"""A run over time: what the PEs did and which links were used, sampled while it ran.

Sampling pauses the run; cycles, values and counts stay the same to the bit.
"""

from pathlib import Path

import numpy as np

from wafersim.program.schema import Port
from wafersim.report.charts import over_time
from wafersim.simulate.runner import prepare

record = prepare("gemm", "wse2", "8x8", {"tile": 6}).execute(frames=32)
frames = record.frames
rate = frames.ports / np.diff(frames.edges)[:, None]
for port in (Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST):
    most, total = rate[:, port].max(), frames.ports[:, port].sum()
    print(f"{port.name:>5}: at most {most:.2f} wavelets per cycle, {total:,} in all")
Path("over_time.svg").write_text(over_time(frames)[1])
