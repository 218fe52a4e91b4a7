"""XLM-R XL: RoBERTa with its norms before the sub-layers."""

from .bert import pre_norms
from .roberta import PREFIX
from .roberta import TEXT as ROBERTA

__all__ = ["PREFIX", "TEXT"]

TEXT = pre_norms("roberta.encoder", "LayerNorm", "self_attn_layer_norm") + ROBERTA
