"""RoFormer: BERT whose table of positions is that of the rotary angles."""

from .bert import ENCODER, HEAD
from .electra import PROJECTION

PREFIX = "roformer."
ANGLES = "roformer.encoder.embed_positions.weight <- position.w\n"
TEXT = ANGLES + (ENCODER + PROJECTION).replace("{m}.", PREFIX) + HEAD
