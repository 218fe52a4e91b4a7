"""Layer kinds for audio models, one file per kind."""
