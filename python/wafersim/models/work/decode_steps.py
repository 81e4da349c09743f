"""The steps of a decode layer with exact widths, as its program has them; of latent attention, estimated."""

from __future__ import annotations

from wafersim.models.accounting.config import LatentAttention, Layer, ModelConfig
from wafersim.models.accounting.cost import kept_tokens
from wafersim.models.work.exact_plan import SQUARINGS, ExactPlan, exact_plan, mlp_plan
from wafersim.models.work.layout import share
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
    if isinstance(model.attention, LatentAttention):
        plan = mlp_plan(model, layer, mesh.width, mesh.height, batch)
        tokens = kept_tokens(layer, context)
        middle = latent(model.attention, plan.mesh, plan.dim, batch, tokens)
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


def latent(a: LatentAttention, mesh: Mesh, dim: int, batch: int, tokens: int) -> list[Step]:
    """Multi-head latent attention in absorbed form: scores and values on the latent vector itself.

    All heads' latent queries are made known along y; a column then holds a share of the latent vector
    for all heads, a row a share of the tokens, and the scores of a head stay in the columns that own it.
    """
    keys = share(max(1, tokens), mesh.height)
    latent_part = share(a.kv_rank, mesh.width)
    rope_part = share(a.rope_dim, mesh.width)
    q_rows = share(a.heads * (a.nope_dim + a.rope_dim), mesh.height)
    down = share((a.q_rank or 0) + a.kv_rank + a.rope_dim, mesh.width)
    own_heads = share(a.heads, mesh.width)
    query = (
        [
            product("q and kv down", dim, down, batch, "y", batch * down),
            vector("latent norm", 4 * batch, down, "x", 2 * batch),
            product("q up", share(a.q_rank, mesh.width), q_rows, batch, "x", batch * q_rows),
        ]
        if a.q_rank is not None
        else [product("q", dim, share(a.heads * (a.nope_dim + a.rope_dim), mesh.width), batch, "y",
                      batch * share(a.heads * (a.nope_dim + a.rope_dim), mesh.width))]
    )  # fmt: skip
    spread = batch * a.heads * (latent_part + rope_part)
    scores = batch * a.heads * keys
    return [
        *query,
        vector("rope", 6 * batch, rope_part * a.heads),
        product("absorb k", q_rows, latent_part, batch, "y", spread),
        product("score", a.heads * (latent_part + rope_part), keys, batch, "x", scores),
        *softmax(batch * own_heads, keys),
        product("latent out", a.heads * latent_part, keys, batch, "y", batch * a.heads * latent_part),
        product("absorb v", a.heads * latent_part, share(a.v_dim, mesh.height), batch, "x",
                batch * share(a.heads * a.v_dim, mesh.height)),
        product("o", share(a.heads * a.v_dim, mesh.height), share(dim * mesh.height, mesh.width), batch, "y",
                batch * share(dim * mesh.height, mesh.width)),
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
