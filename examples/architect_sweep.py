"""An architect's sweep: SRAM, hops and ramp bandwidth against GEMM and decode, ending in a Pareto plot.

More memory per PE lets a matrix product have its tiles and a language model more users; slower hops and a
narrower way from a PE into the fabric cost both.  The widest link of the engine moves 32 bits a cycle; the
pace of the ramp narrows it down to half.  Writes ``architect_sweep.svg``.
"""

from pathlib import Path

from wafersim.sweep import load_spec, run_sweep
from wafersim.sweep.plot import as_svg, in_letters
from wafersim.sweep.results import pareto
from wafersim.sweep.sensitivity import elasticities

SPEC = """
name = "architect"
mode = "grid"
arch = {from = "wse2", ramp_pace_den = 2, ramp_pace_num = 2}

[[targets]]                       # a matrix product on 4x4 PEs; its tiles need 12 KB
name = "gemm"
kernel = "gemm"
grid = "4x4"
params = {tile = 24}

[[targets]]                       # the products of decoding: a matrix times a vector
name = "gemv"
kernel = "gemv"
grid = "4x4"
params = {rows = 32, cols = 32, algorithm = "mesh", dtype = "f16"}

[[targets]]                       # decoding itself: how many users fit, how fast each is served
name = "decode"
model = "llama-3.1-8b"
prompt = 1024
output = 256

[axes]
"arch.sram_bytes" = [24576, 49152]
"arch.hop_cycles" = [1, 4]
"arch.ramp_pace_num" = [2, 4]     # over ramp_pace_den = 2: 1 or 2 cycles per wavelet

[[objectives]]
figure = "gemm.cycles"

[[objectives]]
figure = "decode.users_that_fit"
goal = "max"

[[objectives]]
figure = "decode.tokens_per_s_user"
goal = "max"

[[objectives]]
figure = "gemv.cycles"

[[objectives]]
figure = "arch.sram_bytes"
"""

path = Path("architect.toml")
path.write_text(SPEC)
spec = load_spec(path)
result = run_sweep(spec, "architect.sweep", executor="threads")
front = pareto(result.rows, spec.objectives)
best = {row.number for row in front}

for row in front[:6]:
    print(f"point {row.number}: {row.values} -> {row.figures}")
print(f"{len(front)} of {len(result.rows)} points are on the Pareto front")
print("\n".join(in_letters(spec, result.rows, best)))
for entry in elasticities(spec, result.rows):
    if entry.value is not None and abs(entry.value) > 0.005:
        print(f"{entry.figure}: {entry.value:+.3f} % per percent of {entry.axis}")
refused = [row for row in result.rows if row.problems]
if refused:
    print(f"{len(refused)} points do not fit, for example: {refused[0].problems[0][:160]}")
print(sorted({warning for row in result.rows for warning in row.warnings}))
Path("architect_sweep.svg").write_text(as_svg(spec, result.rows, best))
