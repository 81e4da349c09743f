"""Layers of language models on one wafer: WLLM2 (end to end), WLLM3 (prefill), WLLM4 (decode), WLLM5 (cache).

The source measures one layer and multiplies by the number of layers; so does the replay, with the layer as a
kernel of the library at fidelity stream.  Times are converted with the source's clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wafersim import kernels
from wafersim.errors import ConfigError
from wafersim.kernels.llm.prefill_sum import SMALL_SIDES, STARTS, STARTS_GRID, layer_cycles
from wafersim.validation.asked import Value, element_type, in_time
from wafersim.validation.plan import NoPlan, Plan, RunSpec
from wafersim.validation.reading import TIMES, parse_count
from wafersim.validation.rows import WHOLE, Row

#: what the source calls a model -> our name and its layers
MODELS: tuple[tuple[str, str, int], ...] = (
    (r"code\W?llama.*34\s*b", "codellama-34b", 48),
    (r"llama\W?3.*8\s*b", "llama-3-8b", 32),
    (r"llama\W?2.*13\s*b", "llama-2-13b", 40),
    (r"qwen\W?2?.*72\s*b", "qwen2-72b", 80),
)
#: parts of a mesh that give the time of the whole, and the lines that a part has
PARTS, PART_LINES = ("rows", "columns", "corner"), 8
#: the wait of a relay in `models.relay_tree` was fitted on the first; the second is the same number
FITTED_ON = ("WLLM4-001", "WLLM4-048")
DECODE, PREFILL = "llm_decode_layer", "llm_prefill_layer"

#: of prefill layers: what a call of a map costs, of which they are made, is not public
PREFILL_TOLERANCE = 0.2
#: rough engine events of a layer per PE, and of the parts of a prefill layer, for budgets
_EVENTS_PER_PE, _PREFILL_EVENTS = 3000.0, 1e8


def model_of(row: Row) -> tuple[str, int]:
    """Our name of the row's model and its number of layers; raises ConfigError if it is none of `MODELS`."""
    for pattern, name, layers in MODELS:
        if re.search(pattern, f"{row.kernel} {row.problem}", re.IGNORECASE):
            return name, layers
    raise ConfigError(
        f"row {row.id}: {row.kernel!r} names none of {', '.join(name for _, name, _ in MODELS)}"
    )


def _check(row: Row) -> None:
    """The released program, for one sequence; raises ConfigError for other systems and batches."""
    others = r"\b(T10|ladder|sglang|vllm|gpu|[ABH]\d00)\b"
    if not re.search(r"wafer\W?llm", row.kernel, re.I) or re.search(others, row.kernel, re.I):
        raise ConfigError(f"row {row.id}: {row.kernel!r} is another program than the released WaferLLM")
    if row.named("batch", "bsz", default=1) != 1:
        raise ConfigError(f"row {row.id}: {row.problem!r}: the released program takes one sequence")
    element_type(row, "f16")


def _lacking(*names: str) -> NoPlan | None:
    missing = [name for name in names if name not in kernels.names()]
    return NoPlan(f"the kernel library has no {missing[0]}") if missing else None


def _decode_layer(row: Row, grid: tuple[int, int], model: str, context: int) -> tuple[RunSpec, ...]:
    """Runs of parts of the mesh; the whole takes rows + columns - corner, which is the same number."""
    if grid[0] != grid[1]:
        raise ConfigError(f"row {row.id}: the released program needs a square mesh, not {grid[0]}x{grid[1]}")
    return tuple(
        RunSpec.of(
            DECODE, row.arch, grid, variant="published", model=model, context=context, part=part
        ).at("stream")
        for part in PARTS
    )  # fmt: skip


def _decode_cycles(metrics: Sequence[Mapping[str, Any]]) -> float:
    rows, columns, corner = map(_cycles, metrics)
    return rows + columns - corner


def _prefill_layer(row: Row, grid: tuple[int, int], model: str, prompt: int) -> tuple[RunSpec, ...]:
    """Each distinct product on two small meshes, a row of PEs for the rest, and the starts of all
    (`kernels.llm.prefill_sum`).
    """
    if grid[0] != grid[1]:
        raise ConfigError(f"row {row.id}: the released program needs a square mesh, not {grid[0]}x{grid[1]}")
    shapes = [("products", (side, side)) for side in SMALL_SIDES] + [
        ("local", (grid[0], 1)),
        (STARTS, STARTS_GRID),
    ]
    return tuple(
        RunSpec.of(
            PREFILL, row.arch, shape, variant="published", model=model, prompt=prompt, part=part, side=grid[0]
        )
        for part, shape in shapes
    )  # fmt: skip


def _prefill_cycles(side: int, metrics: Sequence[Mapping[str, Any]]) -> float:
    return layer_cycles(side, *metrics)


def _clock(row: Row) -> float:
    if row.clock_hz is None:
        raise ConfigError(f"row {row.id}: neither hardware nor note names the source's clock")
    return row.clock_hz


def _cycles(metrics: Mapping[str, Any]) -> float:
    return float(metrics["window_cycles"])


def _time(row: Row, layers: int, cycles: Value, whole: str) -> Value:
    """A time of one layer, or of all of them where the metric's words are those of ``whole``."""
    if re.search(r"per layer|/ ?layer", row.metric, re.IGNORECASE):
        return in_time(row, cycles)
    if re.search(whole, row.metric, re.IGNORECASE):
        return in_time(row, lambda metrics: layers * cycles(metrics))
    raise ConfigError(
        f"row {row.id}: metric {row.metric!r} in {row.unit!r} is no speed or time of this phase"
    )


def plan_decode(row: Row) -> Plan | NoPlan:
    """Decode: tokens per second, or cycles per token, at one context length."""
    lacking = _lacking(DECODE)
    if lacking:
        return lacking
    _check(row)
    model, layers = model_of(row)
    grid, context = row.grid(), row.named("context", "sequence", "seq")
    runs = _decode_layer(row, grid, model, context)
    events = _EVENTS_PER_PE * grid[0] * PART_LINES * len(PARTS)
    if row.unit.startswith("tok/s"):
        clock = _clock(row)
        return Plan(runs, lambda m: clock / (layers * _decode_cycles(m)), tolerance=0.08, events=events)
    value = _time(row, layers, _decode_cycles, r"per token|/ ?token|per output token|TPOT")
    return Plan(runs, value, tolerance=0.08, events=events)


def plan_prefill(row: Row) -> Plan | NoPlan:
    """Prefill: prompt tokens per second."""
    lacking = _lacking(PREFILL)
    if lacking:
        return lacking
    _check(row)
    model, layers = model_of(row)
    grid, tokens = row.grid(), row.named("sequence", "seq", "prompt", "context")
    specs = _prefill_layer(row, grid, model, tokens)

    def cycles(metrics: Sequence[Mapping[str, Any]]) -> float:
        return _prefill_cycles(grid[0], metrics)

    if row.unit.startswith("tok/s"):
        clock = _clock(row)
        return Plan(
            specs, lambda m: tokens * clock / (layers * cycles(m)),
            tolerance=PREFILL_TOLERANCE, events=_PREFILL_EVENTS,
        )  # fmt: skip
    value = _time(row, layers, cycles, r"first token|TTFT|prefill|prompt")
    return Plan(specs, value, tolerance=PREFILL_TOLERANCE, events=_PREFILL_EVENTS)


def plan_end_to_end(row: Row) -> Plan | NoPlan:
    """A prompt and an answer on two meshes: output tokens over the time of both."""
    lacking = _lacking(PREFILL, DECODE)
    if lacking:
        return lacking
    _check(row)
    model, layers = model_of(row)
    if not row.unit.startswith("tok/s"):
        return NoPlan(f"metric {row.metric!r} in {row.unit!r} is no speed of a prompt with its answer")
    clock = _clock(row)
    lengths = re.search(rf"{WHOLE}\s*/\s*{WHOLE}", row.problem)
    mesh = f"{WHOLE}{TIMES}{WHOLE}"
    meshes = re.search(rf"{mesh}\s*prefill\D+{mesh}\s*decode", row.pe_grid)
    if lengths is None or meshes is None:
        raise ConfigError(
            f"row {row.id}: no prompt/output in {row.problem!r} or no meshes in {row.pe_grid!r}"
        )
    prompt, output = parse_count(lengths[1]), parse_count(lengths[2])
    width, height, *decoding = (parse_count(text) for text in meshes.groups())
    first, second = (width, height), (decoding[0], decoding[1])
    specs = (
        *_prefill_layer(row, first, model, prompt),
        *_decode_layer(row, second, model, prompt),
        *_decode_layer(row, second, model, prompt + output),
    )

    def speed(metrics: Sequence[Mapping[str, Any]]) -> float:
        """The context grows by one with each token, and a layer's time with it along a line."""
        fill, rest, parts = _prefill_cycles(first[0], metrics[:4]), metrics[4:], len(PARTS)
        begin, end = _decode_cycles(rest[:parts]), _decode_cycles(rest[parts:])
        return output * clock / (layers * (fill + output * (begin + end) / 2))

    events = _PREFILL_EVENTS + _EVENTS_PER_PE * 2 * second[0] * PART_LINES * len(PARTS)
    return Plan(specs, speed, tolerance=0.08, events=events)


def plan_capacity(row: Row) -> NoPlan:
    """Tokens that fit the cache of keys and values."""
    return NoPlan(
        "a capacity: the source does not say what its code and buffers take of a PE's memory, nor how many "
        "layers share one; that shifting holds as many times more as there are rows is what kv_shift shows",
        flag="ambiguous",
    )


RECIPES = {
    "WLLM2": plan_end_to_end, "WLLM3": plan_prefill, "WLLM4": plan_decode, "WLLM5": plan_capacity,
}  # fmt: skip
