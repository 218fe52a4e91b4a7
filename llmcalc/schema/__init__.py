"""Descriptions in, architectures out: strict YAML, presets with sizes and inheritance, overrides, located errors."""
