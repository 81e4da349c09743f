"""How much energy does a token take?

A wafer draws most of its power even when idle, so the energy of a token is set by how many users share it.
"""

from pathlib import Path

from wafersim.deploy.ask import deployment
from wafersim.deploy.plot import line_plot
from wafersim.errors import ConfigError

joules, band = [], []
for users in (1, 2, 4, 8, 16, 32, 64):
    try:
        found = deployment("llama-3.1-8b", users=users, prompt=512, output=512, wafers=1)
    except ConfigError as error:
        print(error)
        break
    ends = found["joules_per_token_range"]
    joules.append((users, found["joules_per_token"]))
    band.append((users, ends["low"], ends["high"]))
    print(
        f"{users:3d} users: {found['tokens_per_s_total']:8.0f} tokens/s, {found['power_w'] / 1e3:.1f} kW, "
        f"{found['joules_per_token']:.3f} J a token ({ends['low']:.3f} to {ends['high']:.3f}), "
        f"{found['energy']['static_share']:.1%} static"
    )

plot = line_plot(
    {"Llama 3.1 8B, one wafer": joules}, bands={"Llama 3.1 8B, one wafer": band},
    title="Energy of a token", x_label="users at once", y_label="joules per token", log_x=True, log_y=True,
)  # fmt: skip
Path("llm_energy.svg").write_text(plot)
