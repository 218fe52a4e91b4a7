"""pydantic models of the files that llmcalc reads and the results that it prints.

User presets are validated when loaded; shipped presets and data files are validated when a wheel is built. Loading a
shipped preset therefore does not need pydantic. ``preset`` describes presets without architectures, ``data`` files in
``llmcalc/data``, and ``result`` the JSON output; ``validation`` translates pydantic errors to llmcalc errors.
"""
