"""Readers of config.json files, one module per family."""
