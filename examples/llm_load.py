"""How many requests do my wafers carry, and what binds next?

Llama 3.1 8B on two wafers: latencies against the rate of requests, and the largest rate at which 99 % of them
keep 1 s to the first token and 2 ms per token.
"""

from pathlib import Path

from wafersim.deploy.arrivals import generate
from wafersim.deploy.capacity import largest_load
from wafersim.deploy.plot import line_plot
from wafersim.deploy.remembered import Remembered
from wafersim.deploy.result import Slo
from wafersim.deploy.serving import percentiles, serve
from wafersim.models.ask import service_model

COPIES = 2
model = Remembered(service_model("llama-3.1-8b", "wse3", users=16, context=2048))
requests = generate(600, 1.0, input_tokens=1024, output_tokens=256, length_spread=0.8, seed=1)
slo = Slo(ttft_s=1.0, tpot_s=2e-3)

limit = largest_load(model, requests, slo, wafers=COPIES * model.wafers, precision=0.08)
print(f"{limit.wafers} wafers carry {limit.rate_per_s:.1f} requests a second; then binds: {limit.binds}")
print("busy at that rate:", {name: f"{share:.0%}" for name, share in limit.result.utilization.items()})

ttft, tpot = [], []
for share in (0.1, 0.4, 0.7, 1.0):
    rate = share * limit.rate_per_s
    result = serve(model, requests.scaled(rate), copies=COPIES)
    ttft.append((rate, percentiles(result.ttft_s)["p99"]))
    tpot.append((rate, percentiles(result.tpot_s)["p99"]))
    print(f"{rate:6.1f} requests/s: p99 of TTFT {ttft[-1][1]:.3f} s, of TPOT {1e3 * tpot[-1][1]:.2f} ms")

plot = line_plot(
    {"p99 of time to first token": ttft, "p99 of time per token": tpot},
    title=f"Llama 3.1 8B on {limit.wafers} wafers", x_label="requests per second", y_label="seconds",
    log_y=True,
)  # fmt: skip
Path("llm_load.svg").write_text(plot)
