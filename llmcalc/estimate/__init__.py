"""Scaling laws, hardware data and estimates of training time, cost and energy. Estimates are never exact."""
