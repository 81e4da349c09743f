"""The decode layer as machine programs."""
