"""NumPy models of layers for audio models, one file per layer kind."""
