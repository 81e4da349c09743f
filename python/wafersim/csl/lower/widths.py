"""Element widths of descriptors.

A descriptor of CSL does not say how wide its elements are: the op that uses it does.  A slot of the machine
program holds the width.  So slots get their widths when all code is known, and a descriptor that ops of both
widths use gets a second slot; whatever changes the first one changes the second as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wafersim.program.descriptors import Dsd
from wafersim.program.instr import Body, DsrNumber, Instr, Label
from wafersim.program.schema import CodeFlag, DescSpace, DsdKind, DsrFile, Op

if TYPE_CHECKING:
    from wafersim.program.tile import TileProgram


@dataclass(slots=True, eq=False)
class _Load:
    instr: Instr
    dsds: tuple[Dsd, ...]
    width: int


class Widths:
    """Collects how descriptors are used and gives the slots their widths in the end."""

    def __init__(self, tile: TileProgram) -> None:
        self.tile = tile
        self._natural: dict[int, int] = {}
        self._used: dict[int, list[int]] = {}
        self._loads: list[_Load] = []
        self._explicit: dict[int, tuple[Instr, tuple[Dsd, ...]]] = {}
        self._copies: list[tuple[Instr, Dsd, tuple[Dsd, ...]]] = []
        self._ops: dict[int, dict[tuple[DsrFile, int], int]] = {}
        self._twins: dict[tuple[int, int], Dsd] = {}

    def natural(self, dsd: Dsd, width: int) -> None:
        """The width of the array a descriptor was made for, used where no op says another."""
        self._natural[dsd.slot] = width

    def like(self, dsd: Dsd, model: Dsd) -> None:
        """The same natural width as another slot's."""
        if model.slot in self._natural:
            self._natural.setdefault(dsd.slot, self._natural[model.slot])

    def loaded(self, instr: Instr, dsds: tuple[Dsd, ...], width: int) -> None:
        """A LOAD_DSR for one op of a known width."""
        self._loads.append(_Load(instr, dsds, width))

    def loaded_explicit(self, instr: Instr, dsds: tuple[Dsd, ...]) -> None:
        """A LOAD_DSR of the program's own (``@load_to_dsr``): later ops say the width."""
        self._explicit[id(instr)] = (instr, dsds)

    def op(self, instr: Instr, dsrs: dict[tuple[DsrFile, int], int]) -> None:
        """A vector op that uses explicit DSRs with these widths."""
        self._ops[id(instr)] = dsrs

    def copied(self, instr: Instr, target: Dsd, sources: tuple[Dsd, ...]) -> None:
        """A DSD_COPY."""
        self._copies.append((instr, target, sources))

    # --- end ---------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Give every slot its width, make second slots, patch the instructions."""
        self._resolve_explicit()
        for load in self._loads:
            for dsd in load.dsds:
                self._use(dsd, load.width)
        self._propagate()
        for dsd in list(self.tile.dsds):
            widths = self._used.get(dsd.slot) or [self._natural.get(dsd.slot, 4)]
            if dsd.kind is DsdKind.FIFO:
                continue
            dsd.elem_bytes = widths[0]
            for other in widths[1:]:
                self._twins[dsd.slot, other] = self._twin(dsd, other)
        self._patch()

    def _use(self, dsd: Dsd, width: int) -> bool:
        widths = self._used.setdefault(dsd.slot, [])
        if width and width not in widths:
            widths.append(width)
            return True
        return False

    def _resolve_explicit(self) -> None:
        """The width of a load: that of the next op on the DSR in the same body, else in other bodies."""
        waiting: list[tuple[Instr, tuple[Dsd, ...], tuple[DsrFile, int]]] = []
        everywhere: dict[tuple[DsrFile, int], list[int]] = {}
        for body in self.tile.bodies:
            ahead: dict[tuple[DsrFile, int], int] = {}
            for instr in reversed(body.code):
                for dsr, width in self._ops.get(id(instr), {}).items():
                    ahead[dsr] = width
                    if width not in everywhere.setdefault(dsr, []):
                        everywhere[dsr].append(width)
                if id(instr) in self._explicit:
                    dsds = self._explicit[id(instr)][1]
                    assert isinstance(instr.dst, DsrNumber) and isinstance(instr.dst.dsr, tuple)
                    if instr.dst.dsr in ahead:
                        self._loads.append(_Load(instr, dsds, ahead[instr.dst.dsr]))
                    else:
                        waiting.append((instr, dsds, instr.dst.dsr))
        for instr, dsds, dsr in waiting:
            widths = everywhere.get(dsr, [])
            natural = self._natural.get(dsds[0].slot, 0)
            width = natural if natural in widths or not widths else widths[0]
            self._loads.append(_Load(instr, dsds, width))

    def _propagate(self) -> None:
        """What is copied into a descriptor is used with its widths."""
        changed = True
        while changed:
            changed = False
            for _, target, sources in self._copies:
                for width in self._used.get(target.slot, []):
                    for source in sources:
                        changed = self._use(source, width) or changed

    def _twin(self, dsd: Dsd, width: int) -> Dsd:
        twin = self.tile._new_dsd(
            kind=dsd.kind, elem_bytes=width, extents=dsd.extents, strides=dsd.strides, array=dsd.array,
            byte_offset=dsd.byte_offset, queue=dsd.queue, color=dsd.color, control=dsd.control,
            index_offset=dsd.index_offset, advance_switch=dsd.advance_switch, name=dsd.name,
        )  # fmt: skip
        return twin

    def _slot(self, dsd: Dsd, width: int) -> int:
        twin = self._twins.get((dsd.slot, width))
        return twin.slot if twin is not None and dsd.elem_bytes != width else dsd.slot

    def _patch(self) -> None:
        for load in self._loads:
            if len(load.dsds) == 1 and load.width:
                load.instr.a = self._slot(load.dsds[0], load.width)
        extra: dict[int, list[Instr]] = {}
        for instr, target, sources in self._copies:
            if instr.flags & CodeFlag.SLOT_REG:
                continue
            instr.a = self._slot(sources[0], target.elem_bytes)
            for width in self._used.get(target.slot, [])[1:]:
                copy = Instr(
                    Op.DSD_COPY, instr.where, dst=self._slot(target, width), a=self._slot(sources[0], width)
                )
                extra.setdefault(id(instr), []).append(copy)
        if self._twins:
            self._add_sets(extra)
        if extra:
            for body in self.tile.bodies:
                add_behind(body, extra)

    def _add_sets(self, extra: dict[int, list[Instr]]) -> None:
        for body in self.tile.bodies:
            for instr in body.code:
                if instr.op is not Op.DSD_SET or not isinstance(instr.dst, int):
                    continue
                if instr.dst >> 16 != DescSpace.SLOT or instr.flags & CodeFlag.SLOT_REG:
                    continue
                for (slot, _), twin in self._twins.items():
                    if slot == instr.dst & 0xFFFF:
                        same = Instr(
                            Op.DSD_SET, instr.where, dst=twin.slot, a=instr.a, imm=instr.imm, imm2=instr.imm2,
                            flags=instr.flags,
                        )  # fmt: skip
                        extra.setdefault(id(instr), []).append(same)


def add_behind(body: Body, extra: dict[int, list[Instr]]) -> None:
    """Insert instructions behind others and move the labels."""
    labels = {id(i.imm): i.imm for i in body.code if isinstance(i.imm, Label)}
    places = []
    code: list[Instr] = []
    for instr in body.code:
        places.append(len(code))
        code.append(instr)
        code.extend(extra.get(id(instr), ()))
    places.append(len(code))
    for label in labels.values():
        label.pos = places[label.pos]
    body.code[:] = code
