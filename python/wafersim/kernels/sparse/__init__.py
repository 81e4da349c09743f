"""Products of a sparse block per PE with dense columns."""
