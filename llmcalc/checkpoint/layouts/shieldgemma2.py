"""ShieldGemma 2: Gemma 3 with its head within another class."""

from .clip import TEXT as TOWER
from .gemma2 import TEXT as LANGUAGE

LINES = [line for line in (TOWER + LANGUAGE.replace("model.", "model.language_model.")).splitlines() if line]
TEXT = "\n".join(f"model.{line}" for line in LINES)
