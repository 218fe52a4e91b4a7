"""SeamlessM4T: its text encoder and decoder beside each other, with M2M-100's layers."""

from . import bart, nllb_moe

TEXT = (
    nllb_moe.TEXT.replace("ff_layer_norm", "ffn_layer_norm")
    .replace(bart.PREFIX, "text_")
    .replace("text_shared", "shared")
)
