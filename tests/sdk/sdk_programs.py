"""Small programs in the compiler's output folder, made with the builder, and scripts that run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import wafersim as ws
from wafersim.sdk.folder import Folder

WIDTH, HEIGHT = 3, 2


def doubling(path):
    """3x2 PEs with u32 x[4], u16 h[4]; `twice(n: i16)` doubles x and stores n; tiles of odd columns lie elsewhere.

    ``p`` is a pointer in SRAM to the second element of x.
    """
    first = _doubling_program({})
    program = _doubling_program({key: at["address"] + 4 for key, at in first.meta["symbols"]["x"].items()})
    exports = [
        {"id": 0, "name": "x", "kind": "Var", "type": "[*]u32", "mutable": True},
        {"id": 1, "name": "h", "kind": "Var", "type": "[*]u16", "mutable": True},
        {"id": 2, "name": "seen", "kind": "Var", "type": "[*]i16", "mutable": True},
        {"id": 3, "name": "twice", "kind": "Func", "type": "fn(i16)void", "mutable": False},
        {"id": 4, "name": "never", "kind": "Func", "type": "fn()void", "mutable": False},
        {"id": 5, "name": "p", "kind": "Var", "type": "[*]u32", "mutable": True},
    ]
    pointers = {key: at["address"] for key, at in program.meta["symbols"]["x_ptr"].items()}
    program.meta["csl"] = {
        "arch": "wse2", "fabric_dims": [10, 4], "fabric_offsets": [4, 1], "exports": exports, "pointers": {"p": pointers},
    }  # fmt: skip
    folder = Folder(path, program, {"M": 4, "N": 6}, {"red": 3})
    folder.save()
    return folder


def _doubling_program(pointers):
    lay = ws.Layout(WIDTH, HEIGHT, name="doubling")
    for number, columns in enumerate(((0, 2), (1,))):
        pe = lay.tile(f"pe{number}")
        if number:
            pe.array("padding", "u32", 5, init=0)
        x = pe.array("x", "u32", 4, init=np.arange(4), export=True)
        pe.array("h", "u16", 4, init=0, export=True)
        seen = pe.array("seen", "i16", 1, init=0, export=True)
        pe.array("x_ptr", "u16", 1, init=pointers.get(f"tile:{number}", 0), export=True)
        with pe.function("twice", args=[("n", "i16")]) as (n,):
            for i in range(4):
                value = pe.load(x, i)
                pe.store(x, i, value + value)
            pe.store(seen, 0, n)
            pe.done()
        with pe.function("never"):
            pe.store(seen, 0, -1)
        for column in columns:
            lay.place(pe, x=column, height=HEIGHT)
    return lay.build()


def environment():
    """Variables for another process that finds this package, wherever it runs."""
    package = str(Path(ws.__file__).resolve().parent.parent)
    return os.environ | {"PYTHONPATH": os.pathsep.join([package, os.environ.get("PYTHONPATH", "")])}


def wafersim(*arguments, cwd):
    """The finished process of a command line of ours."""
    command = [sys.executable, "-m", "wafersim", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=120)


def run_script(path, source, *options, cwd):
    """Run a host script in a process of its own; the finished process."""
    path.write_text(source)
    return wafersim("python", *options, path, cwd=cwd)


def document(path):
    return json.loads((path / "out.json").read_text())
