"""The payload of a control wavelet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from wafersim.errors import ProgramError
from wafersim.program.schema import SwitchCommand

#: A command by name, or a name and whether the CE of the router that acts on it must not get the wavelet.
Command: TypeAlias = "str | tuple[str, bool]"
MAX_COMMANDS = 8


def control_payload(task: int = 0, commands: Sequence[Command] | str = (), *, data: int | None = None) -> int:
    """The 32 payload bits of a control wavelet.

    ``task`` is the id of the control task it starts (0..63).  ``commands``: up to eight of nop, advance,
    reset, teardown, each acted on by one router, as a name or ``(name, ignore)`` with ignore = not to be
    delivered to that router's CE.  ``data``: low 16 bits for the task; they overlap the commands from the
    third on (its ignore bit).
    """
    names = [commands] if isinstance(commands, str) else list(commands)
    if not 0 <= task <= 63:
        raise ProgramError(f"control wavelet: task id {task} is outside 0 .. 63")
    if len(names) > MAX_COMMANDS:
        raise ProgramError(f"control wavelet: {len(names)} commands; at most {MAX_COMMANDS} are allowed")
    field = 0
    for k, command in enumerate(names):
        name, ignore = (command, False) if isinstance(command, str) else command
        try:
            code = SwitchCommand[name.upper()]
        except KeyError:
            allowed = ", ".join(c.name.lower() for c in SwitchCommand)
            raise ProgramError(f"control wavelet: unknown command {name!r}; allowed are {allowed}") from None
        field |= (int(code) | int(ignore) << 2) << (3 * k)
    if data is not None:
        if len(names) > 2:
            raise ProgramError(
                "control wavelet: data and the commands use the same bits; give at most two commands"
            )
        if not 0 <= data <= 0xFFFF:
            raise ProgramError(f"control wavelet: data {data} is outside 0 .. 65535")
        field |= data << 8
    return (field & 0xFF) << 22 | task << 16 | field >> 8


def decode_payload(payload: int) -> tuple[int, list[tuple[SwitchCommand, bool]]]:
    """Task id and the eight (command, ignore) pairs of a payload."""
    field = (payload >> 22) & 0xFF | (payload & 0xFFFF) << 8
    pairs = [
        (SwitchCommand(field >> (3 * k) & 3), bool(field >> (3 * k + 2) & 1)) for k in range(MAX_COMMANDS)
    ]
    return payload >> 16 & 0x3F, pairs
