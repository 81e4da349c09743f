"""What if a hop took longer? One constant of the machine, changed; which kernels feel it.

`compare` says what was different between two runs and what followed.
"""

from pathlib import Path

import wafersim as ws
from wafersim.deploy.plot import line_plot

HOPS = (1, 2, 3, 4, 6)
base = ws.Arch.load("wse2")
asked = {
    "broadcast, 32 PEs, 4 words": ("broadcast", {"grid": "32x1", "words": 4}),
    "reduce chain, 8 PEs, 128 words": ("reduce", {"grid": "8x1", "words": 128, "algorithm": "chain"}),
    "gemm, 4x4 PEs, tile 4": ("gemm", {"grid": "4x4", "tile": 4}),
}
lines = {}
for name, (kernel, options) in asked.items():
    cycles = [ws.run(kernel, base.replace(hop_cycles=h), **options).cycles for h in HOPS]
    lines[name] = [(h, c / cycles[0]) for h, c in zip(HOPS, cycles, strict=True)]
    print(
        f"{name}: {cycles[0]} cycles, {lines[name][-1][1]:.2f} times as many with {HOPS[-1]} cycles per hop"
    )

a, b = (ws.run("broadcast", base.replace(hop_cycles=h), grid="32x1", words=4) for h in (1, 2))
print(ws.compare(a, b).headline())
plot = line_plot(lines, title="cycles per hop", x_label="hop_cycles", y_label="cycles, relative to 1 per hop")
Path("slower_links.svg").write_text(plot)
