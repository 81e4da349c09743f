"""What programs call to reduce, spread and move vectors over a line or a grid of PEs."""
