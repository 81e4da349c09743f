"""Where did the cycles go? A matrix product on 12x12 PEs, every PE's time as a color.

The edges of the grid have fewer neighbors to pass data on to: they idle more.
"""

from pathlib import Path

import wafersim as ws
from wafersim.record.picture import heat_map_svg

record = ws.run("gemm", grid="12x12", tile=4)
print(record.cycles, "cycles, values", "agree with NumPy" if record.verified else "are WRONG")
print(record.bottleneck_detail["text"])
for name in ("busy_cycles", "stall_cycles", "idle_cycles"):
    print(f"{name}: {record['pe'][name].mean() / record.cycles:.1%} of the time on average")
Path("gemm_heat_map.svg").write_text(heat_map_svg(record))
