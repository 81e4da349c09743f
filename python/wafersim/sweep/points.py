"""A point of a sweep as runs: which value goes where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wafersim.arch.checks import closest
from wafersim.arch.fields import fields as arch_fields
from wafersim.store import code_digest
from wafersim.sweep.spec import Spec, Target

Order = dict[str, Any]


def split_axis(name: str, targets: tuple[Target, ...]) -> tuple[str, str]:
    """(name of a target or "", rest): ``gemm.params.tile`` -> ``gemm``, ``params.tile``."""
    first, _, rest = name.partition(".")
    if rest and first in [target.name for target in targets]:
        return first, rest
    return "", name


def axis_problem(name: str, targets: tuple[Target, ...], arch: Any) -> str:
    """Why an axis names nothing; empty if it does."""
    owner, rest = split_axis(name, targets)
    mine = [target for target in targets if owner in ("", target.name)]
    head, _, tail = rest.partition(".")
    if head == "arch" and tail and not owner:
        if tail in arch_fields():
            return ""
        return f"arch has no constant {tail!r}. {closest(tail, arch_fields())}".rstrip()
    if rest == "grid":
        return "" if any(t.kind == "kernel" for t in mine) else "no target is a kernel, so nothing has a grid"
    if head == "params" and tail:
        return _param_problem(tail, [target for target in mine if target.kind != "model"])
    if owner and mine and mine[0].kind == "model":
        from wafersim.sweep.target_reader import MODEL_FIELDS

        known = [word for word in (*MODEL_FIELDS, "model") if word != "model"]
        return "" if rest in known else f"a model has no option {rest!r}; there are: {', '.join(known)}"
    names = ", ".join(target.name for target in targets)
    return f"wanted arch.CONSTANT, grid, params.NAME, or TARGET.params.NAME with a target of: {names}"


def _param_problem(name: str, targets: list[Target]) -> str:
    from wafersim import kernels

    known: set[str] = set()
    for target in targets:
        if target.kind == "program":
            return ""  # arguments of the function; the run says so
        parameters = kernels.get(str(target.fields["kernel"])).parameters
        if name in parameters:
            return ""
        known |= set(parameters)
    hint = closest(name, sorted(known)) or f"There are: {', '.join(sorted(known)) or 'none'}"
    return f"no target has a parameter {name!r}. {hint}"


def order_of(spec: Spec, target: Target, values: Mapping[str, Any]) -> Order:
    """The order for one target at a point."""
    fields: dict[str, Any] = {**target.fields}
    arch: dict[str, Any] = {"from": spec.arch} if isinstance(spec.arch, str) else dict(spec.arch)
    params = dict(fields.get("params") or {})
    for name, value in values.items():
        owner, rest = split_axis(name, spec.targets)
        if owner not in ("", target.name):
            continue
        head, _, tail = rest.partition(".")
        if head == "arch":
            arch[tail] = value
        elif rest == "grid" and target.kind == "kernel":
            fields["grid"] = value
        elif head == "params" and target.kind != "model" and (owner or _takes(target, tail)):
            params[tail] = value
        elif target.kind == "model" and owner:
            fields[rest] = value
    if target.kind != "model":
        fields["params"] = params
    fields["arch"] = arch if len(arch) > 1 else arch["from"]
    order: Order = {"fields": fields}
    call = target.call or ("wafersim.sweep.targets:answer_model" if target.kind == "model" else "")
    if call:
        order["call"] = call
    for word, cap in (("timeout", spec.timeout), ("memory", spec.memory)):
        if cap is not None:
            order[word] = cap
    return order


def _takes(target: Target, param: str) -> bool:
    from wafersim import kernels

    return target.kind == "program" or param in kernels.get(str(target.fields["kernel"])).parameters


def facts_of(order: Order) -> dict[str, Any]:
    """What decides the answer to an order: as `evaluate` has it, so that both find each other's results.

    Raises
    ------
    ConfigError
        A run that cannot be carried out as written.
    """
    from wafersim.batch.facts import content_of
    from wafersim.batch.facts import facts_of as run_facts

    if "call" not in order:
        return run_facts(order["fields"])
    facts = {"kind": "call", "call": order["call"], "fields": order["fields"], "code": code_digest()}
    if order["call"].startswith("wafersim."):
        from wafersim.simulate.request import arch_of

        facts["arch"] = arch_of(order["fields"]["arch"]).fingerprint()
        facts["model"] = content_of(order["fields"]["model"])
    return facts
