"""A published formula beside the machine: a broadcast along a row, words + hops + 2 ramps.

The simulator knows no formula; it moves every wavelet. That both agree is a check of the formula.
"""

from pathlib import Path

import wafersim as ws
from wafersim.deploy.plot import line_plot

simulated, formula = [], []
for pes in (4, 8, 16, 32, 64):
    record = ws.run("broadcast", grid=f"{pes}x1", words=64)
    simulated.append((pes, record.metrics["window_cycles"]))
    formula.append((pes, record.formula["cycles"]))
    print(f"{pes:3} PEs: {simulated[-1][1]} cycles between the timestamps, formula {formula[-1][1]:.0f}")

plot = line_plot(
    {"simulated": simulated, "formula": formula},
    title="broadcast of 64 words along a row", x_label="PEs", y_label="cycles",
)  # fmt: skip
Path("broadcast_formula.svg").write_text(plot)
