"""NumPy models of layers for vision models, with one file per layer kind."""
