"""How long a round of decoding takes on one copy of a model, and how long its prompts take.

A *round* moves every sequence of a copy one step further.  The sequences are spread over as many batches
as the pipeline has stages, and the batches follow each other in a circle.  A batch is ready for its next
step after the step time of the model; all batches pass the slowest stage once per round.  So a round takes

    max(step time, sum over the batches of their interval).

Batches differ by at most one sequence.  In a full pipeline all move in step with the largest; in a sparse one
each has its own step time, and what counts is the mean over the sequences.  In between, the larger step time
counts with the square of the share in which the slowest stage is busy (found with the stepper of the tests).
"""

from __future__ import annotations

import bisect
import math

import numpy as np

from wafersim.deploy.requests import Floats, Ints
from wafersim.deploy.speculation import Speculation
from wafersim.errors import ConfigError
from wafersim.models.service import ServiceModel

#: Contexts at which the model is asked; between them its times are interpolated: eight per octave.
_GRID = [1, *(128 * k for k in range(1, 9)), *(round(1024 * 2 ** (k / 8)) for k in range(1, 120))]
#: Different prompt lengths up to which the model is asked for each; beyond, 64 lengths per octave.
_MOST_LENGTHS = 1024


class Rounds:
    """Round times of one copy by number of sequences and mean context, asked once and kept.

    Parameters
    ----------
    service : ServiceModel
        The model on its wafers.
    speculation : Speculation, optional
        Drafting and verifying instead of plain steps.
    """

    def __init__(self, service: ServiceModel, speculation: Speculation | None = None) -> None:
        self._service = service
        self._speculation = speculation
        self.stages = _positive_int("stages", service.stages)
        self._rows: dict[int, list[tuple[float, float] | None]] = {}

    def times(self, sequences: int, context: float) -> tuple[float, float]:
        """Step time of a round, and how long the slowest stage is busy in it, s."""
        row = self._rows.get(sequences)
        if row is None:
            row = self._rows[sequences] = [None] * len(_GRID)
        high = bisect.bisect_right(_GRID, context)
        if high >= len(_GRID):
            raise ConfigError(f"context of {context:.0f} tokens; allowed up to {_GRID[-1]:,}")
        low = high - 1 if high else 0
        a = row[low] or self._ask(row, sequences, low)
        b = row[high] or self._ask(row, sequences, high)
        share = (context - _GRID[low]) / (_GRID[high] - _GRID[low]) if high else 0.0
        return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share

    def _ask(self, row: list[tuple[float, float] | None], sequences: int, at: int) -> tuple[float, float]:
        batches = min(self.stages, sequences)
        small, more = divmod(sequences, batches)
        context = _GRID[at]
        step = self._step(small, context)
        busy = (batches - more) * self._interval(small, context)
        if more:
            largest = self._step(small + 1, context)
            busy += more * self._interval(small + 1, context)
            mean = step + (largest - step) * more * (small + 1) / sequences
            step = mean + (largest - mean) * min(1.0, busy / largest) ** 2
        found = row[at] = (step, busy)
        return found

    def _step(self, batch: int, context: int) -> float:
        plain = self._service.decode_step_s
        if self._speculation is None:
            return _seconds("decode_step_s", plain(batch, context))
        s = self._speculation
        verify = _seconds("decode_step_s", plain(batch * (s.drafts + 1), context))
        return verify + s.drafts * s.draft_step_s(self._service, batch, context)

    def _interval(self, batch: int, context: int) -> float:
        plain = self._service.decode_interval_s
        if self._speculation is None:
            return _seconds("decode_interval_s", plain(batch, context))
        s = self._speculation
        verify = _seconds("decode_interval_s", plain(batch * (s.drafts + 1), context))
        return verify + s.drafts * s.draft_interval_s(self._service, batch, context)

    def round_s(self, sequences: int, context: float) -> float:
        """Seconds of a round without a prompt in it."""
        return max(self.times(sequences, context))


def prompt_times(service: ServiceModel, lengths: Ints, chunk: int | None) -> tuple[Floats, Floats, Floats]:
    """What each prompt asks of a copy.

    Parameters
    ----------
    service : ServiceModel
        The model on its wafers.
    lengths : array of int, [n]
        Tokens of the prompts.
    chunk : int or None
        Most tokens of a chunk: a prompt is cut into equal ones; None: it goes in whole.

    Returns
    -------
    drain_s, busy_s, chunk_s : arrays, [n], s
        From the end of the slowest stage to the first token; how long that stage is busy; that per chunk.
    """
    asked = np.unique(lengths)
    if len(asked) > _MOST_LENGTHS:
        octaves = math.log2(asked[-1] / asked[0])
        asked = np.unique(np.rint(np.geomspace(asked[0], asked[-1], math.ceil(64 * octaves) + 1)))
    latency = np.array([_seconds("prefill_s", service.prefill_s(int(n))) for n in asked])
    busy = np.array([_seconds("prefill_interval_s", service.prefill_interval_s(int(n))) for n in asked])
    if (busy > latency * (1 + 1e-9)).any():
        raise ConfigError("the service model's prefill_interval_s is above its prefill_s")
    drain = np.where(latency - busy > 1e-9 * latency, latency - busy, 0.0)
    drains, intervals = np.interp(lengths, asked, drain), np.interp(lengths, asked, busy)
    if chunk is None:
        return drains, intervals, intervals
    counts = -(-lengths // chunk)
    parts = -(-lengths // counts)
    kinds, which = np.unique(parts, return_inverse=True)
    each = [_seconds("prefill_interval_s", service.prefill_interval_s(int(n))) for n in kinds]
    work = np.maximum(intervals, counts * np.array(each)[which])
    return drains, work, work / counts


def _seconds(name: str, value: float) -> float:
    if not (value > 0 and math.isfinite(value)):
        raise ConfigError(f"the service model's {name} is {value!r}; expected finite seconds above 0")
    return float(value)


def _positive_int(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"the service model's {name} is {value!r}; expected a whole number of at least 1")
    return value
