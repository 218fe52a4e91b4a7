"""Scaling laws: formulas, fitted ranges, queries and answers."""
