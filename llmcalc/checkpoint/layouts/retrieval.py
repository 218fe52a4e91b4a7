"""A model within a class for retrieval, under ``vlm`` and without its head, and the projection behind it."""

BEHIND = "vlm."
ALL = WITHOUT_HEAD = True
TEXT = """
embedding_proj_layer.weight <- projection.w
embedding_proj_layer.bias <- projection.b
"""
