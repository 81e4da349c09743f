"""The small types of the host interface: enumerations, tasks, platforms, compile artifacts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from wafersim.errors import ConfigError

if TYPE_CHECKING:
    from wafersim.sdk.streams import Pending

PathLike = str | os.PathLike[str]


class MemcpyDataType(Enum):
    """Size of the elements on the device in copy mode."""

    MEMCPY_16BIT = 0
    MEMCPY_32BIT = 1


class MemcpyOrder(Enum):
    """How a host array ``A[h][w][elements]`` is wrapped into one dimension."""

    ROW_MAJOR = 0
    COL_MAJOR = 1


class SdkTarget(Enum):
    """Generation of the machine."""

    WSE2 = 2
    WSE3 = 3

    @property
    def arch(self) -> str:
        """The compiler's name of the target."""
        return self.name.lower()


class FP16TYPE(Enum):
    """What ``f16`` means on the device."""

    F16 = 0
    BF16 = 1
    CB16 = 2


@dataclass(frozen=True)
class SimfabConfig:
    """Options of the vendor's simulator; those that change no value are accepted and unused."""

    num_threads: int = 16
    suppress_trace: bool = False
    dump_core: bool = False
    core_path: PathLike | None = None


@dataclass(frozen=True)
class SdkExecutionPlatform:
    """Where programs run: here always a simulated machine of one generation."""

    target: SdkTarget = SdkTarget.WSE3
    config: SimfabConfig = field(default_factory=SimfabConfig)

    def is_simulation(self) -> bool:
        """True."""
        return True

    def is_system(self) -> bool:
        """False."""
        return False


class SdkCompileArtifacts:
    """A compiled program: the path of its output folder."""

    def __init__(self, artifacts_path: PathLike) -> None:
        self.path = Path(artifacts_path)

    def add_port_mapping(self, file: PathLike) -> SdkCompileArtifacts:
        """The same artifacts; the folder holds its ports itself."""
        if not Path(file).exists():
            raise ConfigError(f"port mapping {file}: no such file")
        return self


class Task:
    """Handle of one host command."""

    def __init__(self, pending: Pending | None = None) -> None:
        self.pending = pending

    @property
    def is_done(self) -> bool:
        """Whether the command is complete."""
        return self.pending is None or self.pending.is_done


def refuse_system(cmaddr: object) -> None:
    """Raise if the script asks for a real system."""
    if cmaddr:
        raise ConfigError(
            f"cmaddr={cmaddr!r}: there is no system here, programs run on a simulated machine; leave "
            "the address "
            "out (WAFERSIM_ARCH_WSE2 / WAFERSIM_ARCH_WSE3 choose the profile, e.g. wse3 for silicon)"
        )


def get_platform(
    cmaddr: str | None = None,
    config: SimfabConfig | None = None,
    target: SdkTarget = SdkTarget.WSE3,
    *,
    addr: str | None = None,
) -> SdkExecutionPlatform:
    """The simulated machine of a generation."""
    refuse_system(cmaddr or addr)
    return SdkExecutionPlatform(target, config or SimfabConfig())


def get_simulator(
    config: SimfabConfig | None = None, target: SdkTarget = SdkTarget.WSE3
) -> SdkExecutionPlatform:
    """The simulated machine of a generation."""
    return SdkExecutionPlatform(target, config or SimfabConfig())


def get_system(cmaddr: str) -> SdkExecutionPlatform:
    """Raises: there is no system here."""
    refuse_system(cmaddr or "''")
    raise AssertionError("unreachable")
