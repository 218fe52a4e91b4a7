"""Reads and writes presets: strict YAML, sizes, inheritance, overrides, errors with positions, and JSON Schemas."""
