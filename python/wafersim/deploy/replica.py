"""One copy of a model that serves: prompts in a queue, sequences in rounds, keys and values in SRAM.

Time advances from event to event.  Between two events the sequences of the copy are the same, so rounds are
not stepped through: a clock counts rounds (with fractions), each sequence knows the round in which its last
token comes, and the next event is the earliest of: a last token, the end of a chunk of a prompt, a sequence
that boards, or a limit of rounds after which the round time is asked anew because contexts have grown.

A chunk of a prompt has the slowest stage to itself.  Batches that come to it meanwhile wait, go next, and
then the next chunk may start.  Let c be the time of a chunk, R that of a round, u the share of it in which
the slowest stage is busy, s = (1 - u) R what it has to spare, and m = min(1, c / R).  Chunks that follow each
other leave the sequences m (1 - u) rounds during a chunk and m u before the next.  A chunk that comes alone
delays them by c^2 / (2 s), or c - s / 2 if it is longer than s; in between the delay is interpolated over the
first round without a chunk.  With one stage (u = 1) chunks and rounds alternate.  Sequences and prompts that
come start when the slowest stage has let the present batch pass; with one stage, when the next round does.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field

from wafersim.deploy.rounds import Rounds

#: Rounds after which the round time is asked anew.
_MOST_ROUNDS = 256.0
#: Rounds that are taken for the same moment.
_SAME = 1e-6
_NEVER = math.inf
_NOTHING, _ROUND, _CHUNK, _LAND = range(4)


@dataclass(slots=True)
class Job:
    """One request on its way; times in seconds from the start."""

    index: int
    input_tokens: int
    output_tokens: int
    rounds: int
    drain_s: float
    busy_s: float
    chunk_s: float
    first_s: float = math.nan
    finish_s: float = math.nan

    @property
    def tokens(self) -> int:
        """Tokens of keys and values at its end."""
        return self.input_tokens + self.output_tokens


@dataclass(slots=True)
class Tally:
    """What a copy did, summed over time."""

    decode_busy_s: float = 0.0
    prompt_busy_s: float = 0.0
    sequence_s: float = 0.0
    decoding_s: float = 0.0
    kv_token_s: float = 0.0
    wait_kv_s: float = 0.0
    wait_batch_s: float = 0.0
    kv_peak_tokens: int = 0
    sequences_peak: int = 0
    decoded_tokens: int = 0
    events: int = field(default=0, repr=False)


class Replica:
    """A copy of the model on its wafers.

    Parameters
    ----------
    rounds : Rounds
        Its round times; may be shared with other copies.
    kv_tokens : int
        Tokens of keys and values that fit.
    max_batch : int
        Sequences and prompts under way at once.
    """

    def __init__(self, rounds: Rounds, kv_tokens: int, max_batch: int) -> None:
        self.tally = Tally()
        self.done: list[Job] = []
        self.outstanding_tokens = 0
        self.next_s = _NEVER
        self._rounds = rounds
        self._stages = rounds.stages
        self._kv_tokens = kv_tokens
        self._max_batch = max_batch
        self._queue: deque[Job] = deque()
        self._reserved = 0
        self._under_way = 0
        self._now = 0.0
        # decoding: heap of (round of the last token, request, job), clock in rounds
        self._running: list[tuple[float, int, Job]] = []
        self._clock = 0.0
        self._context = 0.0
        self._growth = 0.0
        # sequences with their first token that wait for a batch to start: (round, request, job)
        self._boarding: list[tuple[float, int, Job]] = []
        # prompts whose slowest stage is behind them: (time of the first token, request, job)
        self._draining: list[tuple[float, int, Job]] = []
        # the prompt that has the slowest stage, or waits for the round in which its next chunk may start
        self._prompt: Job | None = None
        self._chunks_left = 0
        self._chunk_left_s = 0.0
        self._in_chunk = False
        self._start_round = 0.0
        self._free_round = 0.0
        # rounds since a chunk could have started when this one did
        self._lone_rounds = 0.0
        # the present stretch: time of a round at its start, how much longer each further one is, and how long
        # the slowest stage is busy in it; the first of them without a chunk in the way
        self._round_s = _NEVER
        self._slope_s = 0.0
        self._busy_s = 0.0
        self._alone_s = 1.0
        self._event = _NOTHING
        self._target = 0.0

    def arrive(self, now: float, job: Job, prefilled: bool = False) -> None:
        """A request comes; with its keys and values if it was prefilled elsewhere."""
        self._advance(now)
        if prefilled:
            job.busy_s = 0.0
        self.outstanding_tokens += job.tokens
        self._queue.append(job)
        self._settle()

    def fire(self) -> None:
        """Let the next event happen."""
        event, target = self._event, self._target
        self._advance(self.next_s)
        if event == _CHUNK:
            self._chunk_left_s = 0.0
        elif event == _ROUND:
            self._clock = target
        self._settle()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do."""
        return not (self._queue or self._under_way)

    # -- time

    def _advance(self, now: float) -> None:
        span = now - self._now
        self._now = now
        if span <= 0:
            return
        tally = self.tally
        tally.kv_token_s += span * self._reserved
        if self._queue:
            if self._reserved + self._queue[0].tokens > self._kv_tokens:
                tally.wait_kv_s += span
            elif self._under_way >= self._max_batch:
                tally.wait_batch_s += span
        sequences = len(self._running)
        if sequences:
            root = math.sqrt(max(0.0, self._round_s**2 + 2.0 * self._slope_s * span))
            passed = 2.0 * span / (self._round_s + root)
            self._clock += passed
            self._context += self._growth * passed
            tally.decode_busy_s += passed * self._busy_s
            tally.sequence_s += span * sequences
            tally.decoding_s += span
        if self._in_chunk:
            self._chunk_left_s -= span
            tally.prompt_busy_s += span

    def _settle(self) -> None:
        """Do all that is due now, then find the next event."""
        self.tally.events += 1
        while self._finish() or self._end_chunk() or self._land() or self._admit() or self._board():
            pass
        self._plan()

    # -- what can be due

    def _finish(self) -> bool:
        """Last tokens."""
        running = self._running
        if not running or running[0][0] > self._clock + _SAME:
            return False
        _, _, job = heapq.heappop(running)
        job.finish_s = self._now
        self.tally.decoded_tokens += job.output_tokens - 1
        self._growth -= (job.output_tokens - 1) / job.rounds
        self._context -= job.tokens
        self._leave(job)
        if not running:
            self._clock = self._context = self._growth = 0.0
            # who waited for a batch to start need not wait any more
            self._boarding = [(0.0, index, job) for _, index, job in self._boarding]
            self._start_round = self._free_round = 0.0
        return True

    def _leave(self, job: Job) -> None:
        self._reserved -= job.tokens
        self._under_way -= 1
        self.outstanding_tokens -= job.tokens
        self.done.append(job)

    def _end_chunk(self) -> bool:
        """The end of a chunk; that of the last one frees the slowest stage for the next prompt."""
        job = self._prompt
        if job is None or not self._in_chunk or self._chunk_left_s > 1e-15:
            return False
        self._in_chunk = False
        if self._stages == 1:
            self._free_round = math.floor(self._clock + _SAME) + 1.0
        elif self._running:
            share = min(1.0, self._busy_s / self._alone_s)
            self._free_round = self._clock + share * min(1.0, job.chunk_s / self._alone_s)
        self._chunks_left -= 1
        if self._chunks_left:
            self._start_round = self._free_round
        else:
            self._prompt = None
            heapq.heappush(self._draining, (self._now + job.drain_s, job.index, job))
        return True

    def _land(self) -> bool:
        """First tokens."""
        if not self._draining or self._draining[0][0] > self._now:
            return False
        job = heapq.heappop(self._draining)[2]
        job.first_s = self._now
        self._after_first_token(job)
        return True

    def _after_first_token(self, job: Job) -> None:
        if job.output_tokens == 1:
            job.finish_s = job.first_s
            self._leave(job)
        else:
            heapq.heappush(self._boarding, (self._next_start(), job.index, job))

    def _next_start(self) -> float:
        """Round at which a newcomer can start: now in an empty batch, else when the next batch does."""
        sequences = len(self._running)
        if sequences + len(self._boarding) < self._stages and (self._stages > 1 or not sequences):
            return self._clock + self._rounds_until_free()
        return math.ceil(self._clock * self._stages - _SAME) / self._stages

    def _board(self) -> bool:
        """Sequences whose batch starts."""
        if not self._boarding or self._boarding[0][0] > self._clock + _SAME:
            return False
        job = heapq.heappop(self._boarding)[2]
        heapq.heappush(self._running, (self._clock + job.rounds, job.index, job))
        self._context += job.input_tokens + 1
        self._growth += (job.output_tokens - 1) / job.rounds
        self.tally.sequences_peak = max(self.tally.sequences_peak, len(self._running))
        return True

    def _admit(self) -> bool:
        """The next request in the queue, if it fits and no other prompt is in; or a chunk that may start."""
        if self._prompt is not None:
            decoding = self._running or self._boarding
            if self._in_chunk or (decoding and self._start_round > self._clock + _SAME):
                return False
            self._in_chunk, self._chunk_left_s = True, self._prompt.chunk_s
            self._lone_rounds = self._clock - self._free_round if decoding else 1.0
            return True
        if not self._queue or self._under_way >= self._max_batch:
            return False
        if self._reserved + self._queue[0].tokens > self._kv_tokens:
            return False
        job = self._queue.popleft()
        self._reserved += job.tokens
        self._under_way += 1
        self.tally.kv_peak_tokens = max(self.tally.kv_peak_tokens, self._reserved)
        if job.busy_s == 0.0:
            self._after_first_token(job)
            return True
        self._prompt, self._chunks_left = job, max(1, round(job.busy_s / job.chunk_s))
        self._start_round = max(self._free_round, self._clock + self._rounds_until_free())
        return True

    def _rounds_until_free(self) -> float:
        """Rounds until the batch that has the slowest stage has passed it, on average over where it is."""
        sequences = len(self._running)
        if not sequences:
            return 0.0
        batches = min(self._stages, sequences)
        wait = math.ceil(self._clock * batches - _SAME) / batches - self._clock
        share = min(1.0, self._busy_s / self._alone_s)
        return wait * share * share

    # -- what comes next

    def _plan(self) -> None:
        """Rates from here on, and the next event."""
        self.next_s, self._event = _NEVER, _NOTHING
        if self._running:
            self._plan_rounds()
        if self._in_chunk:
            self._propose(self._now + self._chunk_left_s, _CHUNK)
        if self._draining:
            self._propose(self._draining[0][0], _LAND)

    def _plan_rounds(self) -> None:
        """Rounds up to the next event; the round time is taken as linear in the context on the way."""
        target = min(self._running[0][0], self._clock + _MOST_ROUNDS)
        if self._boarding:
            target = min(target, self._boarding[0][0])
        if self._prompt is not None and not self._in_chunk:
            target = min(target, self._start_round)
        sequences = len(self._running)
        rounds = target - self._clock
        # a round has the context of its start: half a round less than the middle of the way
        context = self._context - 0.5 * self._growth
        step, busy = self._rounds.times(sequences, max(1.0, context / sequences))
        self._alone_s = begin = max(step, busy)
        step, end_busy = self._rounds.times(sequences, (context + self._growth * rounds) / sequences)
        self._busy_s = 0.5 * (busy + end_busy)
        if self._in_chunk and self._prompt is not None:
            passed = self._prompt.chunk_s - self._delay_s(begin, self._prompt.chunk_s)
            self._round_s, self._slope_s = _NEVER, 0.0
            if passed > 1e-9 * self._prompt.chunk_s:
                self._round_s = begin * self._prompt.chunk_s / passed
        else:
            self._round_s, self._slope_s = begin, (max(step, end_busy) - begin) / rounds
        self._target = target
        self._propose(self._now + rounds * (self._round_s + 0.5 * self._slope_s * rounds), _ROUND)

    def _delay_s(self, round_s: float, chunk_s: float) -> float:
        """How much a chunk delays the sequences on average, if their rounds take `round_s` without it.

        What the slowest stage has to spare in a round absorbs a part: of a chunk that comes alone a large
        one, of a chunk right after another only what a steady stream of them would leave.
        """
        spare = round_s - min(round_s, self._busy_s)
        steady = chunk_s - min(1.0, chunk_s / round_s) * spare
        if spare <= 1e-9 * round_s:
            return steady
        alone = chunk_s**2 / (2.0 * spare) if chunk_s <= spare else chunk_s - 0.5 * spare
        share = min(1.0, max(0.0, self._lone_rounds))
        return min(steady, share * alone + (1.0 - share) * steady)

    def _propose(self, when: float, event: int) -> None:
        if when < self.next_s:
            self.next_s, self._event = when, event
