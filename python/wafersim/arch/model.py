"""An arch: every constant of a generation with unit, source and confidence."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from wafersim.arch.fields import DERIVED, fields
from wafersim.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


_HEX = (
    "switchable_mask",
    "color_config_base",
    "switch_config_base",
    "counter_config_base",
    "queue_config_base",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """One value of an arch and where it comes from.

    ``confidence`` is a key of ``CONFIDENCES``; ``fitted_on`` lists the published rows of a fit.
    """

    name: str
    value: Any
    unit: str
    source: str
    confidence: str
    description: str
    note: str = ""
    fitted_on: tuple[str, ...] = ()

    def plain_value(self) -> Any:
        """The value as JSON and TOML have it: lists, and the name of a mode."""
        if isinstance(self.value, enum.Enum):
            return self.value.name
        return list(self.value) if isinstance(self.value, tuple) else self.value

    def text(self) -> str:
        """The value for people: hexadecimal masks and addresses, ``9/4`` for a pace."""
        value = self.plain_value()
        if isinstance(value, bool):
            return "yes" if value else "no"
        if self.name in _HEX and value >= 0:
            return f"{value:#x}"
        if isinstance(value, list):
            return ("/" if self.name.endswith(".pace") else " ").join(map(str, value))
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    def provenance(self) -> str:
        """The source, and the rows of a fit."""
        return self.source + (f" [fitted on {', '.join(self.fitted_on)}]" if self.fitted_on else "")

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        out = dataclasses.asdict(self) | {"value": self.plain_value(), "fitted_on": list(self.fitted_on)}
        return {k: v for k, v in out.items() if k not in ("note", "fitted_on") or v}


class VOpTiming(TypedDict):
    """Timing of one vector op: elements per beat, issue slots per beat, ``[num, den]`` cycles per beat."""

    simd: int
    beat_cycles: int
    pace: list[int]


class Arch:
    """The constants of a machine; immutable.

    The schema of the machine program is imported where it is used: its room stands above this one.

    Values are attributes (``arch.hop_cycles``); ``arch.get("hop_cycles")`` also has unit, source and
    confidence.  Make one with :meth:`load` or, from another one, with :meth:`replace`.
    """

    __slots__ = ("_constants", "_fingerprint", "_made", "base", "name", "title")

    name: str
    title: str
    #: The preset it starts from (of a preset: itself).
    base: str
    _constants: dict[str, Constant]
    _fingerprint: str
    _made: dict[str, npt.NDArray[Any]]

    def __init__(self, name: str, title: str, base: str, constants: Mapping[str, Constant]) -> None:
        for key, value in (("name", name), ("title", title), ("base", base), ("_constants", dict(constants))):
            object.__setattr__(self, key, value)
        object.__setattr__(self, "_fingerprint", "")
        object.__setattr__(self, "_made", {})

    @staticmethod
    def load(name_or_path: str | Path | Arch) -> Arch:
        """A preset by name, or a user's TOML file by path.

        Raises
        ------
        ConfigError
            Unknown name, or a file with faults (all of them, one line each).
        """
        from wafersim.arch.loader import load

        return load(name_or_path)

    @staticmethod
    def names() -> tuple[str, ...]:
        """Names of the presets."""
        from wafersim.arch.loader import preset_names

        return preset_names()

    def get(self, name: str) -> Constant:
        """A constant by dotted name (``hop_cycles``, ``vop.fmacs.pace``, ``num_iq``).

        Raises
        ------
        ConfigError
            No such constant, or this arch has no value for it.
        """
        if name in self._constants:
            return self._constants[name]
        if name in DERIVED:
            d = DERIVED[name]
            parent = self._constants[d.parent]
            return dataclasses.replace(parent, name=name, value=len(parent.value), unit="queues",
                                       description=d.description)  # fmt: skip
        if name in fields():
            raise ConfigError(f"arch {self.name}: {name}: no public value is known")
        from wafersim.arch.checks import closest

        hint = closest(name, (*fields(), *DERIVED))
        raise ConfigError(f"arch {self.name}: {name}: unknown constant. {hint}".rstrip())

    def has(self, name: str) -> bool:
        """Whether this arch has a value for the constant."""
        return name in self._constants or name in DERIVED

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self.get(name).value
        except ConfigError as e:
            raise AttributeError(str(e)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an arch does not change; use arch.replace({name}=...)")

    def __iter__(self) -> Iterator[Constant]:
        return iter(self._constants.values())

    def __len__(self) -> int:
        return len(self._constants)

    @property
    def vop(self) -> dict[str, VOpTiming]:
        """Timing of each vector op, by name."""
        from wafersim.program.schema import VOp

        c = self._constants
        return {
            op.name: {
                "simd": c[f"vop.{op.name}.simd"].value,
                "beat_cycles": c[f"vop.{op.name}.beat_cycles"].value,
                "pace": list(c[f"vop.{op.name}.pace"].value),
            }
            for op in VOp
        }

    @property
    def switchable_colors(self) -> tuple[int, ...]:
        """Colors that can have switch positions."""
        return tuple(c for c in range(self.num_colors) if self.switchable_mask >> c & 1)

    def seconds(self, cycles: int) -> float:
        """Time of a number of cycles at this arch's clock, in seconds."""
        return cycles / float(self.clock_hz)

    def ints(self) -> npt.NDArray[np.int64]:
        """The constants the engine reads, int64 ``[ARCH_INTS]``, laid out as ``ArchInt``; unused slots 0."""
        if "ints" not in self._made:
            self._made["ints"] = self._ints()
        return self._made["ints"].copy()

    def _ints(self) -> npt.NDArray[np.int64]:
        import numpy as np

        from wafersim.program.schema import ARCH_INTS, ArchInt

        out = np.zeros(ARCH_INTS, dtype=np.int64)
        for slot in ArchInt:
            if slot in (ArchInt.IQ_DEPTH0, ArchInt.OQ_DEPTH0):
                depths = self.get(slot.name[:-1].lower()).value
                out[slot : slot + len(depths)] = depths
            else:
                out[slot] = int(self.get(slot.name.lower()).value)
        return out

    def vop_costs(self) -> npt.NDArray[np.int32]:
        """Timing of the vector ops, int32 ``[len(VOp), 4]`` with the columns of ``VOpCost``."""
        if "vop_costs" not in self._made:
            self._made["vop_costs"] = self._vop_costs()
        return self._made["vop_costs"].copy()

    def _vop_costs(self) -> npt.NDArray[np.int32]:
        import numpy as np

        from wafersim.program.schema import VOp, VOpCost

        out = np.zeros((len(VOp), len(VOpCost)), dtype=np.int32)
        for name, t in self.vop.items():
            out[VOp[name]] = (t["simd"], t["beat_cycles"], *t["pace"])
        return out

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the values; equal for equal values, whatever name and sources."""
        if not self._fingerprint:
            plain = {c.name: c.plain_value() for c in self}
            text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
            object.__setattr__(self, "_fingerprint", hashlib.sha256(text.encode("ascii")).hexdigest())
        return self._fingerprint

    def replace(
        self,
        *,
        name: str | None = None,
        source: str = "set by the caller",
        confidence: str = "choice",
        **values: Any,
    ) -> Arch:
        """A copy with other values: ``arch.replace(hop_cycles=3, vop={"fmacs": {"beat_cycles": 2}})``.

        Parameters
        ----------
        name
            Name of the copy; by default the old one with a ``*``.
        source, confidence
            Provenance of the new values.
        values
            New values by name; dotted names (``**{"vop.fmacs.simd": 2}``) work too.

        Raises
        ------
        ConfigError
            Unknown name or a value that is not allowed (all faults, one line each).
        """
        from wafersim.arch.loader import replace

        return replace(self, name, source, confidence, values)

    def changes(self) -> list[Constant]:
        """Constants whose value or provenance differs from the preset this arch starts from."""
        base = Arch.load(self.base)
        return [c for c in self if not base.has(c.name) or base.get(c.name) != c]

    def to_toml(self) -> str:
        """A TOML file that :meth:`load` reads back to an equal arch."""
        from wafersim.arch.writer import to_toml

        return to_toml(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arch) and self.name == other.name and self._constants == other._constants

    def __hash__(self) -> int:
        return hash((self.name, self.fingerprint()))

    def __repr__(self) -> str:
        return f"<Arch {self.name}: {self.title}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Arch, (self.name, self.title, self.base, self._constants)
