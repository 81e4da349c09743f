"""The largest load, the fewest wafers, and what binds."""

from __future__ import annotations

import pytest
from simple_service import SimpleService

from wafersim.deploy.arrivals import generate
from wafersim.deploy.capacity import copies_on, largest_load, wafers_for
from wafersim.deploy.result import Slo
from wafersim.deploy.serving import Handover
from wafersim.errors import ConfigError


def prompts(count=4000, rate=1.0, **lengths):
    return generate(count, rate, **{"input_tokens": 1000, "output_tokens": 1, **lengths})


def test_a_deterministic_queue_is_full_at_its_service_rate():
    service = SimpleService(prefill_token_s=1e-3)
    even = generate(2000, 1.0, input_tokens=1000, output_tokens=1, burstiness=0)
    limit = largest_load(service, even, Slo(ttft_s=1.5), precision=0.002)
    assert limit.rate_per_s == pytest.approx(1.0, rel=0.005)
    assert limit.binds == "pipeline"


def test_copies_carry_more_than_their_share():
    service = SimpleService(wafers=3, prefill_token_s=1e-3)
    one = largest_load(service, prompts(), Slo(ttft_s=3.0))
    four = largest_load(service, prompts(), Slo(ttft_s=3.0), wafers=14)
    assert (one.copies, one.wafers, four.copies, four.wafers) == (1, 3, 4, 12)
    assert 4 * one.rate_per_s < four.rate_per_s < 4.0
    with pytest.raises(ConfigError, match="2 wafers: one copy of the model takes 3"):
        copies_on(service, 2)


def test_what_binds():
    # one request of 2,000 tokens takes 1.1 s; the slowest of ten stages could take ten times as many
    service = SimpleService(stages=10, kv_capacity_tokens=4000, per_sequence_s=1e-4, prefill_token_s=1e-6)
    requests = prompts(1000, output_tokens=1000)
    assert largest_load(service, requests, Slo(e2e_s=1.5)).binds == "kv"
    service.kv_capacity_tokens = 10**9
    assert largest_load(service, requests, Slo(e2e_s=1.5), max_batch=2).binds == "batch"
    assert largest_load(service, requests, Slo(tpot_s=2e-3, ttft_s=1.0)).binds == "pipeline"
    assert largest_load(service, requests, Slo(tpot_s=0.5e-3)).binds == "latency"
    assert largest_load(service, requests, Slo(tpot_s=0.5e-3)).rate_per_s == 0
    handover = Handover(SimpleService(prefill_token_s=1e-3), 1, 0)
    assert largest_load(service, requests, Slo(e2e_s=4.0), handover=handover).binds == "prompts"


def test_the_fewest_copies():
    service = SimpleService(wafers=2, prefill_token_s=1e-3)
    requests = prompts(rate=6.3)
    limit = wafers_for(service, requests, Slo(ttft_s=2.0))
    assert limit.wafers == 2 * limit.copies
    assert 7 <= limit.copies <= 10
    assert limit.result.keeps(Slo(ttft_s=2.0)).mean() >= 0.99
    answer = limit.as_dict(Slo(ttft_s=2.0))
    assert answer["binds"] == "pipeline"
    assert answer["at_limit"]["slo"]["kept"] >= 0.99
    with pytest.raises(ConfigError, match="a request alone breaks the limits"):
        wafers_for(service, prompts(10), Slo(ttft_s=0.5))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: largest_load(s, prompts(3), Slo(ttft_s=2), kept=0), "kept 0"),
        (lambda s: largest_load(s, prompts(1), Slo(ttft_s=2)), "all requests come at once"),
        (lambda s: largest_load(s, prompts(3), Slo()), "no load breaks these limits"),
    ],
)
def test_questions_without_an_answer(call, words):
    with pytest.raises(ConfigError, match=words):
        call(SimpleService(prefill_token_s=1e-3))
