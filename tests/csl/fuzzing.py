"""Mutated CSL sources: bytes and tokens of our own programs changed at random, then compiled.

``python tests/csl/fuzzing.py COUNT [SEED]`` runs many and prints what went wrong.
"""

from __future__ import annotations

import random
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from wafersim.csl.compile import compile_csl
from wafersim.csl.comptime.builtins import BUILTINS, RUN_TIME
from wafersim.csl.diagnostics import CslError
from wafersim.csl.lexer import KEYWORDS

_ALL_BUILTINS = sorted({*BUILTINS, *RUN_TIME})
#: CPU-seconds that one program may take; an endless loop ends after 3 million steps, some 10 s.
LIMIT_S = 40
FOLDER = Path(__file__).parent / "fuzz"
_TOKEN = re.compile(r'\s+|//[^\n]*|@?\w+|"[^"\n]*"|\.\{|\.\*|[^\s\w]')
_WORDS_TEXT = (
    "0 1 -1 2 7 24 31 255 65535 65536 4294967296 1e30 0.5 true false null undefined void u16 i16 u32 f16 f32 bool "
    "color type comptime_int comptime_struct anytype [3]f32 [*]u16 *i16 fn struct enum const var param task layout "
    "comptime inline for while if else switch return break continue and or ! - ~ & + * / % << >> == < > = += , ; : . "
    "( ) { } [ ] .{} .{ | -> => ... @zeros @as @get_dsd @range @get_color @activate @import_module @concat_structs "
    "@fmacs @map @type_of @bitcast @set_rectangle 999999999 -32768 1000000000000 'a' \" // x a b y @"
)
_WORDS = _WORDS_TEXT.split()


_NUMBERS_TEXT = "0 1 2 3 7 24 31 63 255 65535 65536 4294967296 0.5 1e30 1e-9 999999999 1000000000000 0x10"
_NUMBERS = _NUMBERS_TEXT.split()
_OPERATORS = set("+-*/%&|^<>!~")


def _class(token: str) -> str:
    """Tokens of one class may stand for each other without a syntax error, mostly."""
    if token[0] == "@":
        return "builtin"
    if token[0].isdigit():
        return "number"
    if token[0] == '"':
        return "string"
    if token.isidentifier():
        return "keyword" if token in KEYWORDS else "name"
    return "operator" if token in _OPERATORS else token


def mutate(text: str, rng: random.Random) -> str:
    """One to four changes; two thirds replace a token by one of its class, so that many still parse."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        text = _like_for_like(text, rng) if rng.random() < 0.67 else _anything(text, rng)
    return text


def _solid(tokens: list[str]) -> list[int]:
    return [i for i, token in enumerate(tokens) if not token.isspace() and not token.startswith("//")]


def _like_for_like(text: str, rng: random.Random) -> str:
    """A name for a name, a number for a number; or a statement moved."""
    if rng.random() < 0.1:
        lines = text.split("\n")
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        if lines[i].rstrip().endswith(";"):
            lines.insert(j, lines.pop(i) if rng.random() < 0.5 else lines[i])
        return "\n".join(lines)
    tokens = _TOKEN.findall(text)
    i = rng.choice(_solid(tokens))
    kind = _class(tokens[i])
    if kind == "number" and rng.random() < 0.7:
        tokens[i] = rng.choice(_NUMBERS)
    elif kind == "name" and rng.random() < 0.25:
        tokens[i] = rng.choice([*_NUMBERS, "f32", "u16", "i32", "f16", "bool", "void", "u3"])
    elif kind == "builtin" and rng.random() < 0.6:
        tokens[i] = "@" + rng.choice(_ALL_BUILTINS)
    else:
        tokens[i] = rng.choice([token for token in tokens if token.strip() and _class(token) == kind])
    return "".join(tokens)


def _anything(text: str, rng: random.Random) -> str:
    """Tokens removed, doubled, swapped, replaced, inserted; characters changed."""
    kind = rng.randrange(8)
    if kind == 7:
        at = rng.randrange(len(text) + 1)
        char = chr(rng.choice((rng.randrange(128), rng.randrange(32, 127), rng.randrange(0x300))))
        return text[:at] + char + text[at + rng.randrange(2) :]
    tokens = _TOKEN.findall(text)
    i, j = rng.choice(_solid(tokens)), rng.choice(_solid(tokens))
    if kind == 0:
        tokens[i] = ""
    elif kind == 1:
        tokens[i] += " " + tokens[i]
    elif kind == 2:
        tokens[i], tokens[j] = tokens[j], tokens[i]
    elif kind == 3:
        tokens[i] = rng.choice(_WORDS)
    elif kind == 4:
        tokens[i] = tokens[j]
    elif kind == 5:
        tokens.insert(i, " " + rng.choice(_WORDS) + " ")
    else:
        low, high = min(i, j), min(max(i, j), min(i, j) + 12)
        tokens[low:high] = [] if rng.random() < 0.5 else tokens[low:high] * 2
    return "".join(tokens)


def samples() -> list[tuple[str, str]]:
    """Pairs of layout and PE program."""
    return [
        ((folder / "layout.csl").read_text(), (folder / "pe.csl").read_text())
        for folder in sorted(FOLDER.iterdir())
    ]


class TooLong(BaseException):
    """A compilation takes more than `LIMIT_S` CPU-seconds."""


def _too_long(number: int, frame: object) -> None:
    raise TooLong


class Fuzzer:
    """Compiles mutated programs in a folder and keeps what went wrong."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.samples = samples()
        self.outcomes: Counter[str] = Counter()
        self.failures: list[tuple[str, str, str]] = []
        self.slowest = 0.0
        self.where = ""
        self.slow: tuple[str, str] | None = None

    def step(self) -> None:
        """One mutated program."""
        layout, program = self.rng.choice(self.samples)
        if self.rng.random() < 0.25:
            layout = mutate(layout, self.rng)
        else:
            program = mutate(program, self.rng)
        arch = self.rng.choice(("wse2", "wse3"))
        (self.folder / "layout.csl").write_text(layout, "utf-8", "surrogateescape")
        (self.folder / "pe.csl").write_text(program, "utf-8", "surrogateescape")
        begun = time.process_time()
        signal.signal(signal.SIGPROF, _too_long)
        signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
        try:
            compile_csl(self.folder / "layout.csl", arch=arch)
            self.outcomes["compiled"] += 1
        except CslError as error:
            self.outcomes["refused"] += 1
            if len(str(error)) > 20_000 or not str(error).strip():
                self.failures.append(("message", layout, program))
            if not error.line:
                self.outcomes["without a place"] += 1
        except (Exception, TooLong) as error:
            self.outcomes[type(error).__name__] += 1
            frames = traceback.extract_tb(error.__traceback__)
            self.where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[:-7:-1])
            self.failures.append((f"{arch} {type(error).__name__}: {error}", layout, program))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        spent = time.process_time() - begun
        if spent > max(5.0, self.slowest):
            self.slow = (layout, program)
        self.slowest = max(self.slowest, spent)


def peak_bytes() -> int:
    """The largest memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    """Run from the command line."""
    import tempfile

    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    with tempfile.TemporaryDirectory() as name:
        fuzzer = Fuzzer(Path(name), seed)
        seen: Counter[str] = Counter()
        for number in range(count):
            if number % 1000 == 0 and number:
                print(number, dict(fuzzer.outcomes), f"{fuzzer.slowest:.1f} s", flush=True)
            before = len(fuzzer.failures)
            fuzzer.step()
            for what, layout, program in fuzzer.failures[before:]:
                where = fuzzer.where
                key = re.sub(r"\d+", "N", what)[:60] + where
                seen[key] += 1
                if seen[key] == 1:
                    print(f"--- {number}: {what[:300]}\n    {where}", flush=True)
                    path = Path(f"fuzz_{seed}_{number}")
                    path.mkdir(exist_ok=True)
                    (path / "layout.csl").write_text(layout)
                    (path / "pe.csl").write_text(program)
        if fuzzer.slow is not None:
            print("slowest:", *fuzzer.slow, sep="\n")
        print(dict(fuzzer.outcomes), f"slowest {fuzzer.slowest:.1f} s, peak {peak_bytes() >> 20} MB")
        for key, times in seen.most_common():
            print(times, key)
    return len(fuzzer.failures)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
