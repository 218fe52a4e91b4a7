"""Checkpoint storage, including tensor names, fusion, packing and quantisation."""
