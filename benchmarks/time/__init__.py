"""Fit the coefficients of execution time to published measurements, and cross-validate them."""
