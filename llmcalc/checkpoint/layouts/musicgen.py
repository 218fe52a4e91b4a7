"""MusicGen: T5's encoder, MusicGen's decoder, a projection between them, and a codec."""

from . import musicgen_decoder, t5
from .beside import beside


def _under(part: str, role: str, text: str) -> str:
    lines = (line.partition("|") for line in text.splitlines() if line)
    return "".join(f"{part}.{rule} |{notes} {role}\n" for rule, _, notes in lines)


TEXT = (
    "enc_to_dec_proj.weight <- enc_to_dec_proj.w\nenc_to_dec_proj.bias <- enc_to_dec_proj.b\n"
    + _under("text_encoder", "encoder", t5.TEXT)
    + _under("decoder", "decoder", musicgen_decoder.TEXT)
    + beside("audio_encoder", "audio_encoder.")
)
