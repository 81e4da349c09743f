"""The matrices of a layer with latent attention laid out over the PEs of its plan."""

from __future__ import annotations

from typing import Any

import numpy as np

from wafersim.models.accounting.config import LatentAttention, ModelConfig
from wafersim.models.decode.exact_data import Placed, mask_of, pad, place_mlp, rows_of
from wafersim.models.pieces.latent_reference import LatentData
from wafersim.models.pieces.reference import FloatArray
from wafersim.models.work.latent_plan import LatentPlan


def place_latent(model: ModelConfig, plan: LatentPlan, data: LatentData, is_timing: bool = False) -> Placed:
    """Arrays ``[height, width, elements]`` by name; see `place_layer`."""
    a, d, p = model.attention, data.layer, plan
    assert isinstance(a, LatentAttention), "only latent attention has these matrices"
    hidden = np.eye(model.hidden)
    q_down = hidden if data.q_down is None else data.q_down
    latent, rotated = data.kv_down[:, : a.kv_rank], data.kv_down[:, a.kv_rank :]
    down = _side_by_side(plan, q_down, latent, rotated)
    q_norm = np.ones(model.hidden) if data.q_norm is None else data.q_norm
    norms = np.concatenate(
        [_columns(plan, q_norm[None], p.down), _columns(plan, data.kv_norm[None], p.latent)], axis=-1
    )
    angles = _columns(plan, np.stack([d.cos, d.sin]), p.pairs)
    return {
        "X": rows_of(plan, d.x),
        "W1": rows_of(plan, d.norm_1[None]),
        "W2": rows_of(plan, d.norm_2[None]),
        "Wdown": _tiles(plan, down, p.dim),
        "Wlat": _everywhere(plan, norms[:, 0]),
        "Wup": _grid(plan, _columns(plan, d.q.T, p.down), p.up),
        "Wabsorb": _tiles(plan, _absorbed(a, plan, d.k), p.up),
        "cos": _everywhere(plan, angles[:, 0]),
        "sin": _everywhere(plan, angles[:, 1]),
        "K": _cache(plan, data),
        "mask": mask_of(plan),
        "Wv": _grid(plan, _columns(plan, d.v.T, p.latent), p.v),
        "Wo": _tiles(plan, _columns(plan, d.o, p.out), p.v),
        "turn": _grid(plan, _columns(plan, hidden, p.out), p.dim),
        "up_head": _heads(plan, a.heads, a.nope_dim + a.rope_dim, p.up),
        "v_head": _heads(plan, a.heads, a.v_dim, p.v),
        **place_mlp(plan, d, is_timing),
    }


def first_heads(plan: LatentPlan) -> np.ndarray[Any, Any]:
    """The first of the heads whose softmax a column makes."""
    first = np.arange(plan.mesh.width) * plan.q_heads
    return np.broadcast_to(first[None, :], (plan.mesh.height, plan.mesh.width)).astype(np.int16)


def _columns(plan: LatentPlan, matrix: FloatArray, share: int) -> FloatArray:
    """``[n, m]`` cut along its columns over those of PEs: ``[W, n, share]``."""
    padded = pad(matrix, 1, plan.mesh.width * share)
    return padded.reshape(len(matrix), plan.mesh.width, share).transpose(1, 0, 2)


def _paired(plan: LatentPlan, matrix: FloatArray) -> FloatArray:
    """Rotated elements ``[n, rope]``, halves against each other; a column's firsts of pairs first."""
    half = matrix.shape[1] // 2
    parts = (_columns(plan, matrix[:, :half], plan.pairs), _columns(plan, matrix[:, half:], plan.pairs))
    return np.concatenate(parts, axis=-1)


def _side_by_side(
    plan: LatentPlan, q_down: FloatArray, latent: FloatArray, rotated: FloatArray
) -> FloatArray:
    parts = (_columns(plan, q_down, plan.down), _columns(plan, latent, plan.latent), _paired(plan, rotated))
    return np.concatenate(parts, axis=-1)


def _absorbed(a: LatentAttention, plan: LatentPlan, k: FloatArray) -> FloatArray:
    """From all heads' queries to latent vector and rotated part: ``[W, heads (nope + rope), cell]``."""
    nope = k.reshape(a.kv_rank, a.heads, a.nope_dim).transpose(1, 2, 0)
    to_latent = np.concatenate([nope, np.zeros((a.heads, a.rope_dim, a.kv_rank))], axis=1)
    ones = np.concatenate([np.zeros((a.nope_dim, a.rope_dim)), np.eye(a.rope_dim)])
    to_rotated = np.broadcast_to(ones, (a.heads, *ones.shape)).reshape(-1, a.rope_dim)
    parts = (
        _columns(plan, to_latent.reshape(-1, a.kv_rank), plan.latent),
        _paired(plan, to_rotated),
    )
    return np.concatenate(parts, axis=-1)


def _tiles(plan: LatentPlan, columns: FloatArray, share: int) -> np.ndarray[Any, Any]:
    """``[W, n, m]`` cut along n over the rows of PEs: ``[H, W, share m]``."""
    padded = pad(columns, 1, plan.mesh.height * share)
    cut = padded.reshape(plan.mesh.width, plan.mesh.height, -1).transpose(1, 0, 2)
    return np.ascontiguousarray(cut).astype(np.float16)


def _grid(plan: LatentPlan, columns: FloatArray, share: int) -> np.ndarray[Any, Any]:
    """``[W, n, m]`` (m on the PE) cut along n over the rows of PEs and turned: ``[H, W, m share]``."""
    padded = pad(columns, 1, plan.mesh.height * share)
    cut = padded.reshape(plan.mesh.width, plan.mesh.height, share, -1).transpose(1, 0, 3, 2)
    return cut.reshape(plan.mesh.height, plan.mesh.width, -1).astype(np.float16)


def _everywhere(plan: LatentPlan, columns: FloatArray) -> np.ndarray[Any, Any]:
    """``[W, n]``, the same on all rows."""
    return np.broadcast_to(columns, (plan.mesh.height, *columns.shape)).astype(np.float16)


def _heads(plan: LatentPlan, heads: int, width: int, share: int) -> np.ndarray[Any, Any]:
    """The head of every element that a row of PEs holds; places behind the last count as head 0."""
    every = np.repeat(np.arange(heads), width)
    padded = np.pad(every, (0, plan.mesh.height * share - len(every))).reshape(plan.mesh.height, 1, share)
    return np.broadcast_to(padded, (plan.mesh.height, plan.mesh.width, share)).astype(np.int16)


def _cache(plan: LatentPlan, data: LatentData) -> np.ndarray[Any, Any]:
    """Latent vectors and rotated parts; token t lies on row t mod height."""
    batch, _, tokens, _ = data.layer.keys.shape
    flat = [cache.reshape(batch * tokens, -1) for cache in (data.layer.keys, data.layer.values)]
    cells = np.concatenate([_columns(plan, flat[0], plan.latent), _paired(plan, flat[1])], axis=-1)
    mesh = plan.mesh
    cells = pad(cells.reshape(mesh.width, batch, tokens, plan.cell), 2, plan.keys * mesh.height)
    cells = cells.reshape(mesh.width, batch, plan.keys, mesh.height, plan.cell).transpose(3, 0, 1, 2, 4)
    return cells.reshape(mesh.height, mesh.width, -1).astype(np.float16)
