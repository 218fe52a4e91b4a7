"""One file per output format, named for it, with a function ``render(document) -> str``."""
