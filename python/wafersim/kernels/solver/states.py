"""A state machine in tasks: what the public solver programs are made of.

A variable holds the current state and one the next; a task looks through the states in their order and does
what the current one asks for.  A state sets the next one before it starts something, and when that is
over its callback makes the next state the current one and activates the task again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class StateMachine:
    """States of a tile, in the order in which the task looks at them."""

    def __init__(self, pe: Any, name: str, task_id: int | None = None) -> None:
        self.pe, self.name = pe, name
        self.current = pe.array(f"{name}_state", "i16", init=0)
        self.following = pe.array(f"{name}_next", "i16", init=0)
        self.task = pe.local_task(name, id=task_id)
        self.bodies: list[tuple[str, Callable[[], None]]] = []

    def state(self, name: str, body: Callable[[], None]) -> None:
        """Add a state; ``body`` emits its code."""
        self.bodies.append((name, body))

    def number(self, name: str) -> int:
        """Number of a state."""
        return next(k for k, (other, _) in enumerate(self.bodies) if other == name)

    def emit(self) -> None:
        """The task."""
        pe = self.pe
        with self.task:
            self._chain(pe.load(self.current, 0), 0)

    def _chain(self, current: Any, k: int) -> None:
        pe = self.pe
        name, body = self.bodies[k]
        if k + 1 == len(self.bodies):
            body()
            return
        with pe.if_(current == self.number(name)):
            body()
        with pe.else_():
            self._chain(current, k + 1)

    def next_is(self, name: str) -> None:
        """What comes when the callback is called."""
        self.pe.store(self.following, 0, self.number(name))

    def go_on(self) -> None:
        """The callback: the next state becomes the current one."""
        pe = self.pe
        pe.store(self.current, 0, pe.load(self.following, 0))
        pe.activate(self.task)

    def start(self, name: str) -> None:
        """Begin with a state."""
        self.pe.store(self.current, 0, self.number(name))
        self.pe.activate(self.task)
