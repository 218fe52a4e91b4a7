"""UDOP [tang2022], a T5 variant that encodes page patches and tokens with page positions."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....core.errors import short_repr
from ....core.layer import Layer
from ....importers.hf.config import Config, Layers
from ....importers.hf.families.t5 import feed_forward, seq2seq
from ....importers.hf.vision_encoders.parts import square_side
from ....layers import Embedding, Ids, Patch
from ..layers.layoutlm_attention import LayoutLmAttention

BUCKETS, FARTHEST = 32, 100  # number of buckets of the positional biases; the class ignores the config
BIASES = ["1d", "horizontal", "vertical"]


def udop(config: Config) -> Architecture:
    """Build UDOP for text input, with unused patch embeddings in both stacks."""
    config.add_unmodelled("positions are relative to the page size and to box centres")
    config.override("tie_word_embeddings", True)
    width, heads = config.size("d_model"), config.size("num_heads")
    given = config.get("relative_bias_args")
    if given not in (None, [{"type": kind} for kind in BIASES]):
        raise config.error(f"relative_bias_args must list the types {', '.join(BIASES)}, not {short_repr(given)}")
    bare, own = config.head_kind() == "none", config.size("relative_attention_num_buckets")
    bare = bare and not config.class_name().endswith("EncoderModel")
    distances = BUCKETS if bare else own  # a class with a head shares the table of the first block
    attention = LayoutLmAttention(
        width,
        heads,
        d_head=config.size("d_kv"),
        scale=1.0,
        distance_buckets=distances,
        box_buckets=BUCKETS,
        box_most=FARTHEST,
    )
    mlp = feed_forward(config, gated_gelu="gelu")
    found = seq2seq(config, mlp, tied=True, encoder={"attention": attention})
    spare = {"encoder": {"distance": own} if bare else {}, "decoder": {"across": BUCKETS, "down": BUCKETS}}
    spare["decoder"] |= {"distance": BUCKETS} if bare else {}
    tables: dict[str, dict[str, Layer]] = {"encoder": _places(config, width), "decoder": {}}
    for side, table in tables.items():
        config.ignore("image_size")
        table["patch"] = Patch(config.size("num_channels"), square_side(config), width, unused=True)
        table |= {
            f"idle_{name}": Embedding(rows, heads, table="other", unused=True) for name, rows in spare[side].items()
        }
    stacks = tuple(_with(stack, tables[stack.role]) for stack in found.stacks)
    note = "not counted in FLOPs: the patch embedding, because text input has no image"
    return replace(found, stacks=stacks, layout="udop_model" if bare else "udop", notes=(note,))


def _with(stack: Stack, tables: Layers) -> Stack:
    return replace(stack, inputs=(*stack.inputs, *(Named(name, layer) for name, layer in tables.items())))


def _places(config: Config, width: int) -> Layers:
    rows = config.size("max_2d_position_embeddings")
    return {
        "across": Embedding(rows, width, table="position", ids=Ids(edges="left_right")),
        "down": Embedding(rows, width, table="position", ids=Ids(edges="upper_lower")),
    }
