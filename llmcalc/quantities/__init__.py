"""Modules that each define one quantity for ``explain``, ``sweep``, ``compare`` and ``design``."""
