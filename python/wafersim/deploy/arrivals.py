"""Requests made up: arrival processes and lengths, the same for the same seed on every machine."""

from __future__ import annotations

import math

import numpy as np

from wafersim.deploy.requests import MAX_REQUESTS, MAX_TOKENS, Floats, Ints, Requests
from wafersim.errors import ConfigError


def uniforms(seed: int, stream: int, count: int) -> Floats:
    """Numbers above 0 and at most 1 from PCG64's raw 64-bit words, so that no library version matters."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64:
        raise ConfigError(f"seed {seed!r}: expected a whole number from 0 to 2**64 - 1")
    raw = np.random.PCG64(np.random.SeedSequence([seed, stream])).random_raw(count)
    return (np.asarray(raw, np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54


def generate(
    count: int,
    rate: float,
    *,
    input_tokens: int = 1024,
    output_tokens: int = 256,
    burstiness: float = 1.0,
    length_spread: float = 0.0,
    seed: int = 0,
) -> Requests:
    """Requests at a rate, with lengths around a mean.

    Parameters
    ----------
    count : int
        How many, 1 to 2 million.
    rate : float
        Arrivals per second on average.
    input_tokens, output_tokens : int
        Mean length of prompt and answer, tokens.
    burstiness : float
        Coefficient of variation of the gaps between arrivals: 0 evenly spaced, 1 at random (Poisson),
        above 1 in bursts (two exponential phases with balanced means).  Between 0 and 1 is refused.
    length_spread : float
        Coefficient of variation of the lengths (log-normal); 0: all the same.
    seed : int
        Same seed, same requests.

    Returns
    -------
    Requests

    Raises
    ------
    ConfigError
        A parameter is out of range.
    """
    _check(count, rate, input_tokens, output_tokens, burstiness, length_spread)
    gaps = _gaps(count, burstiness, seed) / rate
    name = f"{count} requests at {rate:g} per second"
    return Requests(
        np.cumsum(gaps),
        _lengths(count, input_tokens, length_spread, seed, 2),
        _lengths(count, output_tokens, length_spread, seed, 4),
        name,
    )


def _check(
    count: int, rate: float, input_tokens: int, output_tokens: int, burstiness: float, spread: float
) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_REQUESTS:
        raise ConfigError(f"count {count!r}: expected a whole number from 1 to {MAX_REQUESTS:,}")
    if not (rate > 0 and math.isfinite(rate)):
        raise ConfigError(f"rate {rate!r} requests per second: expected a finite number above 0")
    for name, mean in (("input_tokens", input_tokens), ("output_tokens", output_tokens)):
        if isinstance(mean, bool) or not isinstance(mean, int) or not 1 <= mean <= MAX_TOKENS:
            raise ConfigError(f"{name} {mean!r}: expected a whole number from 1 to {MAX_TOKENS:,}")
    if not (burstiness == 0 or 1 <= burstiness <= 100):
        raise ConfigError(f"burstiness {burstiness!r}: expected 0 (even), 1 (random) or up to 100 (bursts)")
    if not 0 <= spread <= 10:
        raise ConfigError(f"length_spread {spread!r}: expected 0 to 10")


def _gaps(count: int, burstiness: float, seed: int) -> Floats:
    """Gaps of mean 1."""
    if burstiness == 0:
        return np.ones(count)
    gaps = -np.log(uniforms(seed, 0, count))
    if burstiness > 1:
        # hyperexponential with balanced means: phase 1 with probability p at rate 2p, else at rate 2(1-p)
        square = burstiness**2
        p = 0.5 * (1.0 + math.sqrt((square - 1.0) / (square + 1.0)))
        first = uniforms(seed, 1, count) <= p
        gaps /= np.where(first, 2.0 * p, 2.0 * (1.0 - p))
    return gaps


def _lengths(count: int, mean: int, spread: float, seed: int, stream: int) -> Ints:
    """Log-normal lengths of that mean, rounded, at least 1 token."""
    if spread == 0:
        return np.full(count, mean, np.int64)
    sigma2 = math.log1p(spread**2)
    radius = np.sqrt(-2.0 * np.log(uniforms(seed, stream, count)))
    normal = radius * np.cos(2.0 * math.pi * uniforms(seed, stream + 1, count))
    lengths = np.exp(math.log(mean) - sigma2 / 2.0 + math.sqrt(sigma2) * normal)
    return np.clip(np.rint(lengths), 1, MAX_TOKENS).astype(np.int64)
