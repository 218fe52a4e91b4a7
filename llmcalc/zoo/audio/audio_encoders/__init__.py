"""Audio encoders, found by name through ``core/search_path.py``."""
