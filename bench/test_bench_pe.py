"""What a PE does: tasks per second, vector elements per second with values."""

from __future__ import annotations

import numpy as np

import programs
from measure import measure

SIDE = 32


def test_tasks(benchmark):
    count = 500

    def check(sim, record):
        assert (sim.read("count") == count).all()
        assert record.summary()["totals"]["task_starts"] == SIDE * SIDE * (count + 1)

    def rates(record):
        return {"tasks": record.summary()["totals"]["task_starts"]}

    measure(benchmark, programs.tasks(SIDE, count), check=check, rates=rates)


def test_vector_elements(benchmark):
    length, rounds = 256, 40
    values = np.random.default_rng(5).standard_normal((SIDE, SIDE, length), np.float32)

    def fill(sim):
        sim.write("a", values)

    def check(sim, record):
        expected = np.zeros_like(values)
        for _ in range(rounds):
            expected += values * np.float32(0.5)  # halves are exact, so one rounding as in the machine
        assert np.array_equal(sim.read("c"), expected)

    def rates(record):
        return {"vector_elements": record.summary()["totals"]["vector_elements"]}

    measure(benchmark, programs.vectors(SIDE, length, rounds), fill=fill, check=check, rates=rates)
