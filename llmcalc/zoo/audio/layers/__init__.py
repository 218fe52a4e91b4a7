"""Layer kinds for audio models, with one file per kind."""
