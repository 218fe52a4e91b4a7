"""UDOP without a head, where the biases by distance share no table."""

from .udop import FIRST, STACKS

TEXT = f"""{STACKS}
{FIRST} <- idle_distance.w | encoder
encoder.relative_bias.biases.0.relative_attention_bias.weight <- layoutlm_attention.distance_bias | transposed
decoder.relative_bias.biases.0.relative_attention_bias.weight <- idle_distance.w | decoder
"""
