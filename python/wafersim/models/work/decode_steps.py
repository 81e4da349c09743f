"""The steps of a decode layer with exact widths, as its program has them."""

from __future__ import annotations

from wafersim.models.accounting.config import LatentAttention, Layer, ModelConfig
from wafersim.models.work.exact_plan import SQUARINGS, ExactPlan, exact_plan
from wafersim.models.work.latent_plan import LatentPlan, latent_plan
from wafersim.models.work.mesh import Mesh
from wafersim.models.work.steps import Step, product, vector

#: vector ops of the activation: to fp32, an exponential, a reciprocal by three steps of Newton, back
ACTIVATION_OPS = SQUARINGS + 19


def decode_steps(model: ModelConfig, layer: Layer, mesh: Mesh, batch: int, context: int) -> list[Step]:
    """A layer for `batch` sequences that each attend to `context` tokens."""
    return placed_steps(model, layer, mesh, batch, context)[0]


def placed_steps(
    model: ModelConfig, layer: Layer, mesh: Mesh, batch: int, context: int
) -> tuple[list[Step], Mesh]:
    """The same, and the part of the mesh that it uses, with its all-reduces."""
    plan: ExactPlan
    if isinstance(model.attention, LatentAttention):
        own = latent_plan(model, layer, mesh.width, mesh.height, batch, context)
        plan, middle = own, latent(own)
    else:
        plan = exact_plan(model, layer, mesh.width, mesh.height, batch, context)
        middle = grouped(plan)
    steps = [
        *norm("norm", plan),
        *middle,
        vector("residual", 1, batch * plan.dim),
        *norm("norm 2", plan),
        *mlp(plan),
        vector("residual 2", 1, batch * plan.dim),
        *extra_norms(model, plan),
    ]
    return steps, plan.mesh


def norm(name: str, plan: ExactPlan) -> list[Step]:
    """RMSNorm of a vector along y: squares and their sum in fp32, all-reduce, scaling."""
    b, d = plan.batch, plan.dim
    return [
        Step(name, ops=3 * b, singles=2 * b * d, serial=b * d, axis="y", reduced=2 * b),
        vector(f"{name} scale", 2 * b, d, scalars=b),
    ]


def extra_norms(model: ModelConfig, plan: ExactPlan) -> list[Step]:
    """Norms after attention and after the MLP, where a model has four of them."""
    number = model.norm_weights // model.hidden - 2 if model.gated_mlp else 0
    return [step for i in range(max(0, number)) for step in norm(f"norm {i + 3}", plan)]


def grouped(p: ExactPlan) -> list[Step]:
    """Queries, keys and values in one product; scores within the columns of a group of heads."""
    b, scores = p.batch, p.rows * p.keys
    axis = "x" if p.groups == 1 else "group"
    return [
        Step("clear qkv", ops=1, elements=b * p.fused),
        product("qkv", p.dim, p.fused, b, "y", b * p.fused),
        vector("rope", 6 * b, (p.q + p.kv) // 2),
        Step("append", ops=3 * b * p.kv_heads, elements=2 * b * p.kv),
        Step("clear score", ops=1, elements=scores),
        product("score", p.q, p.keys, b, axis, scores, p.span, calls=2 * p.q_heads),
        vector("scale and mask", 1, scores),
        *softmax(p.rows, p.keys),
        Step("clear out", ops=1, elements=b * p.q),
        product("out", p.q_heads * p.keys, p.part, b, "y", b * p.q, calls=p.q_heads),
        vector("divide", p.rows, p.part, scalars=p.rows),
        Step("clear o", ops=1, elements=b * p.dim),
        product("o", p.q, p.dim, b, "x", b * p.dim),
    ]


def softmax(rows: int, keys: int) -> list[Step]:
    """Maximum and sum along y of `rows` rows of `keys` scores."""
    plain = SQUARINGS + 4
    return [
        vector("max", rows, keys, "y", rows, sums=rows),
        Step("exp and sum", ops=plain + 2 * rows, singles=(plain + 1) * rows * keys,
             serial=rows * keys, scalars=rows, axis="y", reduced=2 * rows),
    ]  # fmt: skip


def latent(p: LatentPlan) -> list[Step]:
    """Latent attention in absorbed form, scores and values on the latent vector itself.

    All heads' queries of the latent vector are made known along y, scores are summed along x, every column
    makes the softmax of its own heads and tells the row; `turn` lays the output along y.
    """
    b, every = p.batch, p.keys * p.heads
    normed = sum(length for _, length, _ in p.normed)
    parts = b * len(p.normed)
    return [
        Step("clear down", ops=1, elements=b * p.fused),
        product("down", p.dim, p.fused, b, "y", b * p.fused),
        Step("latent norm", ops=3 * parts, singles=2 * b * normed, serial=b * normed, axis="x",
             reduced=2 * parts),
        Step("latent scale", ops=2 * parts, elements=2 * b * normed, scalars=parts),
        Step("clear queries", ops=1, elements=b * p.up),
        product("queries up", p.down, p.up, b, "x", b * p.up),
        Step("clear absorbed", ops=1, elements=b * p.cell * p.heads),
        product("absorb keys", p.up, p.cell, b, "y", b * p.cell * p.heads, calls=p.up),
        vector("rope of queries", 6 * b * p.pairs, p.heads, scalars=2 * b * p.pairs),
        vector("rope of the key", 6 * b, p.pairs),
        Step("append", ops=b, elements=b * p.cell),
        Step("clear score", ops=1, elements=b * every),
        product("score", p.keys * p.cell, p.heads, b, "x", b * every, calls=p.keys),
        vector("own scores", b, p.q_heads * p.keys),
        vector("scale and mask", 1, p.rows * p.keys),
        *softmax(p.rows, p.keys),
        vector("divide", p.rows, p.keys, scalars=p.rows),
        Step("tell", ops=1 + b, elements=b * every + p.rows * p.keys, axis="x", reduced=b * every),
        Step("clear latent out", ops=1, elements=b * p.latent * p.heads),
        product("latent out", p.latent * p.keys, p.heads, b, "y", b * p.latent * p.heads, calls=p.latent),
        Step("absorb values", ops=1 + 2 * b * p.latent, elements=b * p.v + 2 * b * p.latent * p.v,
             scalars=b * p.latent * p.v, axis="x", reduced=b * p.v),
        Step("clear o", ops=1, elements=b * p.out),
        product("o", p.v, p.out, b, "y", b * p.out),
        Step("clear turned", ops=1, elements=b * p.dim),
        product("turn", p.out, p.dim, b, "x", b * p.dim),
    ]  # fmt: skip


def mlp(p: ExactPlan) -> list[Step]:
    """Gate and up in one product, activation, down; a router and the chosen experts before, if any."""
    b, paths = p.batch, p.paths
    route = (
        []
        if not p.experts
        else [
            Step("clear router", ops=1, elements=b * p.experts),
            product("router", p.dim, p.experts, b, "y", b * p.experts),
            Step(
                "choose",
                ops=b * (2 + p.chosen),
                singles=2 * b * p.experts,
                serial=b * p.chosen * p.experts,
                scalars=4 * b * p.chosen,
            ),
        ]
    )
    shared = [] if not p.shared else [product("shared up and gate", p.dim, 2 * p.shared, b)]
    shared_down = [] if not p.shared else [product("shared down", p.shared, p.dim, b)]
    weigh = [] if not p.experts else [vector("weigh", b * paths, p.ffn)]
    number = 2 if p.shared else 1
    return [
        *route,
        Step("clear up", ops=1, elements=p.wide),
        *shared,
        product("up and gate", p.dim * paths, 2 * p.ffn, b, "y", p.wide, calls=paths),
        Step("activation", ops=number * ACTIVATION_OPS, elements=p.wide // 2,
             singles=(ACTIVATION_OPS - 1) * p.wide // 2),
        *weigh,
        Step("clear down", ops=1, elements=b * p.dim),
        *shared_down,
        product("down", p.ffn * paths, p.dim, b, "x", b * p.dim, calls=paths),
    ]  # fmt: skip
