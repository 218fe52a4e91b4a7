"""Gemma 3n: a Conformer under ``model.audio_tower``, and how it reaches the language model."""

from .gemma_audio import ATTENTION as ATTENTION_4
from .gemma_audio import AUDIO, FRONT, MODULE, feeds

OLD, NEW = f"{AUDIO}.layers.{{i}}", f"{AUDIO}.conformer.{{i}}"
ATTENTION = (
    ATTENTION_4.replace("self_attn.relative_k_proj", "attention.attn.relative_position_embedding.pos_proj")
    .replace("self_attn.post", "attention.post")
    .replace("self_attn", "attention.attn")
    .replace("norm_pre_attn", "attention.pre_attn_norm")
    .replace("norm_post_attn", "attention.post_norm")
)
EMBEDDER = """
model.embed_audio.embedding.weight <- audio_table.w
model.embed_audio.hard_embedding_norm.weight <- audio_hard_norm.w
model.embed_audio.soft_embedding_norm.weight <- audio_soft_norm.w
model.embed_audio.embedding_projection.weight <- audio_projector.w
"""
BLOCKS = feeds("ffw_layer_start", "ffw_layer_end") + ATTENTION + MODULE.replace("norm_out", "norm")
TEXT = FRONT.replace("layer{t}", "conv_{t}") + BLOCKS.replace(OLD, NEW).replace(".linear.weight", ".weight") + EMBEDDER
