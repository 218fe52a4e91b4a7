"""T5Gemma 2's encoder alone."""

from .t5gemma2 import TEXT as WHOLE

PREFIX = "encoder."
TEXT = "\n".join(
    line.removeprefix("model.encoder.") for line in WHOLE.splitlines() if line.startswith("model.encoder.")
)
