"""Public API, with one module per function and defaults shared with the command line."""
