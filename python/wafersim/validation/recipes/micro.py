"""How the micro-benchmark rows (family FABM) are replayed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from wafersim.errors import ConfigError
from wafersim.validation.plan import NoPlan, Plan, RunSpec, metric, per_unit, ratio
from wafersim.validation.reading import NUMBER
from wafersim.validation.rows import Row

ONE_PE = (1, 1)
#: Relay counts and words of the published fit of the relay chain.
RELAYS, RELAY_WORDS = (1, 2, 4, 8), (64, 512)
#: Words of a message whose row names none.
MESSAGE_WORDS = 8
#: What names a, b and c of T = a N B + b N + c.
COEFFICIENTS = (r"per[ -]word", r"set-?up", r"constant|fixed")
_DTYPES = {"fp16": "f16", "f16": "f16", "fp32": "f32", "f32": "f32"}

NO_PROGRAM = "the program that was measured is not public"
NOT_REPLAYED: tuple[tuple[str, str], ...] = (
    (r"fabric turn", "routers turn at no extra cost here; the published extra is probably a software relay"),
    (r"link contention", "the row is the error of somebody's model, not a time"),
    (r"host launch", "host time is not simulated"),
    (r"whole program|memcpy kernel", NO_PROGRAM),
    (
        r"square root|\bsqrt|exponential|\bexp\b|divi[ds]",
        "a constant of the profiles, no program of the library",
    ),
    (r"decode to execute", "pipeline depth is not visible to a program"),
    (r"while loop|other loop form|@map|GEMV", NO_PROGRAM),
)


def plan_fabm(row: Row) -> Plan | NoPlan:
    """The plan of a micro-benchmark row, by its kernel and problem text."""
    text = f"{row.kernel} | {row.problem} | {row.metric}"
    for pattern, reason in NOT_REPLAYED:
        if re.search(pattern, text):
            return NoPlan(reason, flag="not_public" if reason == NO_PROGRAM else "")
    for pattern, recipe in _RECIPES:
        if re.search(pattern, text):
            plan = recipe(row)
            return _judged(row, plan) if isinstance(plan, Plan) else plan
    return NoPlan(f"no recipe for {row.kernel!r}, {row.problem!r}")


def _judged(row: Row, plan: Plan) -> Plan:
    """The plan with what its source leaves open or what other sources contradict."""
    if "incl. software" in row.metric:
        reason = "the time holds the software of both ends (clock reads, task code), which is not public"
        return replace(plan, flag="not_public", reason=reason)
    if row.kernel.startswith("DSD FMA") and _dtype(row) == "f32" and row.measured_or_model == "vendor-sim":
        reason = (
            "0.50 fp32 multiply-adds per cycle in this source, 1 in the tiled star stencils of the same "
            "simulator (rows JSTT) and in the vendor's SIMD table; the operands' placement is not given"
        )
        return replace(plan, flag="contradictory", reason=reason)
    return plan


def _bench(row: Row, case: str, **params: Any) -> RunSpec:
    return RunSpec.of("microbench", row.arch, ONE_PE, case=case, **params)


def _dtype(row: Row) -> str:
    found = [word for word in re.findall(r"f[p]?\d+", f"{row.problem} {row.dtype}") if word in _DTYPES]
    if not found:
        raise ConfigError(
            f"row {row.id}: {row.problem!r} and {row.dtype!r} name none of {', '.join(_DTYPES)}"
        )
    return _DTYPES[found[0]]


def _vector_rate(case: str) -> Callable[[Row], Plan]:
    """Two arrays one behind the other on 16-byte boundaries: no row says how its operands were placed."""

    def recipe(row: Row) -> Plan:
        run = _bench(row, case, dtype=_dtype(row), phase=0, **_stride(row))
        return Plan((run,), metric(_rate(row.unit)))

    return recipe


def _rate(unit: str) -> str:
    """The metric for a rate, or for its inverse."""
    words = unit.lower().replace(" ", "")
    if re.match(r"el(em(ent)?s?)?/cyc", words):
        return "elements_per_cycle"
    if re.match(r"cyc(le)?s?/el", words):
        return "cycles_per_element"
    raise ConfigError(f"unit {unit!r} is no rate; the program's are elem/cycle and cycles/elem")


def _stride(row: Row) -> dict[str, int]:
    """The distance from element to element, where the row has one; raises ConfigError if it is not given."""
    if not re.search(r"strid", row.problem, re.IGNORECASE):
        return {}
    return {"stride": row.number(r"strided?(?:\s+by)?\s*[=:]?\s*(\d+)")}


def _vector_gap(case: str) -> Callable[[Row], Plan]:
    def recipe(row: Row) -> Plan:
        return Plan((_bench(row, case, dtype=_dtype(row)),), metric(_rate(row.unit)))

    return recipe


def _dot(row: Row) -> Plan:
    """The source's dot product is a product, as fast as a sum, and a reduction; times add up."""
    runs = tuple(_bench(row, case, dtype=_dtype(row)) for case in ("add", "reduce"))

    def total(metrics: Sequence[Mapping[str, Any]]) -> float:
        return sum(float(m["cycles_per_element"]) for m in metrics)

    return Plan(runs, total)


def _setup(row: Row) -> Plan:
    runs = tuple(_bench(row, case, dtype=dtype) for case in ("copy", "fma") for dtype in ("f16", "f32"))

    def mean(metrics: Sequence[Mapping[str, Any]]) -> float:
        return sum(float(m["setup_cycles"]) for m in metrics) / len(metrics)

    return Plan(runs, mean)


def _conflict(row: Row) -> Plan | NoPlan:
    if re.search(r"worst", f"{row.problem} {row.metric}", re.IGNORECASE):
        return NoPlan("the placement of the worst case is not given")
    slow, clean = (_bench(row, "fma", dtype="f32", phase=phase) for phase in (0, 8))
    return Plan((slow, clean), ratio("cycles_per_element"))


def _message(row: Row, hops: int, words: int, probe: str) -> RunSpec:
    return RunSpec.of("relay", row.arch, (hops + 1, 1), hops=hops, words=words, probe=probe)


def _per_hop(row: Row) -> Plan:
    return Plan(
        (_message(row, 1, 8, "software"), _message(row, 33, 8, "software")), per_unit("window_cycles", 32)
    )


def _one_way(row: Row) -> Plan:
    words = re.search(r"(\d+)\s*-?\s*(?:wavelet|word)", row.problem)
    run = _message(
        row, row.number(r"(\d+)\s*-?\s*hop"), int(words[1]) if words else MESSAGE_WORDS, "software"
    )
    return Plan((run,), metric("window_cycles"))


def _streaming(row: Row) -> Plan:
    pair = tuple(_message(row, 1, words, "software") for words in (512, 1536))
    return Plan(pair, per_unit("window_cycles", 1024))


def _short_message(row: Row) -> Plan:
    """The four timings of a message of some wavelets; whole cycles, two either way allowed."""
    size = re.search(r"(\d+)-wavelet.*?(\d+) hop", row.kernel)
    words, hops = (int(size[1]), int(size[2])) if size else (MESSAGE_WORDS, 1)
    arrival = _message(row, hops, 1, "arrival")
    task = _message(row, hops, words, "dispatch")
    if row.metric.startswith("dispatch") or "wavelet out" in row.problem:
        if "first wavelet" in f"{row.problem}{row.metric}":
            return Plan((arrival,), metric("first_on_link_cycles"), slack=2.0)
        return Plan((task,), metric("window_cycles"), slack=2.0)
    if "completion task" in row.problem:
        return Plan((task, arrival), _tail, slack=2.0)
    if "TSC" in row.problem:
        return Plan((_message(row, hops, words, "software"),), metric("window_cycles"), slack=2.0)
    if "receive-complete" in row.problem:
        return Plan((task,), metric("window_cycles"), slack=2.0)
    return _per_hop(row)


def _tail(metrics: Sequence[Mapping[str, Any]]) -> float:
    """Last wavelet at the receiving router to the completion task's first instruction."""
    task, arrival = metrics
    return float(task["window_cycles"]) - float(arrival["at_router_cycles"]) - (float(task["words"]) - 1)


def _relay(row: Row) -> Plan | NoPlan:
    """One of the coefficients of T = a N B + b N + c, over the relays and words that the row lists."""
    text = row.metric.split("(", 1)[-1] if "(" in row.metric else row.metric
    named = [index for index, words in enumerate(COEFFICIENTS) if re.search(words, text, re.IGNORECASE)]
    if len(named) != 1:
        return NoPlan(f"metric {row.metric!r} is none of per word and relay, set-up per relay, constant")
    relays, words = _listed(row, "N", RELAYS), _listed(row, "B", RELAY_WORDS)
    runs = tuple(RunSpec.of("relay", row.arch, (n + 1, 1), words=b) for b in words for n in relays)
    if len(relays) < 2 or len(words) < 2:
        return NoPlan("the line T = a N B + b N + c needs two numbers of relays and two of words")
    return Plan(runs, lambda metrics: _relay_line(metrics)[named[0]], events=6e4)


def _listed(row: Row, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers behind ``name`` in the problem text, ``N 1,2,4,8``."""
    found = re.search(rf"\b{name} (\d{{1,5}}(?:\s*,\s*\d{{1,5}})+)", row.problem)
    return tuple(dict.fromkeys(int(text) for text in found[1].split(","))) if found else default


def _relay_line(metrics: Sequence[Mapping[str, Any]]) -> list[float]:
    """a, b, c of the least-squares line T = a N B + b N + c."""
    import numpy as np

    rows = np.array([[m["relays"] * m["words"], m["relays"], 1.0] for m in metrics], dtype=float)
    times = np.array([m["window_cycles"] for m in metrics], dtype=float)
    return [float(number) for number in np.linalg.lstsq(rows, times, rcond=None)[0]]


def _scalar(case: str, slack: float = 0.0) -> Callable[[Row], Plan]:
    def recipe(row: Row) -> Plan:
        return Plan((_bench(row, case),), metric("cycles"), slack=slack)

    return recipe


def _completion(name: str) -> Callable[[Row], Plan]:
    def recipe(row: Row) -> Plan:
        length = row.named("n")
        return Plan((_bench(row, name, dtype=_dtype(row), length=length),), metric("cycles"), slack=1.0)

    return recipe


def _one_op(row: Row) -> Plan:
    length = row.number(rf"({NUMBER}) elements")
    dtype = "f32" if re.search(r"fmacs", row.problem) else "f16"
    return Plan((_bench(row, "fma", dtype=dtype, length=length),), metric("window_cycles"))


_RECIPES: tuple[tuple[str, Callable[[Row], Plan | NoPlan]], ...] = (
    (r"^DSD copy|f16 copy", _vector_rate("copy")),
    (r"^DSD (FMA|multiply-add)|axpy", _vector_rate("fma")),
    (r"^DSD (add|sub)|add/mul", _vector_rate("add")),
    (r"^DSD mul", _vector_rate("mul")),
    (r"^DSD op set-up", _setup),
    (r"^SRAM bank conflict", _conflict),
    (r"^fabric hop", _per_hop),
    (r"^one-way message", _one_way),
    (r"^fabric streaming", _streaming),
    (r"^relay chain", _relay),
    (r"\d+-wavelet message", _short_message),
    (r"not-taken branch", _scalar("branch_not_taken")),
    (r"taken branch", _scalar("branch_taken")),
    (r"dependent FP", _scalar("dependent_fp")),
    (r"loop back", _scalar("loop_back")),
    (r"load\+load\+op\+store", _scalar("load_op_store")),
    (r"DSR load", _scalar("dsr_load_use")),
    (r"vector completion", _completion("vector_completion")),
    (r"vector next dispatch", _completion("vector_dispatch")),
    (r"\bf\d+ reduction", _vector_gap("reduce")),
    (r"\bf\d+ dot", _dot),
    (r"512\+512 independent DSD ops", _scalar("two_ops", slack=1.0)),
    (r"one DSD op", _one_op),
)

RECIPES = {"FABM": plan_fabm}
