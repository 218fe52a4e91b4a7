"""LayoutLM: BERT with tables of places."""

from .bert import ENCODER, HEAD

PLACES = """
{m}.embeddings.x_position_embeddings.weight <- position_x.w
{m}.embeddings.y_position_embeddings.weight <- position_y.w
{m}.embeddings.h_position_embeddings.weight <- position_h.w
{m}.embeddings.w_position_embeddings.weight <- position_w.w
"""
PREFIX = "layoutlm."
TEXT = (ENCODER + PLACES).replace("{m}.", PREFIX) + HEAD
