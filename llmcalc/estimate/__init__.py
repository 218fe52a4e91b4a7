"""Estimates that are modelled and never exact: scaling laws, hardware, training runs, cost and energy."""
