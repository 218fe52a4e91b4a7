"""Models beside text LLMs, and text layers that no shipped preset uses.

Found by name (``core/search_path.py``); nothing outside imports this package.
"""
