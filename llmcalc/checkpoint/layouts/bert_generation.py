"""BERT for generation: BERT's encoder, and a head of one matrix."""

from .bert import ENCODER
from .roberta import HEAD

PREFIX = "bert."
TEXT = ENCODER.replace("{m}.", PREFIX) + HEAD
