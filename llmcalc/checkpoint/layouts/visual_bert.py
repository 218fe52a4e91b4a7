"""VisualBERT: BERT with tables and a block for regions of an image."""

from .bert import ENCODER, HEAD

IMAGE = """
{m}.embeddings.visual_token_type_embeddings.weight <- image_segment.w
{m}.embeddings.visual_position_embeddings.weight <- image_position.w
{m}.embeddings.visual_projection.weight <- image_projection.w
{m}.embeddings.visual_projection.bias <- image_projection.b
"""
_BLOCK = "encoder.layer.{i}."
BYPASS = "\n".join(
    line.replace(_BLOCK, "additional_layer.").replace("<- ", "<- bypass_").replace(".norm.", "_norm.")
    for line in ENCODER.splitlines()
    if _BLOCK in line and "cross" not in line
)
PREFIX = "visual_bert."
TEXT = (ENCODER + IMAGE + BYPASS).replace("{m}.", PREFIX) + HEAD
