"""NumPy models of layers from research models, with one file per layer kind."""
