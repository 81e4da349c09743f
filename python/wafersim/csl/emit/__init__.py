"""From classes of PEs to a machine program: routes, placement, names for the host."""
