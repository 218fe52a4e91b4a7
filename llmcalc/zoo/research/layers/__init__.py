"""Layer kinds from research models, one file per kind."""
