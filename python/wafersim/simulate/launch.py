"""Functions that the host can launch: names, numbers, typed arguments."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from wafersim.errors import ConfigError
from wafersim.simulate.values import argument_bits


class FunctionTable:
    """The launchable functions of a program (its ``meta["functions"]``)."""

    def __init__(self, functions: Mapping[str, Mapping[str, Any]]) -> None:
        self._functions = {
            name: (int(entry["number"]), [(str(arg), str(kind)) for arg, kind in entry.get("args", [])])
            for name, entry in functions.items()
        }

    @property
    def names(self) -> list[str]:
        return sorted(self._functions)

    def signature(self, name: str) -> str:
        """``name(arg: type, ...)``."""
        _, wanted = self._find(name)
        return f"{name}({', '.join(f'{arg}: {kind}' for arg, kind in wanted)})"

    def arguments(self, name: str) -> list[tuple[str, str]]:
        """``(name, type)`` of each argument."""
        return list(self._find(name)[1])

    def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[int, list[int]]:
        """Number of the function and the raw 64-bit arguments.

        Raises
        ------
        ConfigError
            Unknown function; missing, surplus or unknown argument; value that the type cannot hold.
        """
        number, wanted = self._find(name)
        given = dict(zip((arg for arg, _ in wanted), args, strict=False))
        twice = sorted(given.keys() & kwargs.keys())
        unknown = sorted(kwargs.keys() - {arg for arg, _ in wanted})
        missing = [arg for arg, _ in wanted if arg not in given and arg not in kwargs]
        for problem, names in (("given twice", twice), ("unknown", unknown), ("missing", missing)):
            if names:
                raise ConfigError(
                    f"launch: argument {names[0]!r} is {problem}; {self.signature(name)} wanted"
                )
        if len(args) > len(wanted):
            raise ConfigError(f"launch: {len(args)} arguments given, {self.signature(name)} wanted")
        given |= kwargs
        return number, [argument_bits(given[arg], kind, f"{name}, argument {arg!r}") for arg, kind in wanted]

    def _find(self, name: str) -> tuple[int, list[tuple[str, str]]]:
        if name not in self._functions:
            near = difflib.get_close_matches(name, self._functions, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(self.names) or 'none'}"
            raise ConfigError(f"function {name!r} is not exported by the program; {hint}")
        return self._functions[name]
