"""Small PE programs for the tests of lowering: text in, memory of the PEs out."""

from __future__ import annotations

from typing import Any

import numpy as np

import wafersim as ws
from wafersim.csl.classes import resolve
from wafersim.csl.compile import deep_recursion, evaluate_layout, prepare
from wafersim.csl.emit.place import place_tile
from wafersim.csl.emit.routes import RouteWriter
from wafersim.csl.lower.tile import lower

LAYOUT = """
layout {{
  @set_rectangle({width}, {height});
  for (@range(u16, {height})) |y| {{ for (@range(u16, {width})) |x| {{
    @set_tile_code(x, y, "pe.csl", .{{ {params} }});
  }} }}
  {more}
}}
"""


class Built:
    """A compiled program: its machine program, lowered tiles, and a simulator once it runs."""

    def __init__(
        self,
        text: str,
        *,
        arch: str = "wse2",
        width: int = 1,
        height: int = 1,
        params: str = "",
        more: str = "",
        files: dict[str, str] | None = None,
    ) -> None:
        source = LAYOUT.format(width=width, height=height, params=params, more=more)
        ready = prepare("layout.csl", arch, source_text=source)
        ready.loader.texts.update({**(files or {}), "pe.csl": text})
        self.layout = ws.Layout(width, height, arch=f"{arch}-sdk", name="test")
        with deep_recursion():
            result = evaluate_layout(ready)
            number = iter(range(1000))
            found = list(
                resolve(
                    result, ready.options, ready.loader, lambda p: lower(p, self.layout, f"pe{next(number)}")
                )
            )
        writer = RouteWriter(self.layout)
        for config in result.colors:
            writer.add_layout(config)
        self.tiles = [lowered for _, lowered in found]
        for instance, lowered in found:
            writer.add_local(instance)
            place_tile(self.layout, lowered.tile, instance.xs, instance.ys, lowered.params)
            for var in instance.variables:
                if var.mutable and var.module is instance.root and var in lowered.arrays:
                    lowered.arrays[var].export = True
        self.program = self.layout.build()
        self.arch = f"{arch}-sdk"
        self.sim: Any = None

    def run(self, *launches: tuple[Any, ...], **values: Any) -> Built:
        """Write arrays, launch functions one after the other, run."""
        self.sim = ws.Simulator(self.program, arch=self.arch)
        for name, value in values.items():
            self.sim.write(name, value)
        for name, *args in launches or (("main",),):
            known = self.program.meta["functions"][name]["args"]
            self.sim.launch(name, **dict(zip([a[0] for a in known], args, strict=True)))
            self.record = self.sim.run()
        return self

    def read(self, name: str) -> np.ndarray:
        """An array ``[height, width, *shape]``; one PE: ``[*shape]``."""
        found = np.asarray(self.sim.read(name))
        return found[0, 0] if found.shape[:2] == (1, 1) else found

    def value(self, name: str) -> Any:
        """A scalar variable of the only PE."""
        return self.read(name).reshape(-1)[0]

    def code(self, name: str) -> list[str]:
        """The instructions of a task or function, by operation."""
        bodies = [b for t in self.tiles for b in t.tile.bodies if b.name == name]
        return [i.op.name for i in bodies[0].code]


def build(text: str, **options: Any) -> Built:
    """Compile a PE program."""
    return Built(text, **options)


def run(text: str, *launches: tuple[Any, ...], **options: Any) -> Built:
    """Compile a PE program that exports ``main``, and run it."""
    return Built(text, **options).run(*launches)
