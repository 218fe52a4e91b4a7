"""Janus: its tower and aligner, and what makes codes of images and stands around them."""

from .beside import beside
from .clip import encoder

VISION = "model.vision_model"
LAYER = f"{VISION}.encoder.layers.{{i}}"
TEXT = f"""
model.aligner.fc1.weight <- aligner_in.w
model.aligner.fc1.bias <- aligner_in.b
model.aligner.hidden_layers.{{t}}.weight <- aligner.w
model.aligner.hidden_layers.{{t}}.bias <- aligner.b
model.generation_embeddings.weight <- codes.w
model.generation_aligner.fc1.weight <- made_in.w
model.generation_aligner.fc1.bias <- made_in.b
model.generation_aligner.hidden_layers.{{t}}.weight <- made.w
model.generation_aligner.hidden_layers.{{t}}.bias <- made.b
model.generation_head.proj_out.weight <- code_head_in.w
model.generation_head.proj_out.bias <- code_head_in.b
model.generation_head.vision_head.weight <- code_head.w
model.generation_head.vision_head.bias <- code_head.b
{LAYER}.self_attn.q_norm.weight <- attention.q_norm | tower
{LAYER}.self_attn.q_norm.bias <- attention.q_norm_b | tower
{LAYER}.self_attn.k_norm.weight <- attention.k_norm | tower
{LAYER}.self_attn.k_norm.bias <- attention.k_norm_b | tower
"""
TEXT += encoder(VISION).replace("self_attn.out_proj", "self_attn.projection_layer") + beside(
    "vqmodel", "model.vqmodel."
)
