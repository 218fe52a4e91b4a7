"""NumPy models of vision layers, with one file per layer kind."""
