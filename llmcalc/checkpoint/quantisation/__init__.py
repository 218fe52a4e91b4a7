"""Quantisation methods of published checkpoints: which tensors stand for one quantised matrix."""
