"""Searches for layouts, GPUs, models, formats and changed settings."""
