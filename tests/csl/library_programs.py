"""Compiles and runs the programs of ``tests/csl/programs``, each on a rectangle of PEs with a layout made here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import wafersim as ws
from wafersim.csl.compile import Compiled, compile_csl

PROGRAMS = Path(__file__).parent / "programs"

LAYOUT = """
{head}
layout {{
  @set_rectangle({width}, {height});
  for (@range(u16, {width})) |x| {{
    for (@range(u16, {height})) |y| {{
      @set_tile_code(x, y, "{program}.csl", .{{ {params} }});
    }}
  }}
  @export_name("main", fn() void);
}}
"""


@dataclass
class Ran:
    """A finished run: the simulator, the record and what was compiled."""

    sim: ws.Simulator
    record: Any
    compiled: Compiled

    def read(self, name: str) -> np.ndarray:
        """A symbol on all PEs, [y, x, ...]."""
        return self.sim.read(name)


def run(
    program: str,
    arch: str,
    *,
    width: int = 1,
    height: int = 1,
    params: str = "",
    head: str = "",
    data: dict[str, Any] | None = None,
) -> Ran:
    """Compile, write ``data`` ([y, x, ...] or one PE's), launch ``main`` and run to the end."""
    text = LAYOUT.format(head=head, width=width, height=height, program=program, params=params)
    compiled = compile_csl(PROGRAMS / f"{program}_layout.csl", arch=arch, source_text=text)
    sim = ws.Simulator(compiled.program, arch=f"{arch}-sdk")
    for name, values in (data or {}).items():
        values = np.asarray(values)
        whole = np.broadcast_to(values, (height, width, *values.shape)) if values.ndim < 3 else values
        sim.write(name, whole)
    sim.launch("main")
    record = sim.run()
    assert record.status == "finished", (program, arch, record.status, getattr(record, "stuck", None))
    return Ran(sim, record, compiled)
