"""UDOP: T5 with tables of places, patches of the page, and biases that the decoder keeps without use."""

from .t5 import ATTENTION
from .t5 import TEXT as T5

PLACES = """
encoder.cell_2d_embedding.x_position_embeddings.weight <- across.w
encoder.cell_2d_embedding.y_position_embeddings.weight <- down.w
encoder.relative_bias.biases.1.relative_attention_bias.weight <- layoutlm_attention.across_bias | transposed
encoder.relative_bias.biases.2.relative_attention_bias.weight <- layoutlm_attention.down_bias | transposed
decoder.relative_bias.biases.1.relative_attention_bias.weight <- idle_across.w
decoder.relative_bias.biases.2.relative_attention_bias.weight <- idle_down.w
patch_embed.proj.weight <- patch.w | encoder
patch_embed.proj.bias <- patch.b | encoder
decoder.embed_patches.proj.weight <- patch.w | decoder
decoder.embed_patches.proj.bias <- patch.b | decoder
"""
FIRST = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
STACKS = T5 + ATTENTION.replace("<- attention.", "<- layoutlm_attention.") + PLACES
TEXT = f"{STACKS}{FIRST} <- layoutlm_attention.distance_bias | transposed"
