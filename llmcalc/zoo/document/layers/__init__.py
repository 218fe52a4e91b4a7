"""Layer kinds for document models, with one file per kind."""
