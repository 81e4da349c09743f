"""Random machine programs, made of patterns that mostly run to their end."""

from .program import Generated, generate

__all__ = ["Generated", "generate"]
