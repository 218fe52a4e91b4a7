"""TAPAS: BERT with numbered tables of segments."""

from .bert import ENCODER, HEAD

PREFIX = "tapas."
TEXT = (
    ENCODER.replace("token_type_embeddings.weight <-", "token_type_embeddings_{t}.weight <-").replace("{m}.", PREFIX)
    + HEAD
)
