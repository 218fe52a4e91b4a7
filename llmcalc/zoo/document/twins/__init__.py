"""NumPy models of layers for document models, with one file per layer kind."""
