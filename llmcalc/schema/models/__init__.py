"""pydantic models of input files and JSON results.

User presets are validated when loaded. Shipped presets and data files are validated when a wheel is built, so
loading a shipped preset does not require pydantic. ``preset``, ``data`` and ``result`` contain the models of
presets, data files and JSON output. ``validation`` translates pydantic errors to llmcalc errors.
"""
