"""The matrices of a prefill layer laid out over a square of PEs, and its results gathered from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.kernels.matrix import interleave
from wafersim.kernels.matrix.gemm_matrices import tiles_of
from wafersim.kernels.matrix.gemm_mesh import skewed
from wafersim.models.accounting.config import Attention, ModelConfig
from wafersim.models.decode.exact_data import Placed, by_columns, flat, halves, pad
from wafersim.models.pieces.reference import FloatArray, LayerData
from wafersim.models.prefill.attention import MASKED
from wafersim.models.work.prefill_plan import PrefillPlan

IntArray = np.ndarray[Any, np.dtype[np.int64]]


def place_prefill(model: ModelConfig, plan: PrefillPlan, data: LayerData) -> Placed:
    """Arrays ``[side, side, elements]`` by name; tiles of weights as a MeshGEMM wants them at its start."""
    side, d = plan.side, plan.dim
    norms = {
        name: np.broadcast_to(pad(weights[None], 1, side * d).reshape(1, side, d), (side, side, d))
        for name, weights in (("W1", data.norm_1), ("W2", data.norm_2))
    }
    out = {"X": left(plan, data.x, d), **norms, **_attention(model, plan, data), **_mlp(plan, data)}
    kept = {name: values for name, values in out.items() if values.dtype == np.int16}
    return {name: values.astype(np.float16) for name, values in out.items()} | kept


def left(plan: PrefillPlan, matrix: FloatArray, columns: int) -> np.ndarray[Any, Any]:
    """A matrix ``[tokens, n]`` as column-major tiles."""
    side = plan.side
    whole = pad(pad(matrix, 0, side * plan.seq), 1, side * columns)
    return np.asarray(tiles_of(whole, side, plan.seq, columns))


def right(plan: PrefillPlan, matrix: FloatArray, rows: int, columns: int) -> np.ndarray[Any, Any]:
    """Weights ``[m, n]`` as row-major tiles, skewed."""
    side = plan.side
    whole = pad(pad(matrix, 0, side * rows), 1, side * columns)
    return np.asarray(skewed(tiles_of(whole, side, rows, columns, row_major=True)))


def _attention(model: ModelConfig, plan: PrefillPlan, data: LayerData) -> Placed:
    a, p, side = model.attention, plan, plan.side
    assert isinstance(a, Attention), "only grouped attention has a program"
    q = by_columns(plan, data.q.reshape(-1, a.heads, a.head_dim), p.q_heads, paired=True)
    k = by_columns(plan, data.k.reshape(-1, a.kv_heads, a.head_dim), p.kv_heads, paired=True)
    v = by_columns(plan, data.v.reshape(-1, a.kv_heads, a.head_dim), p.kv_heads)
    o = by_columns(plan, data.o.T.reshape(-1, a.heads, a.head_dim), p.q_heads)
    fused = np.concatenate([halves(q)[0], halves(k)[0], halves(q)[1], halves(k)[1], flat(v)], axis=-1)
    out = flat(o).transpose(0, 2, 1).reshape(side * p.q, -1)  # rows in the order of the columns of att
    return {
        "Wqkv": right(plan, fused.transpose(1, 0, 2).reshape(-1, side * p.fused), p.dim, p.fused),
        "Wo": right(plan, out, p.q, p.dim),
        **_tables(plan, data),
        "mask": _mask(plan),
    }


def _tables(plan: PrefillPlan, data: LayerData) -> Placed:
    """Cosines and sines ``[side, side, pairs seq]`` of the pairs on a PE and the tokens of its row."""
    p, pairs = plan, plan.part // 2
    found = {}
    for name, table in (("cos", data.cos), ("sin", data.sin)):
        whole = pad(pad(table[:, 0], 0, p.side * p.seq), 1, p.span * pairs)
        cut = whole.reshape(p.side, p.seq, p.span, pairs).transpose(0, 2, 3, 1)
        found[name] = np.tile(cut.reshape(p.side, p.span, -1), (1, p.groups, 1))
    return found


def places(plan: PrefillPlan) -> dict[str, np.ndarray[Any, Any]]:
    """Parameters ``[side, side]``: the column of a PE in its group, and its first block of keys."""
    side = plan.side
    at = np.array([interleave.position(y, side) for y in range(side)])
    shape = (side, side)
    return {
        "own_column": np.broadcast_to(np.arange(side) % plan.span, shape).astype(np.int16),
        "first_column": np.broadcast_to((at % plan.span)[:, None], shape).astype(np.int16),
        "first_block": np.broadcast_to((at // plan.span)[:, None], shape).astype(np.int16),
    }


def _mask(plan: PrefillPlan) -> FloatArray:
    """0 where a token attends to a key, a low number elsewhere: ``[side, side, blocks seq seq]``."""
    p, side = plan, plan.side
    ring = np.arange(p.blocks)[None, :] * p.span + np.arange(p.span)[:, None]
    rows = np.vectorize(lambda q: interleave.physical(int(q), side))(ring)
    keys = rows[..., None] * p.seq + np.arange(p.seq)  # [span, blocks, seq]
    tokens = (np.arange(side)[:, None] * p.seq + np.arange(p.seq))[:, None, None, None, :]
    is_seen = attends(tokens, keys[None, ..., None], p.window)
    cells = np.where(is_seen, 0.0, MASKED).reshape(side, p.span, -1)
    return np.tile(cells, (1, p.groups, 1))


def attends(tokens: IntArray, keys: IntArray, window: int | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether tokens attend to keys, by their numbers: none that follows, none beyond a window."""
    past = tokens - keys
    return (past >= 0) & (past < (window if window is not None else np.inf))


def _mlp(plan: PrefillPlan, data: LayerData) -> Placed:
    p = plan
    if data.router is None:
        gate_up, down = _expert(plan, data.gate, data.up, data.down, p.ffn)
        return {"Wgu": gate_up, "Wd": down}
    each = [_expert(plan, *matrices, p.ffn) for matrices in zip(data.gate, data.up, data.down, strict=True)]
    routers = pad(data.router, 0, p.side * p.dim).reshape(1, p.side, -1)
    found = {
        "all_Wgu": np.concatenate([one[0] for one in each], axis=-1),
        "all_Wd": np.concatenate([one[1] for one in each], axis=-1),
        "Wr": np.broadcast_to(routers, (p.side, p.side, routers.shape[-1])),
        "expert_number": np.broadcast_to(np.arange(p.experts, dtype=np.int16), (p.side, p.side, p.experts)),
    }
    if data.shared is not None:
        found["Sgu"], found["Sd"] = _expert(plan, *data.shared, p.shared)
    return found


def _expert(
    plan: PrefillPlan, gate: FloatArray, up: FloatArray, down: FloatArray, width: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Tiles of gate and up side by side, and of down."""
    both = np.stack([pad(matrix, 1, plan.side * width) for matrix in (gate, up)], axis=1)
    both = both.reshape(len(gate), 2, plan.side, width).transpose(0, 2, 1, 3).reshape(len(gate), -1)
    return right(plan, both, plan.dim, 2 * width), right(plan, down, width, plan.dim)


def rows_from(plan: PrefillPlan, found: np.ndarray[Any, Any], columns: int) -> FloatArray:
    """A matrix ``[tokens, side columns]`` from column-major tiles ``[side, side, elements]``."""
    p = plan
    cut = found.astype(np.float64).reshape(p.side, p.side, columns, p.seq).transpose(0, 3, 1, 2)
    return cut.reshape(p.side * p.seq, p.side * columns)[: p.tokens]


def caches_of(plan: PrefillPlan, keys: FloatArray, values: FloatArray) -> Placed:
    """Keys and values ``[tokens, heads, head_dim]`` as the arrays ``K`` and ``V`` of all PEs."""
    p, size = plan, plan.side * plan.seq
    k = pad(by_columns(plan, keys, p.kv_heads, paired=True), 1, size)
    v = pad(by_columns(plan, values, p.kv_heads), 1, size)
    k = k.reshape(p.side, p.side, p.seq, p.kv_heads, p.part // 2, 2).transpose(1, 0, 3, 5, 4, 2)
    v = v.reshape(p.side, p.side, p.seq, p.kv_heads, p.part).transpose(1, 0, 3, 2, 4)
    return {"K": k.reshape(p.side, p.side, -1), "V": v.reshape(p.side, p.side, -1)}
