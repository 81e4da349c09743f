"""Property tests: random programs against the oracle."""
