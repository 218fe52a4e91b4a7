"""pydantic models of the files that llmcalc reads and of the results that it prints.

They validate a user's preset when it is loaded, and shipped presets and data files when a wheel is built. Loading a
shipped preset therefore needs no pydantic. ``preset`` describes a preset around its architecture, ``data`` the files in
``llmcalc/data``, ``result`` the JSON output; ``validation`` turns their errors into llmcalc's.
"""
