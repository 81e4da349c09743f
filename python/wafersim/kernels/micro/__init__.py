"""Micro-benchmarks of one PE."""
