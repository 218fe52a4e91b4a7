"""I-BERT: RoBERTa under another name."""

from .bert import ENCODER
from .roberta import HEAD

PREFIX = "ibert."
TEXT = ENCODER.replace("{m}.", PREFIX) + HEAD
