"""Quantities, with one module per quantity. ``explain``, ``sweep``, ``compare`` and ``design`` find them here."""
