"""GPT-NeoX Japanese: GPT-NeoX's names, the last layer's bias beside its matrix, a head of another name."""

from . import gpt_neox

PREFIX = "gpt_neox_japanese."
TEXT = (
    gpt_neox.TEXT.replace(gpt_neox.PREFIX, PREFIX)
    .replace("lm_head", "embed_out")
    .replace("attention.dense.bias", "attention.dense_bias")
)
