"""Exact counts of parameters, FLOPs, state and memory from the equations of an architecture. Standard library only."""
