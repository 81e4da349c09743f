"""How long does training take on so many wafers, and what does it cost?

Llama 3.1 70B on 2 trillion tokens with weights streamed from outside: days against wafers, with their range;
and how few tokens per wafer leave the wafers waiting for weights.
"""

from pathlib import Path

from wafersim.deploy.ask_training import training
from wafersim.deploy.plot import line_plot

MODEL, TOKENS = "llama-3.1-70b", 2e12

days, band = [], []
for systems in (1, 2, 4, 8, 16, 32, 64, 128):
    found = training(MODEL, systems=systems, tokens=TOKENS, sequence=4096)
    run = found["train"]
    days.append((systems, run["days"]["value"]))
    band.append((systems, run["days"]["low"], run["days"]["high"]))
    usd = found["cost"]["usd"]["tco"]
    print(
        f"{systems:4d} wafers: {run['days']['value']:7.1f} days ({run['days']['low']:.0f} to "
        f"{run['days']['high']:.0f}), MFU {run['mfu']:.0%}, {usd['value'] / 1e6:.1f} M$ "
        f"({usd['low'] / 1e6:.1f} to {usd['high'] / 1e6:.1f})"
    )

few = training(MODEL, systems=16, tokens=TOKENS, sequence=4096, sequences=16)["train"]
print(
    f"one sequence a wafer and step: MFU {few['mfu']:.1%}, because streaming needs "
    f"{few['hidden_tokens']:,.0f} tokens to hide and has {few['tokens_per_system']:,.0f}"
)

plot = line_plot(
    {"days": days}, bands={"days": band}, title=f"{MODEL}, {TOKENS:.0e} tokens", x_label="wafers",
    y_label="days", log_x=True, log_y=True,
)  # fmt: skip
Path("llm_training.svg").write_text(plot)
