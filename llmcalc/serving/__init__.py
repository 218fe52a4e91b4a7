"""Serving: what starts, and the time of requests."""
