"""Descriptions of other makers, read as architectures."""
