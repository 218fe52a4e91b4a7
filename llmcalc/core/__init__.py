"""Axes, equations, closed forms, declarations and architectures. The package uses only the standard library."""
