"""The kernels of single collectives, each one call or a loop of calls of `exchange`."""
