"""T5Gemma 2: T5Gemma's names, with attention merged in the decoder, and a tower beside the encoder's text model."""

from . import clip, t5gemma

_NAMES = "".join(
    f"{line}\n" for line in t5gemma.TEXT.splitlines() if line.startswith("model.") and "cross_attention" not in line
)
_NAMES += """
model.{side}.layers.{i}.self_attn.q_norm.weight <- attention.q_norm
model.{side}.layers.{i}.self_attn.k_norm.weight <- attention.k_norm
model.{side}.embed_tokens.eoi_embedding <- end_of_image.w | flat
"""
_DECODER = _NAMES.replace(" attention.", " merged_attention.").replace("{side}", "decoder")


def _of(role: str, text: str) -> str:
    lines = (line.partition("|") for line in text.splitlines() if line)
    return "".join(f"{rule} |{notes} {role}\n" for rule, _, notes in lines)


PREFIX = "model."
TEXT = (
    _of("encoder", _NAMES.replace("{side}", "encoder.text_model"))
    + _of("decoder", _DECODER)
    + clip.TEXT.replace("model.", "model.encoder.")
    + "lm_head.out_proj.weight <- head.w"
)
