"""What exchanges along a line of PEs share: where the line lies, registers, how its steps are run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wafersim.errors import ConfigError
from wafersim.program.schema import DsrFile

if TYPE_CHECKING:
    from wafersim.program import Layout, TileProgram

#: One vector op: called with its settings (``async_``, ``activate``) it emits the op.
Step = Callable[..., Any]

DTYPES = ("f32", "f16")
OPERATIONS = ("add", "max")
_SUFFIX = {"f32": "s", "f16": "h"}


@dataclass(frozen=True)
class PeLine:
    """Parallel lines of PEs in a layout: rows (``along`` x) or columns (y), PE 0 in the west or north.

    Attributes
    ----------
    along : str
        ``x`` or ``y``.
    pes : int
        PEs of a line.
    across : int
        Lines side by side, all with the same program.
    x, y : int
        PE 0 of the first line.
    """

    along: str
    pes: int
    across: int = 1
    x: int = 0
    y: int = 0

    @property
    def toward(self) -> str:
        """Direction to PE 0."""
        return "WEST" if self.along == "x" else "NORTH"

    @property
    def away(self) -> str:
        """Direction from PE 0."""
        return "EAST" if self.along == "x" else "SOUTH"

    def place(self, first: int, count: int = 1) -> dict[str, Any]:
        """The rectangle of ``count`` PEs from PE ``first`` on, in all lines."""
        if self.along == "x":
            return {"x": self.x + first, "y": self.y, "width": count, "height": self.across}
        return {"x": self.x, "y": self.y + first, "width": self.across, "height": count}


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """What an exchange along lines takes: where it is, its colors and queues, and what it computes.

    Attributes
    ----------
    line : PeLine
        Where.
    colors : tuple
        Colors; their meaning is the exchange's.
    in_queues, out_queues : tuple of int
        Queue numbers, likewise.
    dtype, op : str
        ``f32`` or ``f16``; ``add`` or ``max``.
    """

    line: PeLine
    colors: tuple[Any, ...]
    in_queues: tuple[int, ...]
    out_queues: tuple[int, ...]
    dtype: str = "f32"
    op: str = "add"


class Registers:
    """Descriptor registers from a number on, in each of the three files.

    With ``preload`` they hold their descriptors from the start.  Without, `load` fills them, and several
    exchanges of a tile can use the same numbers in turn.
    """

    def __init__(self, pe: TileProgram, first: int, preload: bool = True, step: int = 1) -> None:
        self.pe, self.preload, self.step = pe, preload, step
        self._next = dict.fromkeys(("dest", "src0", "src1"), first)
        self._held: list[tuple[Any, Any]] = []

    def hold(self, file: str, dsd: Any, most: int = 16) -> Any:
        """The next register of a file for a descriptor (the same one again for the same descriptor).

        The descriptor itself, which the builder loads before each op, if ``most`` registers are in use.
        """
        in_file = [(r, held) for r, held in self._held if r.file is DsrFile[file.upper()]]
        for register, held in in_file:
            if held is dsd:
                return register
        if len(in_file) >= most:
            return dsd
        number = self._next[file]
        self._next[file] += self.step
        known = self.pe.dsrs.get((DsrFile[file.upper()], number))
        register = self.pe.dsr(file, number) if known is None or self.preload else known
        if self.preload:
            self.pe.preload_dsr(register, dsd)
        self._held.append((register, dsd))
        return register

    def load(self) -> None:
        """Fill the registers, unless they are filled from the start."""
        if not self.preload:
            for register, dsd in self._held:
                self.pe.load_to_dsr(register, dsd)


def queue(pe: TileProgram, direction: str, number: int, color: Any) -> Any:
    """Queue ``number`` (``input`` or ``output``) of a tile with a color: a new one, or the one there is."""
    wanted = pe.layout.color_id(color)
    for known in pe.queues:
        same = (known.direction, known.id) == (int(direction == "output"), number)
        if same and known.color == wanted:
            return known
    make = pe.output_queue if direction == "output" else pe.input_queue
    return make(number, color)


def vector(pe: TileProgram, what: str, dtype: str) -> Callable[..., Any]:
    """The vector op ``mov``, ``add`` or ``max`` of a type."""
    return getattr(pe, f"f{what}{_SUFFIX[dtype]}")  # type: ignore[no-any-return]


class LineCode(ABC):
    """What one PE does in an exchange: vector ops that follow each other.

    Attributes
    ----------
    pe : TileProgram
        The tile.
    registers : Registers
        Where the descriptors are held.
    """

    pe: TileProgram
    registers: Registers
    #: steps at the end of the list that follow the PE's last word and only work on its own memory
    trailing: int = 0

    @abstractmethod
    def steps(self) -> list[Step]:
        """The vector ops in order."""

    def setup(self) -> None:  # noqa: B027
        """What the program does once before the first call (only a ring does anything)."""

    def emit(self) -> None:
        """The exchange here, one synchronous vector op after the other."""
        self.load()
        for step in self.steps():
            step()

    def load(self) -> None:
        """Fill the registers, unless they are filled from the start."""
        self.registers.load()
        if not self.registers.preload:
            self.setup()

    def start(self, done: Any, name: str) -> None:
        """Declare tasks ``name``_1, ... that run the exchange on microthreads; `launch` starts it.

        Each op's completion starts the local task that starts the next op; the last one activates ``done``.
        Call it outside of bodies, before the code that launches.
        """
        self._steps = self.steps()
        self._done = done
        self._tasks = [self.pe.local_task(f"{name}_{number}") for number in range(1, len(self._steps))]
        for number, task in enumerate(self._tasks, start=1):
            with task:
                self._launch(number)

    def launch(self) -> None:
        """Start the exchange declared with `start`, and go on."""
        self.load()
        self._launch(0)

    def _launch(self, number: int) -> None:
        following = self._tasks[number] if number < len(self._tasks) else self._done
        self._steps[number](async_=True, activate=following)


class Series(LineCode):
    """Exchanges of one tile that follow each other; one with registers of its own loads them itself."""

    def __init__(self, parts: Sequence[LineCode]) -> None:
        self.pe, self.registers, self.parts = parts[0].pe, parts[0].registers, parts
        self.trailing = parts[-1].trailing

    def setup(self) -> None:
        """What the parts do once."""
        for part in self.parts:
            if part.registers is self.registers:
                part.setup()

    def emit(self) -> None:
        """The parts one after the other."""
        self.load()
        for part in self.parts:
            part.emit()

    def steps(self) -> list[Step]:
        """The ops of all parts."""
        found = []
        for part in self.parts:
            steps = part.steps()
            if part.registers is not self.registers:
                steps[0] = _after(part.load, steps[0])
            found += steps
        return found


def _after(before: Callable[[], None], step: Step) -> Step:
    def both(**settings: Any) -> None:
        before()
        step(**settings)

    return both


def op_step(pe: TileProgram, what: str, dtype: str, *operands: Any) -> Step:
    """The vector op ``mov``, ``add`` or ``max`` of a type on operands."""
    return lambda **settings: vector(pe, what, dtype)(*operands, **settings)


def take_colors(layout: Layout, names: Sequence[str], given: Sequence[Any] | None) -> tuple[Any, ...]:
    """The colors of an exchange: those given, or new ones with these names."""
    if given is None:
        return tuple(layout.color(name) for name in names)
    if len(given) < len(names):
        raise ConfigError(f"{len(given)} colors given, the exchange needs {len(names)}: {', '.join(names)}")
    return tuple(given[: len(names)])


def take_queues(what: str, given: Sequence[int], needed: int) -> tuple[int, ...]:
    """The first ``needed`` of the queue numbers given; raises ConfigError if these are too few."""
    if len(given) < needed or len(set(given)) < len(given):
        raise ConfigError(f"{what}: {needed} different queue numbers needed, found {tuple(given)}")
    return tuple(given[:needed])
