"""data2vec: RoBERTa under another name."""

from .bert import ENCODER
from .roberta import HEAD

PREFIX = "data2vec_text."
TEXT = ENCODER.replace("{m}.", PREFIX) + HEAD
