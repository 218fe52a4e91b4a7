"""One file per output format, named after the format, with a function ``render(document) -> str``."""
