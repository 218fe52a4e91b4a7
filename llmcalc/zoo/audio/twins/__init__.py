"""NumPy models of layers for audio models, with one file per layer kind."""
