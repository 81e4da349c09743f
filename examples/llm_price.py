"""Wafers or GPUs? Speed of a user against the price of a token.

Each line goes from few users to many: to the right a user is faster, further down a token is cheaper. Where
the lines are tells which machine wins for which service.
"""

from pathlib import Path

from wafersim.deploy.ask import Deployment, deployment
from wafersim.deploy.facts import Facts
from wafersim.deploy.gpu import GpuGroup, find_gpu, serve_on
from wafersim.deploy.plot import line_plot
from wafersim.models.config import ModelConfig

MODEL, PROMPT, OUTPUT = "llama-3.1-70b", 512, 512
model, facts = ModelConfig.load(MODEL), Facts.load()
lines = {"wafers": []}
for users in (1, 4, 16, 64, 128):
    found = deployment(MODEL, users=users, prompt=PROMPT, output=OUTPUT)
    price = found["cost"]["usd_per_mtoken"]["tco"]
    lines["wafers"].append((found["tokens_per_s_user"], price["value"]))
    print(
        f"{users:4d} users on {found['wafers']:2d} wafers: {found['tokens_per_s_user']:6.0f} tokens/s each, "
        f"{price['value']:.2f} $ a million tokens ({price['low']:.2f} to {price['high']:.2f})"
    )
for key in ("h100", "b200"):
    group = GpuGroup(model, find_gpu(key), 8, "bf16")
    name = f"8 {group.gpu.name}"
    lines[name] = []
    for users in (1, 4, 16, 64, 256):
        one = serve_on(group, users, PROMPT, PROMPT + OUTPUT, facts)
        lines[name].append((one["tokens_per_s_user"]["value"], one["usd_per_mtoken"]["value"]))

answer = deployment(MODEL, prompt=PROMPT, output=OUTPUT, asked=Deployment(compare=True))
for sentence in answer["verdict"]["text"]:
    print(sentence)

plot = line_plot(
    lines, title=f"{MODEL}: {PROMPT} tokens in, {OUTPUT} out", x_label="tokens per second of a user",
    y_label="$ per million tokens", log_x=True, log_y=True,
)  # fmt: skip
Path("llm_price.svg").write_text(plot)
