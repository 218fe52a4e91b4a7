"""pydantic models of input files, from which their JSON Schemas are generated.

Presets are validated against the shipped JSON Schema when they are loaded, which requires no pydantic. Data files and
shipped presets are validated when a wheel is built. ``preset`` and ``data`` contain the models of presets and of data
files.
"""
