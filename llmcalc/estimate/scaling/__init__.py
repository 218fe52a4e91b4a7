"""Scaling laws: their forms, what they were fitted on, and what they answer."""
