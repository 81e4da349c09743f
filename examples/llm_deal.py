"""What do 750 megawatts buy?

The published figures of the agreement, what they imply per watt and per system, and the tokens that such a
site makes with one model or another.
"""

from pathlib import Path

from wafersim.deploy.ask import Deployment, deployment
from wafersim.deploy.cost import deal
from wafersim.deploy.plot import line_plot

implied = deal()
per_w = implied["usd_per_w"]
print(f"{per_w['low']:.1f} to {per_w['high']:.1f} $ a watt of site power")
for years, systems in implied["systems"].items():
    print(
        f"rented for {years:g} years: {systems:,.0f} systems, "
        f"{implied['site_w_per_system'][years] / 1e3:.0f} kW of the site each"
    )
print(f"by power alone: {implied['systems_by_power']:,.0f} systems")
for name, fact in implied["facts"].items():
    print(f"  {name}: {fact['value']:g} {fact['unit']} ({fact['confidence']}: {fact['source']})")

lines, bands = {}, {}
for model in ("llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b"):
    lines[model], bands[model] = [], []
    for users in (1, 8, 32):
        asked = Deployment(budget_w=750e6)
        found = deployment(model, users=users, prompt=1024, output=1024, asked=asked)
        rate, copies = found["budget"]["tokens_per_s"], found["budget"]["copies"]
        lines[model].append((users, rate["value"]))
        bands[model].append((users, rate["low"], rate["high"]))
        print(f"{model}, {users} users a copy: {copies['value']:,.0f} copies, {rate['value']:.3g} tokens/s")

plot = line_plot(
    lines, bands=bands, title="750 MW of wafers", x_label="users of a copy", y_label="tokens per second",
    log_x=True, log_y=True,
)  # fmt: skip
Path("llm_deal.svg").write_text(plot)
