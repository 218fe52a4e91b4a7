"""DPR's encoder of questions: BERT's."""

from .bert import ENCODER

PREFIX = "question_encoder."
PROJECTION = """
{m}.encode_proj.weight <- projection.w
{m}.encode_proj.bias <- projection.b
"""


def within(prefix: str) -> str:
    """The rules of the encoder under a name."""
    return ENCODER.replace("{m}.", f"{prefix}bert_model.") + PROJECTION.replace("{m}.", prefix)


TEXT = within(PREFIX)
