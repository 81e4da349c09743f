"""A layer in numbers: widths per PE, steps, all-reduces."""
