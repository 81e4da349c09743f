"""The vector cases of the micro-benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.kernels.base import KernelRun, Launch
from wafersim.kernels.timing import read_stamps, stamp_array

if TYPE_CHECKING:
    from wafersim.arch import Arch
    from wafersim.program import Layout

DTYPES = ("f16", "f32", "i16")
#: Ops per loop, and the factor of multiply-adds (a small power of two keeps values exact).
REPEATS = 8
FACTOR = 0.5
_NUMPY = {"f16": np.float16, "f32": np.float32, "i16": np.int16}
_BYTES = {"f16": 2, "f32": 4, "i16": 2}


@dataclass(frozen=True)
class VectorCase:
    """One kind of op.

    Attributes
    ----------
    ops : dict
        Element type -> vector op.
    code : str
        The op in words; ``y`` and ``x`` are vectors, ``z`` a third one, ``s`` a scalar in SRAM.
    operands : str
        The vectors in use: destination and first source, then the second source.
    oracle : callable
        ``oracle(y, x, z, times)`` gives destination (or scalar) after ``times`` ops, in NumPy.
    """

    ops: dict[str, str]
    code: str
    operands: str
    oracle: Callable[[Any, Any, Any, int], Any]


def _fma(y: Any, x: Any, z: Any, times: int) -> Any:
    for _ in range(times):
        y = (y.astype(np.float64) + x.astype(np.float64) * FACTOR).astype(y.dtype)
    return y


def _running(y: Any, x: Any, z: Any, times: int, product: bool) -> Any:
    total = y.dtype.type(0)
    for _ in range(times):
        for a, b in zip(y, x, strict=True):
            total = y.dtype.type(float(total) + (float(a) * float(b) if product else float(a)))
    return total


VECTOR_CASES: dict[str, VectorCase] = {
    "copy": VectorCase(
        {"f16": "fmovh", "f32": "fmovs", "i16": "mov16"}, "z = y", "zy", lambda y, x, z, times: y
    ),
    "add": VectorCase(
        {"f16": "faddh", "f32": "fadds", "i16": "add16"}, "z = y + x", "zyx", lambda y, x, z, times: y + x
    ),
    "mul": VectorCase({"f16": "fmulh", "f32": "fmuls"}, "z = y * x", "zyx", lambda y, x, z, times: y * x),
    "fma": VectorCase({"f16": "fmach", "f32": "fmacs"}, f"y = y + x * {FACTOR}", "yyx", _fma),
    "reduce": VectorCase(
        {"f16": "faddh", "f32": "fadds"}, "s = s + y[i]", "y",
        lambda y, x, z, times: _running(y, x, z, times, product=False),
    ),
    "dot": VectorCase(
        {"f16": "fmach", "f32": "fmacs"}, "s = s + y[i] * x[i]", "yx",
        lambda y, x, z, times: _running(y, x, z, times, product=True),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class _Bench:
    case: str
    dtype: str
    length: int
    phase: int
    stride: int

    @property
    def shorter(self) -> int:
        """Length of the shorter vectors: half the longer ones, whole beats where possible."""
        return self.length // 2

    @property
    def span(self) -> int:
        """Elements of an array."""
        return (self.length - 1) * self.stride + 1


def build_vector(arch: Arch, case: str, dtype: str, length: int, phase: int, stride: int) -> KernelRun:
    """The run of a vector case."""
    from wafersim.program import Layout

    bench = _Bench(case, dtype, length, phase, stride)
    layout = Layout(1, 1, arch=arch, name=f"microbench-{case}")
    arrays = _tile(layout, bench)
    return _run(arch, bench, layout, arrays)


def _tile(layout: Layout, bench: _Bench) -> dict[str, Any]:
    pe = layout.tile("bench")
    spec = VECTOR_CASES[bench.case]
    arrays = {"x": pe.array("x", bench.dtype, bench.span, align=16, export=True)}
    if bench.phase:
        pe.array("pad", "u16", bench.phase // 2, align=16, export=False)
        arrays["y"] = pe.array("y", bench.dtype, bench.span, export=True)
    else:
        arrays["y"] = pe.array("y", bench.dtype, bench.span, align=16, export=True)
    if "z" in spec.operands:
        arrays["z"] = pe.array("z", bench.dtype, bench.span, align=16, export=True)
    arrays["s"] = pe.array("s", bench.dtype, init=0, export=True)
    stamps = stamp_array(pe, 5)
    with pe.function("main"):
        marks = [pe.timestamp()]
        for length in (bench.shorter, bench.length):
            operands = _operands(pe, bench, arrays, length)
            with pe.for_range(REPEATS):
                _op(pe, bench, operands, arrays["s"])
            marks.append(pe.timestamp())
        marks.append(pe.timestamp())
        _op(pe, bench, _operands(pe, bench, arrays, bench.length), arrays["s"])
        marks.append(pe.timestamp())
        for k, mark in enumerate(marks):
            pe.store(stamps, k, mark)
        pe.done()
    layout.place(pe)
    return arrays


def _operands(pe: Any, bench: _Bench, arrays: dict[str, Any], length: int) -> list[Any]:
    names = VECTOR_CASES[bench.case].operands
    made = {n: pe.mem_dsd(arrays[n], extent=length, stride=bench.stride) for n in dict.fromkeys(names)}
    return [made[n] for n in names]


def _op(pe: Any, bench: _Bench, operands: list[Any], scalar: Any) -> None:
    name = VECTOR_CASES[bench.case].ops[bench.dtype]
    if bench.case in ("reduce", "dot"):
        total = pe.ptr(scalar)
        pe.vop(name, total, total, *operands)
    elif bench.case == "fma":
        pe.vop(name, *operands, FACTOR)
    else:
        pe.vop(name, *operands)


def _run(arch: Arch, bench: _Bench, layout: Layout, arrays: dict[str, Any]) -> KernelRun:
    spec, one = VECTOR_CASES[bench.case], (0, 0, 1, 1)
    given: dict[str, Any] = {}
    program = layout.build()

    def setup(sim: Any, rng: np.random.Generator) -> None:
        for name in arrays:
            if name != "s":
                given[name] = rng.integers(0, 4, bench.span).astype(_NUMPY[bench.dtype])
                sim.write(name, given[name][None, None], rect=one)

    def check(sim: Any) -> tuple[float, bool]:
        taken = {n: given[n][:: bench.stride] for n in given}
        zeros = np.zeros(bench.length, _NUMPY[bench.dtype])
        y, x, z = (taken.get(n, zeros) for n in "yxz")
        if bench.case in ("reduce", "dot"):
            answer = _scalar_answer(spec, bench, y, x)
            found = sim.read("s", rect=one)[0, 0, 0]
        else:
            target = spec.operands[0]
            short = spec.oracle(y[: bench.shorter], x[: bench.shorter], z, REPEATS)
            y = np.concatenate([short, y[bench.shorter :]]) if target == "y" else y
            answer = spec.oracle(y, x, z, REPEATS + 1)
            found = sim.read(target, rect=one)[0, 0][:: bench.stride]
        error = float(np.max(np.abs(found.astype(np.float64) - np.asarray(answer).astype(np.float64))))
        return error, error == 0.0

    def metrics(sim: Any, record: Any) -> dict[str, Any]:
        figures = _figures(arch, bench, np.diff(read_stamps(sim, one)[0, 0]))
        figures["operands"] = [
            {
                "name": name,
                "address": arrays[name].address,
                "stride_bytes": bench.stride * _BYTES[bench.dtype],
                "elements": bench.length,
            }
            for name in dict.fromkeys(spec.operands)
        ]
        figures["code"] = (
            f"{REPEATS} x {spec.ops[bench.dtype]}: {spec.code}, descriptors loaded before each op"
        )
        return figures

    return KernelRun(program, setup, [Launch("main")], check, metrics)


def _scalar_answer(spec: VectorCase, bench: _Bench, y: Any, x: Any) -> Any:
    """The scalar after all ops; it goes on from one op to the next, so the vectors are laid end to end."""
    parts = [(bench.shorter, REPEATS), (bench.length, REPEATS + 1)]
    long_y = np.concatenate([np.tile(y[:n], times) for n, times in parts])
    long_x = np.concatenate([np.tile(x[:n], times) for n, times in parts])
    return spec.oracle(long_y, long_x, None, 1)


def _figures(arch: Arch, bench: _Bench, gaps: Any) -> dict[str, Any]:
    short, long, single = int(gaps[0]), int(gaps[1]), int(gaps[3])
    slope = (long - short) / (REPEATS * (bench.length - bench.shorter))
    return {
        "elements_per_cycle": 1 / slope,
        "cycles_per_element": slope,
        "setup_cycles": short / REPEATS - slope * bench.shorter,
        "window_cycles": single,
    }
