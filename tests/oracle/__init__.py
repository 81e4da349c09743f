"""A slow, plain interpreter of docs/semantics.md, and random programs to compare it with the engine."""
