"""ELECTRA: BERT behind a projection, with a generator or a discriminator."""

from .bert import ENCODER

HEAD = """
generator_predictions.LayerNorm.weight <- transform_norm.w
generator_predictions.LayerNorm.bias <- transform_norm.b
generator_predictions.dense.weight <- transform.w
generator_predictions.dense.bias <- transform.b
generator_lm_head.weight <- head.w
generator_lm_head.bias <- head.b
"""
DISCRIMINATOR = """
discriminator_predictions.dense.weight <- discriminator_dense.w
discriminator_predictions.dense.bias <- discriminator_dense.b
discriminator_predictions.dense_prediction.weight <- discriminator.w
discriminator_predictions.dense_prediction.bias <- discriminator.b
"""
PROJECTION = """
{m}.embeddings_project.weight <- projection.w
{m}.embeddings_project.bias <- projection.b
"""
PREFIX = "electra."
TEXT = (ENCODER + PROJECTION).replace("{m}.", PREFIX) + HEAD + DISCRIMINATOR
