"""LUKE: RoBERTa with a second set of tables, queries and a head for entities."""

from .bert import ENCODER

ENTITIES = """
{m}.entity_embeddings.entity_embeddings.weight <- entity.w
{m}.entity_embeddings.entity_embedding_dense.weight <- entity_projection.w
{m}.entity_embeddings.position_embeddings.weight <- entity_position.w
{m}.entity_embeddings.token_type_embeddings.weight <- entity_segment.w
{m}.entity_embeddings.LayerNorm.weight <- entity_norm.w
{m}.entity_embeddings.LayerNorm.bias <- entity_norm.b
{m}.encoder.layer.{i}.attention.self.w2e_query.weight <- w2e_query/linear.w
{m}.encoder.layer.{i}.attention.self.w2e_query.bias <- w2e_query/linear.b
{m}.encoder.layer.{i}.attention.self.e2w_query.weight <- e2w_query/linear.w
{m}.encoder.layer.{i}.attention.self.e2w_query.bias <- e2w_query/linear.b
{m}.encoder.layer.{i}.attention.self.e2e_query.weight <- e2e_query/linear.w
{m}.encoder.layer.{i}.attention.self.e2e_query.bias <- e2e_query/linear.b
"""
HEAD = """
lm_head.decoder.bias <- head.b | spare
lm_head.bias <- head.unused_b0
lm_head.bias <- head.b
lm_head.decoder.bias <- head.b
lm_head.dense.weight <- transform.w
lm_head.dense.bias <- transform.b
lm_head.layer_norm.weight <- transform_norm.w
lm_head.layer_norm.bias <- transform_norm.b
lm_head.decoder.weight <- head.w
entity_predictions.bias <- entity_head.b
entity_predictions.transform.dense.weight <- entity_transform.w
entity_predictions.transform.dense.bias <- entity_transform.b
entity_predictions.transform.LayerNorm.weight <- entity_transform_norm.w
entity_predictions.transform.LayerNorm.bias <- entity_transform_norm.b
entity_predictions.decoder.weight <- entity_head.w
"""
PREFIX = "luke."
TEXT = (ENTITIES + ENCODER).replace("{m}.", PREFIX) + HEAD
