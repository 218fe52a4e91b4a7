"""BROS: BERT with a projection of pairs of boxes."""

from .bert import ENCODER

PREFIX = "bros."
TEXT = (
    ENCODER.replace("<- attention.", "<- box_attention.") + "{m}.bbox_embeddings.bbox_projection.weight <- pairs.w\n"
).replace("{m}.", PREFIX)
