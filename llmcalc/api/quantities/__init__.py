"""Quantities, with one module per quantity. ``explain``, ``sweep``, ``compare`` and ``design`` look them up here."""
