"""Which reduce is fastest? Star, chain and tree over one row of 16 PEs, against the length of the vector.

Short vectors want few hops of latency (star), long ones want every link busy (chain).
"""

from pathlib import Path

import wafersim as ws
from wafersim.deploy.plot import line_plot

WORDS = (1, 4, 16, 64, 256)
lines = {}
for algorithm in ("star", "chain", "tree"):
    cycles = [ws.run("reduce", grid="16x1", algorithm=algorithm, words=n).cycles for n in WORDS]
    lines[algorithm] = list(zip(WORDS, cycles, strict=True))
    print(f"{algorithm:>6}: " + "  ".join(f"{n} words {c}" for n, c in lines[algorithm]))

best = {n: min(lines, key=lambda name: dict(lines[name])[n]) for n in WORDS}
print("fastest:", best)
plot = line_plot(
    lines, title="reduce over 16 PEs of a row", x_label="words", y_label="cycles", log_x=True, log_y=True
)
Path("reduce_algorithms.svg").write_text(plot)
