"""Jina embeddings v3: Nomic's names under XLM-R's head."""

from .nomic_bert import BLOCKS
from .roberta import HEAD

MLP = """
roberta.layers.{i}.mlp.fc1.weight <- mlp.wu
roberta.layers.{i}.mlp.fc1.bias <- mlp.bu
roberta.layers.{i}.mlp.fc2.weight <- mlp.wd
roberta.layers.{i}.mlp.fc2.bias <- mlp.bd
"""
PREFIX = "roberta."
TEXT = "lm_head.decoder.weight <- token.w | tied\n" + MLP + BLOCKS.replace("{m}.", PREFIX) + HEAD
