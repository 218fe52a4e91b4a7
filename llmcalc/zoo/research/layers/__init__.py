"""Layer kinds, one file per kind."""
