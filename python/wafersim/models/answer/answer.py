"""The answer of ``wafersim llm`` as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.models.accounting import cost, parameters
from wafersim.models.accounting.assumption import Assumption
from wafersim.models.answer.bottleneck import bottleneck, utilisation
from wafersim.models.answer.limits import max_users
from wafersim.models.answer.placement_table import placement
from wafersim.models.answer.ranges import tpot_range
from wafersim.models.pieces.small_models import left_out
from wafersim.models.placement.planner import Plan, Planner

if TYPE_CHECKING:
    from wafersim.arch import Arch

SCHEMA = "wafersim-llm-1"

NOT_MODELLED = (
    "sampling beyond the largest logit, tokenizers and the host's part of a request",
    "queueing of requests, prompt caches and moving caches off the wafer",
    "imbalance of experts within a batch",
    "spare rows and other repairs of a real wafer, throttling by power or heat",
)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a model; None leaves it open."""

    prompt: int = 2048
    output: int = 2048
    users: int = 1
    ttft_s: float | None = None
    tpot_s: float | None = None
    wafers: int | None = None

    @property
    def context(self) -> int:
        """Tokens of a full sequence: what the cache must hold, and the slowest step."""
        return self.prompt + self.output


def answer(planner: Planner, arch: Arch, question: Question) -> dict[str, Any]:
    """All keys of the JSON answer; see ``docs/models.md``.

    Raises
    ------
    ConfigError
        The model does not fit the wafers that are asked for.
    """
    model, context = planner.model, question.context
    plan = choose(planner, question)
    times = service_times(planner, plan, question)
    users_fit = plan.placed.users_that_fit(context)
    most, limit = max_users(planner, plan, question)
    linear, attention = cost.prefill_flops(model, question.prompt)
    return {
        "schema": SCHEMA,
        "model": model.name,
        "model_type": model.model_type,
        "arch": arch.name,
        "params": {
            "total": parameters.total(model),
            "active": parameters.active(model),
            "active_no_input_embedding": parameters.active_no_input_embedding(model),
        },
        "kv_bytes_per_token": cost.kv_bytes_per_token(model),
        "kv_bytes_per_user": cost.kv_bytes(model, context),
        "weight_bytes": cost.weight_bytes(model),
        "flops": {
            "decode_per_token": cost.decode_flops(model, context),
            "prefill_linear": linear,
            "prefill_attention": attention,
        },
        "wafers": plan.placed.wafers,
        "wafers_capacity_bound": plan.bound,
        "wafers_why": wafers_why(planner, plan),
        "users": question.users,
        "batch": plan.rhythm.batch,
        "batches_under_way": plan.rhythm.flights,
        "stages": plan.placed.stages,
        "prompt": question.prompt,
        "output": question.output,
        "context": context,
        "max_users": most,
        "max_users_limit": limit,
        "users_that_fit": users_fit,
        "kv_capacity_tokens": plan.placed.kv_capacity_tokens,
        "slo": {"ttft_s": question.ttft_s, "tpot_s": question.tpot_s},
        "slo_met": slo_met(question, times),
        **times,
        "tpot_range_s": tpot_range(planner, plan, times["tpot_s"]),
        "utilisation": utilisation(planner, plan, times),
        **bottleneck(planner, plan),
        "placement": placement(planner, plan),
        **provenance(planner, arch, question),
    }


def choose(planner: Planner, question: Question) -> Plan:
    """The plan on the wafers asked for; "auto" adds wafers only while that helps to meet the target."""
    plan = planner.plan(question.users, question.context, question.wafers)
    if question.wafers is not None or question.tpot_s is None:
        return plan
    best = plan
    for extra in range(1, plan.placed.wafers + 3):
        if service_times(planner, best, question)["tpot_s"] <= question.tpot_s:
            return best
        best = planner.plan(question.users, question.context, plan.placed.wafers + extra)
    reached = service_times(planner, best, question)["tpot_s"] <= question.tpot_s
    return best if reached else plan


def service_times(planner: Planner, plan: Plan, question: Question) -> dict[str, Any]:
    """Seconds and rates that a user and all users see."""
    speculation, placed = planner.speculation, plan.placed
    pass_s = plan.rhythm.tpot_s
    plain_s = placed.decode_step_s(plan.rhythm.batch, plan.context) if speculation.drafts else pass_s
    tpot_s = speculation.tpot_s(pass_s, plain_s)
    return {
        "ttft_s": placed.prefill_s(question.prompt) + pass_s,
        "prefill_s": placed.prefill_s(question.prompt),
        "tpot_s": tpot_s,
        "tokens_per_s_user": 1.0 / tpot_s,
        "tokens_per_s_total": question.users / tpot_s,
    }


def slo_met(question: Question, times: dict[str, Any]) -> bool | None:
    """Whether the targets are met; None without a target."""
    asked = [(question.ttft_s, times["ttft_s"]), (question.tpot_s, times["tpot_s"])]
    given = [(target, value) for target, value in asked if target is not None]
    return all(value <= target for target, value in given) if given else None


def wafers_why(planner: Planner, plan: Plan) -> str:
    """Why whole layers take as many wafers as they do."""
    placed, bound = plan.placed, plan.bound
    room = planner.wafer.data_bytes / 1e9
    if placed.wafers == bound:
        return f"bytes alone need {bound}, and whole layers fit them"
    model = planner.model
    largest = max(
        cost.layer_weight_bytes(model, layer) + plan.users * cost.layer_kv_bytes(model, layer, plan.context)
        for layer in set(model.layers)
    )
    most = max(len(cut.layers) for cut in placed.cuts)
    return (
        f"bytes alone need {bound}; layers stay whole: {largest / 1e9:.2f} GB the largest, at most {most} on "
        f"a wafer of {room:.1f} GB, {model.num_layers} layers take {placed.wafers}"
    )


def provenance(planner: Planner, arch: Arch, question: Question) -> dict[str, Any]:
    """Method of every part, assumptions, validity."""
    method = {
        "params": "formula", "kv_bytes": "formula", "flops": "formula", "placement": "formula",
        "decode_layer": planner.speed.method(planner.model),
        "prefill_layer": planner.speed.prefill_method(planner.model),
        "pipeline": "formula",
    }  # fmt: skip
    notes: list[Assumption] = list(planner.model.assumptions)
    if planner.model.quantization.note:
        notes.append(Assumption("weight_format", planner.model.quantization.method,
                                planner.model.quantization.note, "choice"))  # fmt: skip
    notes += planner.wafer.assumptions(arch)
    notes += planner.speed.assumptions(planner.model)
    notes.append(
        Assumption("context", question.context, "every step as slow as the last one of a sequence", "choice")
    )
    notes.append(
        Assumption(
            "prefill", "in place", "prompts run in pieces through the same regions as decode", "choice"
        )
    )
    if planner.speculation.drafts:
        notes.append(Assumption("acceptance", planner.speculation.acceptance, "given by the user", "low"))
        notes.append(Assumption("draft_cost", planner.speculation.draft_cost, "given by the user", "low"))
    return {
        "method": method,
        "validity": planner.speed.validity(planner.model),
        "assumptions": [note.as_dict() for note in notes],
        "not_modelled": [*NOT_MODELLED, *left_out("layers as simulated", planner.model)],
    }
