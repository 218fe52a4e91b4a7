"""Exact parameters, FLOPs, state and memory from the equations of an architecture. Uses only the standard library."""
