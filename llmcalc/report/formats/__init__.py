"""One file per output format; each has ``render(document) -> str``, and its name is the format's."""
