"""NumPy models of audio layers, with one file per layer kind."""
