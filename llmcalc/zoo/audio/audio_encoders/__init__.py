"""Audio encoders that ``core/zoo_search.py`` finds by name."""
