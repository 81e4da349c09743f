"""Wafers or GPUs? Speed of a user against the price of a token.

Each line goes from few users to many: to the right a user is faster, further down a token is cheaper. Where
the lines are tells which machine wins for which service.
"""

from pathlib import Path

from wafersim.deploy.ask import Deployment, deployment
from wafersim.deploy.plot import line_plot

MODEL, PROMPT, OUTPUT = "llama-3.1-70b", 512, 512
found = deployment(MODEL, prompt=PROMPT, output=OUTPUT, asked=Deployment(compare=True))

lines = {"wafers": []}
for row in found["by_users"]:
    price = row["usd_per_mtoken"]
    lines["wafers"].append((row["tokens_per_s_user"], price["value"]))
    print(
        f"{row['users']:4d} users on {row['wafers']:2d} wafers: {row['tokens_per_s_user']:6.0f} tokens/s",
        f"{price['value']:.2f} $ ({price['low']:.2f} to {price['high']:.2f}) a million tokens",
    )
    for gpu in row["gpu"]:
        point = (gpu["tokens_per_s_user"]["value"], gpu["usd_per_mtoken"]["value"])
        lines.setdefault(gpu["gpu"].upper(), []).append(point)
for sentence in found["verdict"]["text"]:
    print(sentence)

plot = line_plot(
    lines, title=f"{MODEL}: {PROMPT} tokens in, {OUTPUT} out", x_label="tokens per second of a user",
    y_label="$ per million tokens", log_x=True, log_y=True,
)  # fmt: skip
Path("llm_price.svg").write_text(plot)
