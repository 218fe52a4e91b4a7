"""BridgeTower's text tower: RoBERTa with its pooler."""

from .bert import ENCODER

PREFIX = "text_model."
TEXT = ENCODER.replace("{m}.", PREFIX)
