"""Puts entries for ever: argv is the store's folder and a seed; says each key after it is put."""

import random
import sys

from wafersim.store import ResultStore

store = ResultStore(sys.argv[1])
rng = random.Random(sys.argv[2])
for _ in range(100_000):
    number = rng.randrange(3000)
    key = store.put({"number": number}, {"square": number * number, "text": "x" * rng.randrange(20_000)})
    sys.stdout.write(f"{number} {key}\n")
    sys.stdout.flush()
