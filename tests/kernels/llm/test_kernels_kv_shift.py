"""The shift of keys and values: order and balance by the rule, values on PEs, capacities, cost per token."""

from __future__ import annotations

import pytest

from wafersim.errors import ConfigError
from wafersim.kernels.llm.kv_shift import held, order
from wafersim.simulate import run


@pytest.mark.parametrize("rows", [2, 3, 5, 8])
def test_rows_fill_alike_and_tokens_keep_their_order(rows):
    for tokens in range(1, 4 * rows + 2):
        kept = order(tokens, rows)
        assert [len(row) for row in kept] == held(tokens, rows)
        assert max(map(len, kept)) - min(map(len, kept)) <= 1
        assert [token for row in kept for token in row] == list(range(tokens))


@pytest.mark.parametrize("arch", ["wse2", "wse3"])
@pytest.mark.parametrize(("grid", "tokens"), [("3x2", 7), ("2x5", 23), ("1x7", 5)])
def test_every_pe_holds_what_the_rule_says(arch, grid, tokens):
    record = run("kv_shift", arch, grid, {"tokens": tokens, "elements": 6})
    assert record.verified and record.max_abs_error == 0


def test_capacities_have_the_published_ratio():
    """Shift holds rows times what concatenation holds (table 5 of the source: 137,548 against 382 on 360 rows)."""
    metrics = run("kv_shift", "wse2", "1x6", {"tokens": 24, "elements": 4}).metrics
    assert metrics["most_tokens_shift"] == 6 * metrics["most_tokens_concat"] == 24
    assert 137_548 // 360 == 382 and 6_168 // 375 == 16


def test_all_rows_move_at_once():
    """Once no row is empty, a token costs about the same on 16 and 40 rows, and its words once more for twice
    as many (rows that pass something up with every token are the slowest; on few rows none does).
    """

    def per_token(rows, elements):
        some, more = (
            run("kv_shift", "wse2", f"1x{rows}", {"tokens": n * rows, "elements": elements}).metrics[
                "window_cycles"
            ]
            for n in (4, 8)
        )
        return (more - some) / (4 * rows)

    few, many, large = per_token(16, 64), per_token(40, 64), per_token(16, 128)
    assert many == pytest.approx(few, rel=0.1)
    assert 32 <= large - few <= 96


def test_refusals():
    with pytest.raises(ConfigError, match="2 rows or more"):
        run("kv_shift", "wse2", "4x1")
    with pytest.raises(ConfigError, match="elements=5 is odd"):
        run("kv_shift", "wse2", "2x2", {"elements": 5})
