"""NumPy models of layers for document models, one file per layer kind."""
