"""Layer kinds for vision models, with one file per kind."""
