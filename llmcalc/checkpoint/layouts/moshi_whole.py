"""Moshi as a whole: its language model a level deeper, and what stands beside it."""

from .beside import beside, mimi
from .moshi import TEXT as MOSHI

SAID = "".join(f"decoder.{line}\n" for line in MOSHI.splitlines() if line)
TEXT = SAID + beside("embed_tokens", "embed_tokens.") + beside("depth_decoder", "depth_decoder.")
TEXT += mimi("audio_encoder")
