"""Exact folds over the equations of an architecture: parameters, FLOPs, state, memory. Standard library only."""
