"""Stored tensors: how checkpoints name, fuse, pack and quantise the declared tensors."""
