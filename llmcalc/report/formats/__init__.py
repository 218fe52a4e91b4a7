"""Output formats. Each module is named after its format and defines ``render(document) -> str``."""
