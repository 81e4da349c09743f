"""Slow and plain: every step of every batch one by one, to compare the serving loop with."""

from __future__ import annotations

import heapq
from collections import deque


def one_stage(service, requests, max_batch, chunk=None):
    """One batch; steps and chunks of prompts alternate.  First and last token of each request, s."""
    arrivals = deque(enumerate(requests.arrival_s.tolist()))
    inputs, outputs = requests.input_tokens.tolist(), requests.output_tokens.tolist()
    first, finish = [None] * len(inputs), [None] * len(inputs)
    queue, running = deque(), {}
    prompt, chunks = None, []
    reserved, now = 0, 0.0
    while arrivals or queue or running or prompt is not None:
        while arrivals and arrivals[0][1] <= now:
            queue.append(arrivals.popleft()[0])
        if prompt is None and queue and len(running) < max_batch:
            need = inputs[queue[0]] + outputs[queue[0]]
            if reserved + need <= service.kv_capacity_tokens:
                prompt = queue.popleft()
                reserved += need
                chunks = cut(inputs[prompt], chunk)
        if prompt is None and not running:
            now = arrivals[0][1]
            continue
        if prompt is not None:
            now += service.prefill_s(chunks.pop())
            if not chunks:
                first[prompt] = now
                if outputs[prompt] == 1:
                    finish[prompt] = now
                    reserved -= inputs[prompt] + 1
                else:
                    running[prompt] = outputs[prompt] - 1
                prompt = None
        if running:
            context = sum(inputs[i] + outputs[i] - left for i, left in running.items()) / len(running)
            now += service.decode_step_s(len(running), context)
            for i in list(running):
                running[i] -= 1
                if not running[i]:
                    del running[i]
                    finish[i] = now
                    reserved -= inputs[i] + outputs[i]
    return first, finish


def cut(tokens, chunk):
    """Equal chunks of a prompt of at most so many tokens."""
    count = 1 if chunk is None else -(-tokens // chunk)
    return [-(-tokens // count)] * count


def pipeline(service, requests):
    """Several batches and prompts that queue for the first stage; no limits of batch or SRAM.

    A prompt goes before the batches that wait, but after those that already waited when the prompt before
    it had passed.
    """
    inputs, outputs = requests.input_tokens.tolist(), requests.output_tokens.tolist()
    first, finish = [None] * len(inputs), [None] * len(inputs)
    batches = [{} for _ in range(service.stages)]
    moving = [False] * service.stages
    newcomers = []
    queue, prompt_in = deque(), False
    line = []  # who waits for the first stage: a batch number or "prompt"
    owed = set()  # batches that the next prompt must let pass
    free_s = 0.0
    events = [(t, 0, i) for i, t in enumerate(requests.arrival_s.tolist())]
    heapq.heapify(events)
    while events:
        now, kind, which = heapq.heappop(events)
        if kind == 0:  # a request arrives
            queue.append(which)
        elif kind == 1:  # a batch has made its step
            moving[which] = False
            for i in list(batches[which]):
                batches[which][i] -= 1
                if not batches[which][i]:
                    del batches[which][i]
                    finish[i] = now
        elif kind == 2:  # a first token
            first[which] = now
            if outputs[which] == 1:
                finish[which] = now
            else:
                newcomers.append((which, outputs[which] - 1))
        elif kind == 3:  # the prompt has left the first stage
            prompt_in = False
            owed = set(line)
        for k in range(service.stages):
            if not moving[k] and k not in line and batches[k]:
                line.append(k)
        idle = [k for k in range(service.stages) if not (moving[k] or k in line)]
        for k in idle[: len(newcomers)]:
            line.append(k)
        if queue and not prompt_in and "prompt" not in line:
            line.insert(sum(who in owed for who in line), "prompt")
        while line and free_s <= now:
            who = line.pop(0)
            owed.discard(who)
            if who == "prompt":
                i = queue.popleft()
                prompt_in = True
                free_s = now + service.prefill_interval_s(inputs[i])
                heapq.heappush(events, (free_s, 3, i))
                heapq.heappush(events, (now + service.prefill_s(inputs[i]), 2, i))
            else:
                # the next batch takes newcomers as long as it is not larger than a fair share
                # and leaves what is more than that to the batch after it
                share = -(-(sum(map(len, batches)) + len(newcomers)) // service.stages)
                while newcomers and len(batches[who]) < share:
                    i, left = newcomers.pop(0)
                    batches[who][i] = left
                while len(batches[who]) > share:
                    newcomers.insert(0, batches[who].popitem())
                size = len(batches[who])
                if not size:
                    continue
                context = sum(inputs[i] + outputs[i] - left for i, left in batches[who].items()) / size
                moving[who] = True
                free_s = now + service.decode_interval_s(size, context)
                heapq.heappush(events, (now + service.decode_step_s(size, context), 1, who))
        if line and free_s > now:
            heapq.heappush(events, (free_s, 4, 0))  # wake up when the first stage is free
    return first, finish
