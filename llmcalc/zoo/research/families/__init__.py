"""Readers for ``config.json`` files, with one module per model family."""
