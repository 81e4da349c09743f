"""`compare`: the causes and the effects of a difference between two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from wafersim.comparison.asked import asked
from wafersim.comparison.difference import Difference
from wafersim.comparison.effects import run_figures, where, work
from wafersim.comparison.program import programs

if TYPE_CHECKING:
    from wafersim.record import Record


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes
    ----------
    a, b : Record
        The runs.
    causes : list of Difference
        What one can change, in the order in which to look at it.
    effects : list of Difference
        What followed.
    notes : list of str
        What could not be compared, and why.
    """

    a: Record
    b: Record
    causes: list[Difference]
    effects: list[Difference]
    notes: list[str]

    @property
    def same(self) -> bool:
        """Whether the runs are equal in everything that a simulation decides."""
        return not self.causes and not self.effects

    def headline(self) -> str:
        """The answer in one sentence."""
        a, b = self.a, self.b
        if self.same:
            return f"the runs are the same: {a.cycles:,} cycles, {a.status}"
        if a.cycles == b.cycles:
            how = f"both take {a.cycles:,} cycles"
        else:
            factor = f" ({b.cycles / a.cycles:.3g} times)" if a.cycles else ""
            more = "more" if b.cycles > a.cycles else "less"
            how = f"B takes {abs(b.cycles - a.cycles):,} cycles {more}{factor}"
        causes = "; ".join(cause.text for cause in self.causes[:3])
        return f"{how}. What differs: {causes or 'nothing that was recorded'}"

    def lines(self) -> list[str]:
        """The comparison in words."""
        found = [self.headline(), "", "what was different:"]
        found += [f"  {cause.text}" for cause in self.causes] or ["  nothing that was recorded"]
        found += ["what followed:"]
        found += [f"  {effect.text}" for effect in self.effects] or ["  nothing"]
        return [*found, *(f"note: {note}" for note in self.notes)]

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "same": self.same,
            "text": self.headline(),
            "cycles": [self.a.cycles, self.b.cycles],
            "causes": [cause.as_json() for cause in self.causes],
            "effects": [effect.as_json() for effect in self.effects],
            "notes": self.notes,
        }


def compare(a: Record, b: Record) -> Comparison:
    """Compare two runs.

    Parameters
    ----------
    a, b : Record
        Fresh or loaded ones.

    Returns
    -------
    Comparison

    Notes
    -----
    Causes are looked for in this order: what was asked (kernel, parameters, grid, arch, seed, fidelity), the
    constants of the arch, the machine program (only if kernel, parameters and grid are equal: otherwise it
    differs because of them), and last the PEs that did another amount of work while the others did the same.

    Examples
    --------
    >>> import wafersim as ws
    >>> slow = ws.Arch.load("wse2").replace(hop_cycles=2)
    >>> found = ws.compare(ws.run("reduce", grid="6x1"), ws.run("reduce", slow, grid="6x1"))
    >>> found.causes[0].text
    'constant hop_cycles: 1 -> 2'
    """
    causes, notes = asked(a, b), []
    same_request = not any(
        cause.kind == "asked" and cause.what not in ("seed", "wafersim") for cause in causes
    )
    if same_request:
        found, note = _program(a, b)
        causes += found
        notes += note
    effects = run_figures(a, b) + where(a, b)
    if not any(cause.kind != "asked" for cause in causes) and same_request:
        causes += work(a, b)
    if not a.counted or not b.counted:
        notes.append("a run at fidelity stream counts nothing per PE: only whole figures are compared")
    elif a.has_tile.shape != b.has_tile.shape:
        notes.append("the grids differ in size: PEs and links are not compared one by one")
    if effects and not causes:
        text = "nothing that was recorded differs: inputs written by the host are not part of a record"
        causes.append(Difference("unknown", "inputs", None, None, text))
    return Comparison(a, b, causes, effects, notes)


def _program(a: Record, b: Record) -> tuple[list[Difference], list[str]]:
    """Differences of the machine programs, if both are known."""
    if a.source is None or b.source is None:
        return [], ["a record without its source does not say which program ran"]
    one, other = a.source.program(), b.source.program()
    if one is None or other is None:
        tables = [n for n, digest in a.source.digests.items() if b.source.digests.get(n, digest) != digest]
        found = [
            Difference("table", name, None, None, f"table {name} of the program differs") for name in tables
        ]
        return found, ["a program was too large to be kept: its tables are compared by their digests"]
    if not np.array_equal(one.tables["grid"], other.tables["grid"]):
        return [], ["the programs have different grids and are not compared"]
    return programs(one, other), []
