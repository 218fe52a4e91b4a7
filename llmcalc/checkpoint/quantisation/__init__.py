"""Quantisation methods of published checkpoints, and the tensors that store a quantised matrix."""
