"""NumPy models of layers for vision models, one file per layer kind."""
