"""The CSL front end: source text to machine programs."""
