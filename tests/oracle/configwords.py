"""Configuration words as generation 2 has them: color and switch registers above SRAM."""

from __future__ import annotations

from collections.abc import Callable

from .state import Route

# masks are stored N, E, S, W, R = bits 0..4; the words hold R, N, S, E, W = bits 4..0
_WORD_BITS = ((4, 4), (3, 0), (2, 2), (1, 1), (0, 3))  # (bit in the word, port)
_DIRECTION_OF_PORT = {3: 0, 1: 1, 2: 2, 0: 3, 4: 4}
_PORT_OF_DIRECTION = {d: p for p, d in _DIRECTION_OF_PORT.items()}
INVALID = 5


def mask_to_word(mask: int) -> int:
    return sum(1 << bit for bit, port in _WORD_BITS if mask >> port & 1)


def word_to_mask(bits: int) -> int:
    return sum(1 << port for bit, port in _WORD_BITS if bits >> bit & 1)


def read_color(route: Route) -> int:
    """The color word."""
    inputs, outputs = route.positions[0]
    word = mask_to_word(inputs) << 5 | mask_to_word(outputs)
    word |= route.swap_y << 10 | route.swap_x << 11 | route.pop_mode << 12 | route.teardown << 14
    return word


def swap_changes(route: Route, word: int) -> bool:
    return bool(word >> 11 & 1) != route.swap_x or bool(word >> 10 & 1) != route.swap_y


def write_color(route: Route, word: int) -> Callable[[], None]:
    """The act of writing the color word."""

    def act() -> None:
        nibbles = _nibbles(route)
        route.positions[0] = (word_to_mask(word >> 5 & 31), word_to_mask(word & 31))
        _derive(route, nibbles, route.position)
        route.pop_mode = word >> 12 & 3
        route.teardown = bool(word >> 14 & 1)

    return act


def _single(mask: int) -> int | None:
    return mask.bit_length() - 1 if mask and mask & (mask - 1) == 0 else None


def _field(route: Route, k: int) -> int:
    """Position k of a route class in the word's terms."""
    if k >= route.num_positions:
        return INVALID
    (before_in, before_out), (in_k, out_k) = route.positions[k - 1], route.positions[k]
    out, inp = _single(out_k), _single(in_k)
    if out_k == before_out and inp is not None:
        return 8 | _DIRECTION_OF_PORT[inp]
    if in_k == before_in and out is not None:
        return _DIRECTION_OF_PORT[out]
    return INVALID


def _nibbles(route: Route) -> list[int]:
    """What the word says of positions 1 to 3: as stored, or as the route class gives it."""
    stored: list[int] | None = getattr(route, "nibbles", None)
    return stored if stored is not None else [_field(route, k) for k in (1, 2, 3)]


def _derive(route: Route, nibbles: list[int], position: int) -> None:
    """Positions 1 to 3 follow from the word, each from the one before; the first invalid one ends them."""
    route.nibbles = nibbles  # type: ignore[attr-defined]
    del route.positions[1:]
    for bits in nibbles:
        port = _PORT_OF_DIRECTION.get(bits & 7)
        if port is None:
            break
        ins, outs = route.positions[-1]
        route.positions.append((1 << port, outs) if bits & 8 else (ins, 1 << port))
    route.num_positions = len(route.positions)
    route.positions += [(0, 0)] * (4 - route.num_positions)
    route.position = min(position, route.num_positions - 1)


def read_switch(route: Route) -> int:
    """The switch word."""
    word = sum(bits << 4 * k for k, bits in enumerate(_nibbles(route)))
    return word | route.ring << 12 | route.position << 13


def write_switch(route: Route, word: int) -> Callable[[], None]:
    """The act of writing the switch word."""

    def act() -> None:
        _derive(route, [word >> 4 * k & 15 for k in range(3)], word >> 13 & 3)
        route.ring = bool(word >> 12 & 1)

    return act
