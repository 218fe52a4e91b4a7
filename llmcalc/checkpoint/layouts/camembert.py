"""CamemBERT and XLM-R: RoBERTa whose head is built before its tables, so that a tied table goes by the head's name."""

from .roberta import PREFIX
from .roberta import TEXT as ROBERTA

TEXT = "lm_head.decoder.weight <- token.w | tied\n" + ROBERTA
__all__ = ["PREFIX", "TEXT"]
