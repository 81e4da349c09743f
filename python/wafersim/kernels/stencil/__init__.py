"""Stencils: tiles, single cells, and columns of z."""
