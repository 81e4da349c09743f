"""Random runs of every library kernel, small enough to simulate in about a tenth of a second."""

from __future__ import annotations

import json
import random

#: seed of the runs that costs were fitted to (tools/fit_estimates.py)
FIT_SEED = 7

#: kernels whose program needs a grid of one shape, or of one PE
ARCHS = ("wse2", "wse2", "wse2", "wse2-sdk", "wse3", "wse3-sdk")

#: constants that a changed arch changes, with what it may be
CHANGES = {
    "hop_cycles": (1, 2, 3, 5),
    "ramp_out_cycles": (1, 2, 4, 8),
    "ramp_in_cycles": (1, 2, 4, 8),
    "cost_fp": (1, 2, 4),
    "cost_jump": (1, 4, 8),
    "cost_loop_back": (1, 5, 9),
    "cost_call": (1, 6, 12),
    "task_start_cycles": (0, 3, 10),
    "task_end_cycles": (1, 5),
    "vector_raw_cycles": (1, 3, 6),
    "vector_drain_cycles": (1, 3, 6),
    "map_call_cycles": (1, 6, 12),
    "link_buffer": (2, 4, 8),
    "read_bytes_per_cycle": (4, 8, 16),
}


def _one_of(rng, values):
    return values[rng.randrange(len(values))]


def _size(rng, low, high):
    """Whole numbers, small ones as likely as large ones."""
    return max(low, min(high, round(low * (high / low) ** rng.random())))


def _line(rng, most=16):
    n = rng.randrange(2, most + 1)
    return _one_of(rng, (f"{n}x1", f"1x{n}"))


def _rect(rng, most=9, least=2):
    return f"{rng.randrange(least, most + 1)}x{rng.randrange(least, most + 1)}"


def _square(rng, most=8, least=2):
    n = rng.randrange(least, most + 1)
    return f"{n}x{n}"


def _collective(rng, algorithms, words):
    grid = _one_of(rng, (_line(rng), _rect(rng)))
    params = {"words": _size(rng, 1, words)}
    if algorithms:
        params["algorithm"] = _one_of(rng, algorithms)
    if "1" not in grid.split("x"):
        params["axis"] = _one_of(rng, ("x", "y", "xy"))
    return grid, params


def _reduce(rng):
    grid, params = _collective(rng, ("chain", "star", "tree", "two_phase", "snake", "auto"), 800)
    return grid, params | {"dtype": _one_of(rng, ("f32", "f32", "f16")), "op": _one_of(rng, ("add", "max"))}


def _allreduce(rng):
    kinds = ("chain", "star", "tree", "two_phase", "ring", "ktree", "snake", "auto")
    grid, params = _collective(rng, kinds, 500)
    return grid, params | {"dtype": _one_of(rng, ("f32", "f32", "f16")), "calls": _one_of(rng, (1, 1, 2))}


def _alltoall(rng):
    return _line(rng, 10), {"words": _size(rng, 1, 60), "schedule": _one_of(rng, ("serial", "overlap"))}


def _gemm(rng):
    kind = _one_of(rng, ("summa", "summa", "mesh", "mesh_t", "systolic"))
    params = {"algorithm": kind, "dtype": _one_of(rng, ("f32", "f32", "f16"))}
    if rng.random() < 0.5:
        params["tile"] = rng.randrange(2, 13)
    else:
        params |= {side: 2 * rng.randrange(1, 7) for side in ("mt", "kt", "nt")}
    if kind == "mesh":
        params |= {"products": _one_of(rng, (0, 1, 1, 2)), "schedule": _one_of(rng, ("overlap", "serial"))}
        params |= {"repeats": _one_of(rng, (1, 1, 2))}
    if kind == "systolic":
        params |= {"beats": rng.randrange(1, 9)}
    return _square(rng, 6), params


def _gemv(rng):
    params = {"algorithm": _one_of(rng, ("checkerboard", "collectives", "mesh"))}
    params |= {"rows": _size(rng, 2, 60), "cols": _size(rng, 2, 60), "dtype": _one_of(rng, ("f32", "f16"))}
    return _one_of(rng, (_square(rng), _rect(rng))), params


def _local_gemm(rng):
    sizes = {name: _size(rng, 2, 40) for name in ("rows", "inner", "columns")}
    return _rect(rng, 3, 1), sizes | {"dtype": _one_of(rng, ("f32", "f16"))}


def _stencil(rng):
    kind = _one_of(rng, ("cell", "tiled", "tiled", "column"))
    params = {"variant": kind, "iterations": _size(rng, 1, 12)}
    if kind == "tiled":
        params |= {"tile": f"{rng.randrange(2, 12)}x{rng.randrange(2, 12)}", "radius": rng.randrange(1, 3)}
    if kind == "column":
        params |= {"depth": _size(rng, 3, 120), "radius": rng.randrange(1, 4)}
    return _rect(rng, 7, 3), params


def _microbench(rng):
    kinds = ("copy", "add", "mul", "fma", "reduce", "dot", "branch_taken", "branch_not_taken", "dependent_fp",
             "loop_back", "load_op_store", "dsr_load_use", "vector_completion", "vector_dispatch", "two_ops")  # fmt: skip
    params = {"case": _one_of(rng, kinds), "length": _size(rng, 16, 2000), "phase": 2 * rng.randrange(8)}
    return "1x1", params | {"dtype": _one_of(rng, ("f32", "f16")), "stride": rng.randrange(1, 4)}


def _fft(rng):
    n = _one_of(rng, (4, 8, 8, 16, 16, 32))
    part = _one_of(rng, ("all", "rows", "columns"))
    sides = [2**k for k in range(1, 5) if 2**k <= n]
    w, h = _one_of(rng, sides), _one_of(rng, sides)
    if part == "all" and n == 32:
        n = 16
        w, h = min(w, n), min(h, n)
    grid = {"all": f"{w}x{h}", "rows": f"{w}x1", "columns": f"1x{h}"}[part]
    return grid, {"n": n, "part": part, "inverse": bool(rng.randrange(2))} | (
        {} if part == "all" else {"pencils": rng.randrange(1, 5)}
    )


def _spmv(rng):
    depth = _size(rng, 2, 150)
    return _rect(rng, 8, 2), {"depth": depth, "block": rng.randrange(1, min(depth, 20) + 1)}


def _spmm(rng):
    params = {
        "format": _one_of(rng, ("coo", "csr", "csc", "ell")),
        "permille": _one_of(rng, (50, 100, 200, 400)),
    }
    return _rect(rng, 5), params | {
        "rows": _size(rng, 4, 32), "cols": _size(rng, 4, 24), "wide": _size(rng, 2, 20),
    }  # fmt: skip


def _solver(rng):
    depth = _size(rng, 2, 30)
    params = {
        "depth": depth,
        "block": rng.randrange(1, min(depth, 10) + 1),
        "iterations": rng.randrange(1, 4),
    }
    params |= {"allreduce": _one_of(rng, ("turns", "chain", "star", "tree", "two_phase"))}
    params |= {"dot": _one_of(rng, ("vector", "map")), "stop": "iterations"}
    return _rect(rng, 4, 2), params


def _decode(rng, models=("small", "small-mha", "small-moe")):
    params = {"model": _one_of(rng, models), "context": 8 * rng.randrange(1, 13)}
    return _one_of(rng, ("4x2", "2x4", "4x4", "4x4")), params | {"batch": rng.randrange(1, 3)}


def _prefill(rng, models=("tiny", "tiny", "tiny", "small", "small-mha", "small-moe")):
    params = {"model": _one_of(rng, models), "prompt": _size(rng, 1, 24)}
    if rng.random() < 0.75:
        return _one_of(rng, ("2x2", "2x2", "2x2", "3x3", "3x2", "4x4")), params
    part = _one_of(rng, ("whole", "products", "local"))
    grid = (
        f"{rng.randrange(3, 10)}x{rng.randrange(1, 3)}" if part == "local" else _one_of(rng, ("3x3", "4x4"))
    )
    return grid, params | {"variant": "published", "part": part, "side": _one_of(rng, (0, 4, 8))}


#: kernels that run a model, and those whose small programs take long to build
LAYERS = ("llm_decode_layer", "llm_prefill_layer")


def new_models(folder, rng, count=12):
    """Configs of models that no cost was fitted to; their paths."""
    paths = []
    for number in range(count):
        kv, ratio = _one_of(rng, (1, 2, 3, 4)), _one_of(rng, (1, 2, 4))
        config = {
            "model_type": "llama", "hidden_size": 8 * rng.randrange(2, 13), "num_hidden_layers": 1,
            "intermediate_size": 4 * rng.randrange(4, 33), "num_attention_heads": kv * ratio,
            "num_key_value_heads": kv, "head_dim": 4 * rng.randrange(1, 6), "vocab_size": 64,
        }  # fmt: skip
        if number % 4 == 3:
            experts = {"num_local_experts": rng.randrange(3, 6), "num_experts_per_tok": 2}
            config |= {"model_type": "mixtral"} | experts
        paths.append(str(folder / f"model_{number}.json"))
        (folder / f"model_{number}.json").write_text(json.dumps(config))
    return tuple(paths)


KERNELS = {
    "broadcast": lambda rng: (_one_of(rng, (_line(rng), _rect(rng))), {"words": _size(rng, 1, 1500)}),
    "reduce": _reduce,
    "allreduce": _allreduce,
    "gather": lambda rng: _collective(rng, (), 80),
    "scatter": lambda rng: _collective(rng, (), 80),
    "alltoall": _alltoall,
    "barrier": lambda rng: (_rect(rng), {"algorithm": _one_of(rng, ("chain", "star", "tree", "two_phase", "auto")),
                                         "skew": _size(rng, 1, 400), "calls": rng.randrange(1, 4)}),
    "relay": lambda rng: (f"{rng.randrange(3, 16)}x1", {"words": _size(rng, 1, 1500)}),
    "gemm": _gemm,
    "gemv": _gemv,
    "local_gemm": _local_gemm,
    "stencil": _stencil,
    "microbench": _microbench,
    "fft": _fft,
    "spmv": _spmv,
    "spmm": _spmm,
    "cg": _solver,
    "pcg": _solver,
    "bicgstab": _solver,
    "power": _solver,
    "llm_decode_layer": _decode,
    "llm_prefill_layer": _prefill,
}  # fmt: skip


def request(kernel, rng, models=()):
    """A run request; some of the grids and parameters are none that the kernel takes.

    ``models`` are for layers, in place of those of the package.
    """
    grid, params = KERNELS[kernel](rng, models) if models and kernel in LAYERS else KERNELS[kernel](rng)
    arch = _one_of(rng, ARCHS)
    if rng.random() < 0.25:
        changed = rng.sample(sorted(CHANGES), rng.randrange(1, 5))
        arch = {"from": arch} | {name: _one_of(rng, CHANGES[name]) for name in changed}
    return {"kernel": kernel, "arch": arch, "grid": grid, "params": params}


def requests(kernel, count, seed=0):
    """An endless stream would do; this is its beginning."""
    rng = random.Random(f"{kernel} {seed}")
    return [request(kernel, rng) for _ in range(count)]
