"""Vision encoders that ``core/zoo_search.py`` looks up by name."""
