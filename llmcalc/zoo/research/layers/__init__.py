"""Layer kinds from research models, with one file per kind."""
