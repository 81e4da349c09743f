"""How many users the placement can serve at most, and what stops more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wafersim.models.placement.planner import Plan, Planner, rhythm

if TYPE_CHECKING:
    from wafersim.models.answer.answer import Question

LIMITS = ("sram_capacity", "tpot", "ttft")


def max_users(planner: Planner, plan: Plan, question: Question) -> tuple[int, str]:
    """Most users on these wafers, every one within the targets, and the limit that stops more."""
    placed = plan.placed
    fit = placed.users_that_fit(plan.context)
    if question.ttft_s is not None and placed.prefill_s(question.prompt) > question.ttft_s:
        return 0, "ttft"
    if question.tpot_s is None or meets(planner, plan, fit, question.tpot_s):
        return fit, "sram_capacity"
    low, high = 0, fit  # the time per token never falls with more users
    while high - low > 1:
        middle = (low + high) // 2
        if meets(planner, plan, middle, question.tpot_s):
            low = middle
        else:
            high = middle
    return low, "tpot"


def meets(planner: Planner, plan: Plan, users: int, target_s: float) -> bool:
    """Whether so many users on this placement get their tokens in time."""
    if users < 1:
        return False
    found = rhythm(plan.placed, users, plan.context, planner.speculation)
    plain = plan.placed.decode_step_s(found.batch, plan.context)
    return planner.speculation.tpot_s(found.tpot_s, plain) <= target_s
