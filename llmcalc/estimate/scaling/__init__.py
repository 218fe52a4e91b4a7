"""Scaling-law formulas, fitted ranges, queries and answers."""
