"""NeoMME: LLaMA's names with tables in two factors, a gate and an output projection of their own."""

from .llama import PREFIX
from .llama import TEXT as LLAMA

OWN = """
model.embed_tokens.word_embeddings.weight <- token.w
model.embed_tokens.embedding_projection.weight <- projection.w
model.patch_embeddings.norm.weight <- patch_norm.w
model.patch_embeddings.norm.bias <- patch_norm.b
model.patch_embeddings.up_proj.weight <- patch_up.w
model.patch_embeddings.down_proj.weight <- patch_down.w
model.patch_embeddings.down_proj.bias <- patch_down.b
model.value_embeddings.weight <- values.w
model.layers.{i}.lambdas <- blend.lambdas
model.layers.{i}.self_attn.exclusive_self_attention.alpha <- attention.alpha
model.layers.{i}.self_attn.output_projection.gate_proj.weight <- attention.wgate
model.layers.{i}.self_attn.output_projection.o_proj.weight <- attention.wo
model.layers.{i}.self_attn.output_projection.o_proj.bias <- attention.bo
unembedding_projection.weight <- unprojection.w | transposed
"""
TEXT = OWN + LLAMA
__all__ = ["PREFIX", "TEXT"]
