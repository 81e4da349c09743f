"""A simulator of a wafer-scale engine."""
