"""The prefill layer as machine programs."""
