"""Compile the layout of every ``commands_*.sh`` under a folder and print a table of failures by reason.

    python tests/csl/compile_examples.py FOLDER [-k TEXT] [--front] [--traces]

``--front`` stops before lowering.  Nothing is run; `conformance.py` does that.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
import traceback
from collections import defaultdict
from pathlib import Path

from wafersim.csl.compile import compile_csl, deep_recursion, evaluate_layout, instances, prepare
from wafersim.errors import WafersimError


def commands(script: Path) -> list[list[str]]:
    """The compile commands of a script, as lists of words."""
    text = script.read_text().replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.strip().startswith("cslc ")]


def options(words: list[str]) -> dict:
    """What the words of a compile command say, as arguments of `compile_csl`."""
    found: dict = {"params": {}, "colors": {}}
    flat = [w for word in words for w in (word.split("=", 1) if word.startswith("--") else [word])]
    it = iter(flat)
    for word in it:
        if word in (
            "--arch",
            "--fabric-dims",
            "--fabric-offsets",
            "--import-path",
            "-o",
            "--channels",
            "--sdk",
        ):
            value = next(it)
            if word == "--arch":
                found["arch"] = value
            elif word.startswith("--fabric"):
                found[word[2:].replace("-", "_")] = tuple(int(x) for x in value.split(","))
            elif word == "--import-path":
                found.setdefault("import_paths", []).append(value)
        elif word in ("--params", "--colors"):
            for item in next(it).split(","):
                if item:
                    name, value = item.split(":")
                    found[word[2:]][name.strip()] = value
        elif word.endswith(".csl"):
            found["source"] = word
        elif word == "--memcpy":
            found["memcpy"] = True
    return found


def compile_one(folder: Path, words: list[str], front: bool) -> None:
    """Compile one command."""
    given = options(words)
    given["source"] = str(folder / given["source"])
    given["import_paths"] = [folder / p for p in given.get("import_paths", [])]
    given.setdefault("arch", "wse2")
    if not front:
        compile_csl(**given)
        return
    ready = prepare(**given)
    with deep_recursion():
        instances(ready, evaluate_layout(ready))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-k", default="")
    parser.add_argument("--front", action="store_true")
    parser.add_argument("--traces", action="store_true")
    args = parser.parse_args()
    failures: dict[str, list[str]] = defaultdict(list)
    total = good = 0
    for script in sorted(args.folder.rglob("commands_*.sh")):
        label = f"{script.parent.relative_to(args.folder)}/{script.stem.removeprefix('commands_')}"
        if args.k not in label:
            continue
        for words in commands(script):
            total += 1
            start = time.process_time()
            try:
                compile_one(script.parent, words, args.front)
                good += 1
            except WafersimError as error:
                failures[str(error).replace(str(args.folder), "")].append(label)
            except Exception as error:
                trace = traceback.format_exc() if args.traces else ""
                last = traceback.extract_tb(error.__traceback__)[-1]
                failures[f"{trace}{type(error).__name__}: {error} ({last.filename}:{last.lineno})"].append(
                    label
                )
            took = time.process_time() - start
            if took > 2:
                print(f"slow: {label} {took:.1f} s")
    for reason, where in sorted(failures.items(), key=lambda item: -len(item[1])):
        names = sorted({re.sub(r"/wse", " wse", w) for w in where})
        print(f"--- {len(where)}: {', '.join(names)}\n{reason}")
    print(f"{good} of {total} compile")
    return good != total


if __name__ == "__main__":
    sys.exit(main())
