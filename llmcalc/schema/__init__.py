"""Reads and writes presets: strict YAML, sizes, inheritance, overrides, located errors, and JSON Schemas."""
