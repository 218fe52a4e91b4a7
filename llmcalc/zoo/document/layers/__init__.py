"""Layer kinds for document models, one file per kind."""
