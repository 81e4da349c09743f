"""Layers over wafers and regions, and the pipeline they form."""
