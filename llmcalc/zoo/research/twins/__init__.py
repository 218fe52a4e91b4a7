"""NumPy models, one file per layer kind."""
