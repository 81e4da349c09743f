"""A layer's matrices laid out over the PEs of a plan, and its output gathered from them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from wafersim.models.accounting.config import Attention, ModelConfig
from wafersim.models.decode.layer_code import MASKED
from wafersim.models.pieces.reference import FloatArray, LayerData
from wafersim.models.work.exact_plan import ExactPlan

Placed = dict[str, np.ndarray[Any, Any]]


class HeadColumns(Protocol):
    """How heads lie on columns of PEs; see `ExactPlan`."""

    @property
    def groups(self) -> int: ...
    @property
    def span(self) -> int: ...
    @property
    def part(self) -> int: ...


def place_layer(model: ModelConfig, plan: ExactPlan, data: LayerData, is_timing: bool = False) -> Placed:
    """Arrays ``[height, width, elements]`` by name; with `is_timing` of the experts that such runs hold."""
    return {
        "X": rows_of(plan, data.x),
        "W1": rows_of(plan, data.norm_1[None]),
        "W2": rows_of(plan, data.norm_2[None]),
        **_attention(model, plan, data),
        "mask": mask_of(plan),
        **place_mlp(plan, data, is_timing),
    }


def place_mlp(plan: ExactPlan, data: LayerData, is_timing: bool = False) -> Placed:
    """The arrays of the MLP, or of experts and their router."""
    if data.router is None:
        return _mlp(plan, data.gate[None], data.up[None], data.down[None], plan.ffn, ("Wgu", "Wd"))
    gate, up, down = (matrix[: plan.held(is_timing)] for matrix in (data.gate, data.up, data.down))
    out = _mlp(plan, gate, up, down, plan.ffn, ("Wgu", "Wd"))
    out["Wr"] = rows_of_matrix(plan, data.router)
    whole = (plan.mesh.height, plan.mesh.width, plan.experts)
    out["expert_number"] = np.broadcast_to(np.arange(plan.experts, dtype=np.int16), whole)
    out["fixed"] = np.broadcast_to(np.arange(plan.chosen, dtype=np.int16), (*whole[:2], plan.chosen))
    if data.shared is not None:
        gate, up, down = (matrix[None] for matrix in data.shared)
        out |= _mlp(plan, gate, up, down, plan.shared, ("Sgu", "Sd"))
    return out


def rows_of(plan: ExactPlan, vectors: FloatArray) -> np.ndarray[Any, Any]:
    """Vectors ``[n, hidden]`` cut along the rows of PEs, the same on all columns: ``[H, W, n dim]``."""
    n = len(vectors)
    padded = pad(vectors, 1, plan.dim * plan.mesh.height).reshape(n, plan.mesh.height, plan.dim)
    cut = padded.transpose(1, 0, 2).reshape(plan.mesh.height, 1, n * plan.dim)
    return np.broadcast_to(cut, (plan.mesh.height, plan.mesh.width, n * plan.dim)).astype(np.float16)


def rows_of_matrix(plan: ExactPlan, matrix: FloatArray) -> np.ndarray[Any, Any]:
    """A matrix ``[hidden, n]`` cut along the rows of PEs, the same on all columns."""
    padded = pad(matrix, 0, plan.dim * plan.mesh.height).reshape(plan.mesh.height, 1, -1)
    return np.broadcast_to(padded, (plan.mesh.height, plan.mesh.width, padded.shape[-1])).astype(np.float16)


def pad(values: FloatArray, axis: int, size: int) -> FloatArray:
    missing = [(0, size - n if i == axis else 0) for i, n in enumerate(values.shape)]
    return np.pad(values, missing)


def _attention(model: ModelConfig, plan: ExactPlan, data: LayerData) -> Placed:
    a, mesh, p = model.attention, plan.mesh, plan
    assert isinstance(a, Attention), "only grouped attention has a program"
    q = by_columns(plan, data.q.reshape(-1, a.heads, a.head_dim), p.q_heads, paired=True)
    k = by_columns(plan, data.k.reshape(-1, a.kv_heads, a.head_dim), p.kv_heads, paired=True)
    v = by_columns(plan, data.v.reshape(-1, a.kv_heads, a.head_dim), p.kv_heads)
    o = by_columns(plan, data.o.T.reshape(-1, a.heads, a.head_dim), p.q_heads)
    size = p.dim * mesh.height
    fused = np.concatenate([halves(q)[0], halves(k)[0], halves(q)[1], halves(k)[1], flat(v)], axis=-1)
    w_qkv = pad(fused, 1, size).reshape(mesh.width, mesh.height, p.dim, p.fused)
    w_o = pad(flat(o), 1, size).reshape(mesh.width, mesh.height, p.dim, p.q).transpose(0, 1, 3, 2)
    angles = np.stack([data.cos, data.sin])
    pairs = pad(angles, 1, p.span * p.part // 2).reshape(2, p.span, p.part // 2)
    tables = np.tile(np.tile(pairs, (1, p.groups, 1)), (1, 1, p.q_heads + p.kv_heads))
    batch, tokens = data.keys.shape[0], p.keys * mesh.height
    caches = {}
    for name, cache, is_paired in (("K", data.keys, True), ("V", data.values, False)):
        by_token = cache.transpose(0, 2, 1, 3).reshape(-1, a.kv_heads, a.head_dim)
        cut = by_columns(plan, by_token, p.kv_heads, paired=is_paired)
        shape = (mesh.width, batch, cache.shape[2], p.kv_heads, p.part)
        cells = pad(cut.reshape(shape), 2, tokens)
        cells = cells.reshape(mesh.width, batch, p.keys, mesh.height, p.kv_heads, p.part)
        if is_paired:  # evens, then odds, each over the places of its PE
            pairwise = cells.reshape(*cells.shape[:-1], p.part // 2, 2)
            cells = np.concatenate([pairwise[..., 0], pairwise[..., 1]], axis=-1).transpose(3, 0, 1, 4, 5, 2)
        else:
            cells = cells.transpose(3, 0, 1, 4, 2, 5)
        caches[name] = cells.reshape(mesh.height, mesh.width, -1).astype(np.float16)
    return {
        "Wqkv": w_qkv.transpose(1, 0, 2, 3).reshape(mesh.height, mesh.width, -1).astype(np.float16),
        "Wo": w_o.transpose(1, 0, 2, 3).reshape(mesh.height, mesh.width, -1).astype(np.float16),
        "cos": np.broadcast_to(tables[0], (mesh.height, *tables[0].shape)).astype(np.float16),
        "sin": np.broadcast_to(tables[1], (mesh.height, *tables[1].shape)).astype(np.float16),
        **caches,
    }


def by_columns(plan: HeadColumns, heads: FloatArray, per_group: int, paired: bool = False) -> FloatArray:
    """``[n, heads, head_dim]`` as ``[columns, n, heads of the group, elements]``; pairs side by side."""
    n, number, dim = heads.shape
    if paired:
        half = dim // 2
        heads = np.stack([heads[..., :half], heads[..., half:]], axis=-1).reshape(n, number, dim)
    heads = pad(pad(heads, 1, plan.groups * per_group), 2, plan.span * plan.part)
    cut = heads.reshape(n, plan.groups, per_group, plan.span, plan.part)
    return cut.transpose(1, 3, 0, 2, 4).reshape(plan.groups * plan.span, n, per_group, plan.part)


def halves(columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """First and second elements of the pairs, all heads of a column in a row."""
    pairs = columns.reshape(*columns.shape[:-1], -1, 2)
    return flat(pairs[..., 0]), flat(pairs[..., 1])


def flat(columns: FloatArray) -> FloatArray:
    return columns.reshape(*columns.shape[:2], -1)


def _mlp(
    plan: ExactPlan, gate: FloatArray, up: FloatArray, down: FloatArray, width: int, names: tuple[str, str]
) -> Placed:
    """Experts ``[E, hidden, width]`` (a dense MLP is one) as tiles of rows and columns."""
    mesh, number = plan.mesh, len(gate)
    rows, columns = plan.dim * mesh.height, width * mesh.width

    def cut(matrix: FloatArray) -> FloatArray:
        whole = pad(pad(matrix, 1, rows), 2, columns)
        return whole.reshape(number, mesh.height, plan.dim, mesh.width, width).transpose(1, 3, 0, 2, 4)

    both = np.concatenate([cut(gate), cut(up)], axis=-1)
    back = cut(down.transpose(0, 2, 1)).transpose(0, 1, 2, 4, 3)
    shape = (mesh.height, mesh.width, -1)
    return {
        names[0]: both.reshape(shape).astype(np.float16),
        names[1]: back.reshape(shape).astype(np.float16),
    }


def mask_of(plan: ExactPlan) -> np.ndarray[Any, Any]:
    """0 for a token's place, a low number for an empty one; token t lies on row t mod height."""
    place = np.arange(plan.keys)[None, :] * plan.mesh.height + np.arange(plan.mesh.height)[:, None]
    cells = np.where(place < plan.tokens, 0.0, MASKED)[:, None, :]
    return np.broadcast_to(cells, (plan.mesh.height, plan.mesh.width, plan.keys)).astype(np.float16)


def slots(plan: ExactPlan) -> np.ndarray[Any, Any]:
    """Place of the new token on the PEs of its row, -1 on all others."""
    last = plan.tokens - 1
    rows = np.where(np.arange(plan.mesh.height) == last % plan.mesh.height, last // plan.mesh.height, -1)
    return np.broadcast_to(rows[:, None], (plan.mesh.height, plan.mesh.width)).astype(np.int16)


def output_of(plan: ExactPlan, found: np.ndarray[Any, Any]) -> FloatArray:
    """The layer's output ``[batch, hidden]`` from array ``Z`` of one column of PEs ``[height, n]``."""
    cut = found.astype(np.float64).reshape(plan.mesh.height, plan.batch, plan.dim)
    return cut.transpose(1, 0, 2).reshape(plan.batch, -1)[:, : plan.hidden]
