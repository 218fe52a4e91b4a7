"""Axes, equations, closed forms, declarations and architectures. Uses only the standard library."""
