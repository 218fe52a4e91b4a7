"""Layer kinds for vision models, one file per kind."""
