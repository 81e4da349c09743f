"""A class of PEs evaluated at once is what each of its PEs is alone; layouts all at once are what they are in turn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.csl.compile_examples import options
from tests.csl.evaluate import per_pe

from wafersim.csl import values as va
from wafersim.csl.classes import Candidate, candidates, instantiate, resolve, take
from wafersim.csl.compile import deep_recursion, evaluate_layout, prepare
from wafersim.csl.comptime import lanes as ln
from wafersim.csl.instance import ProgramInstance
from wafersim.csl.values import Value

EXAMPLES = Path(__file__).parents[2] / "examples" / "csl"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


def ready_to_compile(name: str, arch: str) -> Any:
    """The example's layout, prepared with the options of the command that its script names."""
    text = (EXAMPLES / name / "run.py").read_text()
    found = re.search(r"cslc (.+)", text)
    assert found
    given = options(found.group(1).split())
    return prepare(EXAMPLES / name / "layout.csl", arch, given["params"])


def shown(value: Value, lane: int) -> Any:
    """A value of one PE as text that can be compared."""
    value = ln.gather(value, np.array([lane]))
    data = value.data
    if isinstance(data, va.Choice):
        return shown(data.alternatives[int(data.index[0])], 0)
    if isinstance(data, dict):
        return {name: shown(item, 0) for name, item in data.items()}
    if isinstance(data, va.Ptr):
        return ("pointer", getattr(data.root, "name", None), np.asarray(data.offset).tolist())
    if isinstance(data, va.DsdData):
        numbers = [np.asarray(x).reshape(-1)[0] for x in (data.offset, *data.extents, *data.strides)]
        return (data.kind, [int(x) for x in numbers], *(shown(part, 0) for part in va.dsd_parts(data)))
    if isinstance(data, np.ndarray):
        data = data[0] if va.is_column(value) else data
        if isinstance(data, np.ndarray):
            return [shown(x, 0) if isinstance(x, Value) else x for x in data.reshape(-1).tolist()]
        return repr(data.item())
    return repr(data) if isinstance(data, int | float | str | bool) or data is None else type(data).__name__


def table(program: ProgramInstance, lane: int) -> dict[Any, Any]:
    """Everything a class says about one of its PEs."""
    found: dict[Any, Any] = {
        (module.number, module.stem, var.name): (var.type.name, str(shown(var.initial, lane)))
        for module in program.modules
        for var in module.variables
    }
    found["colors"] = str([(shown(c.color, lane), shown(c.config, lane)) for c in program.color_configs])
    found["tasks"] = [(t.kind, t.id, t.fn.name) for t in program.tasks]
    found["queues"] = [(q.kind, q.id, q.color) for q in program.queues]
    found["start"] = [(s.action, s.kind, s.id) for s in program.initial]
    found["exports"] = [e.name for e in program.exports]
    return found


def single(value: Value) -> Value:
    """A value of one PE without columns."""
    value = ln.settle(value)
    if isinstance(value.data, dict):
        return Value(value.type, {name: single(item) for name, item in value.data.items()})
    return va.require_plain(value, "", None) if va.is_column(value) else value  # type: ignore[arg-type]


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize("name", NAMES)
def test_each_pe_alone(name, arch):
    ready = ready_to_compile(name, arch)
    with deep_recursion():
        layout = evaluate_layout(ready)
        places: dict[tuple[int, int], tuple[Candidate, int]] = {}
        for candidate in candidates(layout):
            pairs = zip(candidate.xs.tolist(), candidate.ys.tolist(), strict=True)
            places |= {place: (candidate, i) for i, place in enumerate(pairs)}
        seen = 0
        for program, _ in resolve(layout, ready.options, ready.loader, lambda _: None):
            for lane in range(program.num_pes):
                candidate, i = places[int(program.xs[lane]), int(program.ys[lane])]
                one = take(candidate, np.array([i]))
                one.params = single(one.params)
                alone = instantiate(one, ready.options, ready.loader, layout.rectangle)
                assert table(program, lane) == table(alone, 0)
                seen += 1
        assert seen == len(places) > 0


@pytest.mark.parametrize("name", NAMES)
def test_layouts_in_turn(name):
    records = []
    for vectorize in (True, False):
        ready = ready_to_compile(name, "wse2")
        ready.options.vectorize = vectorize
        with deep_recursion():
            records.append(per_pe(evaluate_layout(ready)))
    assert repr(records[0]) == repr(records[1]) or records[0] == records[1]
