"""Audio encoders, which ``core/zoo_search.py`` finds by name."""
