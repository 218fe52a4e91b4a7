"""Gemma 3n's language model: Gemma 2's names, streams, low-rank residuals and each layer's own input."""

from .gemma2 import TEXT as GEMMA
from .gemma4_text import PER_LAYER

PREFIX = "model."
STREAMS = """
model.altup_projections.{t}.weight <- altup_projection.w
model.altup_unembed_projections.{t}.weight <- altup_unembed.w
model.layers.{i}.altup.correct_output_scale <- altup.output_scale
model.layers.{i}.altup.correction_coefs.weight <- altup.correct
model.layers.{i}.altup.prediction_coefs.weight <- altup.predict
model.layers.{i}.altup.modality_router.weight <- altup.router
model.layers.{i}.altup.router_norm.weight <- altup.router_norm
model.layers.{i}.laurel.linear_left.weight <- laurel.left
model.layers.{i}.laurel.linear_right.weight <- laurel.right
model.layers.{i}.laurel.post_laurel_norm.weight <- laurel.norm
"""
NORMS = """
model.layers.{i}.post_attention_layernorm.weight <- attention/attention_post_norm.w
"""
_MOVED = GEMMA.replace("sublayer1.", "sublayer2.").replace("sublayer0.", "sublayer1.")
TEXT = _MOVED + NORMS + STREAMS + PER_LAYER.replace("sublayer2.", "sublayer3.")
