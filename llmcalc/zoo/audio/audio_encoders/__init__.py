"""Audio encoders, found by name through ``core/zoo_search.py``."""
