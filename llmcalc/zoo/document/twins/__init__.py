"""NumPy models of document layers, with one file per layer kind."""
