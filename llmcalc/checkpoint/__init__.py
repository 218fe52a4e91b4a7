"""Stored tensors: how checkpoints name, fuse, pack and quantise what the layers declare."""
