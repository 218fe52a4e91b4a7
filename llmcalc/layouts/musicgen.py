"""MusicGen: T5's encoder, MusicGen's decoder, and a projection between them."""

from . import musicgen_decoder, t5


def _under(part: str, role: str, text: str) -> str:
    lines = (line.partition("|") for line in text.splitlines() if line)
    return "".join(f"{part}.{rule} |{notes} {role}\n" for rule, _, notes in lines)


TEXT = (
    "enc_to_dec_proj.weight <- enc_to_dec_proj.w\nenc_to_dec_proj.bias <- enc_to_dec_proj.b\n"
    + _under("text_encoder", "encoder", t5.TEXT)
    + _under("decoder", "decoder", musicgen_decoder.TEXT)
)
