"""What do the users in my trace see, and do systems of their own for prompts help?

A trace in the JSON lines of Mooncake (here made up, in bursts) is served by three copies of a model: all
three take prompts and answers, or one takes all prompts and two all answers.
"""

import json
from pathlib import Path

import numpy as np

from wafersim.deploy.arrivals import generate
from wafersim.deploy.plot import line_plot
from wafersim.deploy.serving import Handover, percentiles, serve
from wafersim.deploy.trace import read_trace
from wafersim.models.accounting.cost import kv_bytes_per_token
from wafersim.models.ask import service_model

made_up = generate(400, 8.0, input_tokens=1500, output_tokens=150, burstiness=3, length_spread=1, seed=7)
with Path("trace.jsonl").open("w") as file:
    for time, prompt, answer in zip(
        made_up.arrival_s, made_up.input_tokens, made_up.output_tokens, strict=True
    ):
        row = {"timestamp": round(1e3 * time), "input_length": int(prompt), "output_length": int(answer)}
        print(json.dumps(row), file=file)

requests = read_trace("trace.jsonl")
model = service_model("llama-3.1-8b", "wse3", users=16, context=4096)
# keys and values move over the twelve 100 Gb/s links of a system
handover = Handover(model, copies=1, s_per_token=kv_bytes_per_token(model.model) / 150e9, latency_s=5e-6)
results = {
    "three copies for everything": serve(model, requests, copies=3),
    "one for prompts, two for answers": serve(model, requests, copies=2, handover=handover),
}

lines = {}
for name, result in results.items():
    for what, values in (("TTFT", result.ttft_s), ("TPOT", result.tpot_s), ("all", result.e2e_s)):
        print(f"{name}: {what}", {p: f"{1e3 * v:.1f} ms" for p, v in percentiles(values).items()})
    print(f"{name}: busiest is {result.binds_next}, on {result.wafers} wafers")
    share = np.linspace(0.01, 1.0, 60)
    lines[name] = list(zip(np.quantile(result.tpot_s, share).tolist(), share.tolist(), strict=True))

plot = line_plot(
    lines, title="Time per token over all requests of the trace", x_label="seconds per token",
    y_label="share of requests", log_x=True,
)  # fmt: skip
Path("llm_trace.svg").write_text(plot)
