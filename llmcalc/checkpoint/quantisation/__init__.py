"""Quantisation methods of published checkpoints: the stored tensors of a quantised matrix."""
