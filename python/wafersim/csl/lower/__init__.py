"""Run-time code of one class of PEs: from a `ProgramInstance` to a tile program."""
