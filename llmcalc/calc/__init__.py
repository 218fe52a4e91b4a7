"""Exact parameter, FLOP, state and memory counts from architecture equations, using only the standard library."""
