"""NumPy models of layers from research models, one file per layer kind."""
