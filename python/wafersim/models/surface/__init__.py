"""Cycles of a layer on any mesh: simulated points and costs between them."""
