"""Scaling laws and modelled estimates of training runs, hardware, cost and energy. Estimates are never exact."""
