"""Joint encoders of text and images: VisualBERT, ViLT and LXMERT."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run, Stack, Sublayer
from ....importers.hf.config import Config
from ....importers.hf.families.bert import (
    bert_attention,
    encoder,
    encoder_model,
    head_of_kind,
    pooler,
    tied_head,
    transform,
    with_head,
    without_head,
)
from ....importers.hf.rules import sublayer
from ....importers.hf.vision_encoders.parts import sides, square_side
from ....layers import Embedding, Linear, Norm, Patch


def visual_bert(config: Config) -> Architecture:
    """Read a VisualBERT config [li2019] for text input. The embeddings of image regions are stored but unused."""
    config.ignore("special_visual_initialize")
    kinds, rows = config.size("type_vocab_size"), config.size("max_position_embeddings")
    unused = (
        Named("image_segment", Embedding(kinds, config.d_model, table="segment", unused=True)),
        Named("image_position", Embedding(rows, config.d_model, table="position", unused=True)),
        Named("image_projection", Linear(config.size("visual_embedding_dim"), config.d_model, unused=True)),
    )
    stack = encoder(config, more=unused)
    if config.flag("bypass_transformer"):
        stack = replace(stack, inputs=(*stack.inputs, *_bypass(stack.runs[0].block)))
    if not config.head_kind():
        config.override("architectures", ["ForPreTraining"])
    note = "not counted in FLOPs: the embeddings of image regions, because there is no image"
    return replace(with_head(config, stack), notes=(note,))


def _bypass(block: Block) -> tuple[Named, ...]:
    """Return the unused layers of the additional block that combines image and text."""
    found: list[Named] = []
    for part in block.sublayers:
        layers = {f"bypass_{part.name}": part.branches[0].layer, f"bypass_{part.name}_norm": part.after}
        found += [Named(name, replace(layer, unused=True)) for name, layer in layers.items() if layer]  # type: ignore[type-var]
    return tuple(found)


def vilt(config: Config) -> Architecture:
    """Read a ViLT config [kim2021b]. Text and patches form one sequence, and the head runs on text tokens."""
    config.add_unmodelled("the input always includes image patches")
    config.ignore("max_image_length num_images tie_word_embeddings")
    config.override("tie_word_embeddings", True)
    if not config.head_kind():
        config.override("architectures", ["Model"])
    kind = head_of_kind(config, "none", "mlm")
    width, biased = config.d_model, config.flag("qkv_bias", True)
    biases = dict.fromkeys(("q_bias", "k_bias", "v_bias"), biased)
    stack = encoder(config, post=False, attention=bert_attention(config, **biases))
    modality = Embedding(config.size("modality_type_vocab_size"), width, table="segment")
    stack = replace(stack, inputs=(*stack.inputs, Named("modality", modality), *_patches(config, width)))
    outputs = [pooler(width, dropped=kind == "mlm")]
    if kind == "mlm":
        outputs += [*transform(config, width), Named("head", tied_head(config, width))]
    note = "a token is a text token or an image patch; the patch embedding is not counted in FLOPs"
    return replace(encoder_model(config, stack, outputs), notes=(note,))


def _patches(config: Config, width: int) -> tuple[Named, ...]:
    (tall, wide), side = sides(config, "image_size"), square_side(config)
    return (
        Named("patch", Patch(config.size("num_channels"), side, width, unused=True)),
        Named("class", Embedding(1, width, table="other", unused=True)),
        Named("patch_position", Embedding((tall // side) * (wide // side) + 1, width, table="position", unused=True)),
    )


def lxmert(config: Config) -> Architecture:
    """Read an LXMERT config [tan2019] as a BERT text encoder. The blocks for image regions are stored but not run."""
    config.add_unmodelled("the text attends to image regions")
    config.override("layer_norm_eps", LXMERT_EPS)
    without_head(config)
    layers, across, regions = (config.size(f"{kind}_layers") for kind in "lxr")
    config.override("num_hidden_layers", layers)
    config.ignore(_LXMERT_HEADS)
    width, stack = config.d_model, encoder(config)
    own, mlp = stack.runs[0].block.sublayers
    parts = {"across": own, "text": own, "region": own, "text_mlp": mlp, "region_mlp": mlp}
    joint = Block("joint", tuple(_unused(part, name) for name, part in parts.items()))
    region = Block("region", (_unused(own, "seen"), _unused(mlp, "seen_mlp")))
    norm = Norm(width, "layernorm", bias=True, eps=LXMERT_EPS, unused=True)
    inputs = (
        Named("region_projection", Linear(config.size("visual_feat_dim"), width, unused=True)),
        Named("region_norm", norm),
        Named("place_projection", Linear(config.size("visual_pos_dim"), width, unused=True)),
        Named("place_norm", norm),
    )
    stacks = (
        Stack("regions", width, inputs, (Run(region, regions),), (), "tower"),
        Stack("meeting", width, (), (Run(joint, across),), (), "tower"),
    )
    note = f"not counted in FLOPs: {regions} blocks on image regions, and {across} cross-modality blocks"
    found = encoder_model(config, stack, [pooler(width)])
    return replace(found, stacks=(*found.stacks, *stacks), notes=(note,))


LXMERT_EPS = 1e-12
_LXMERT_HEADS = """
    num_qa_labels num_object_labels num_attr_labels visual_loss_normalizer task_matched task_mask_lm task_obj_predict
    task_qa visual_obj_loss visual_attr_loss visual_feat_loss
"""


def _unused(part: Sublayer, name: str) -> Sublayer:
    """Return a renamed copy of the sub-layer. The copy is stored but not run."""
    (branch,) = part.branches
    assert part.after is not None
    layer, norm = (replace(one, unused=True) for one in (branch.layer, part.after))  # type: ignore[type-var]
    return sublayer(name, layer, after=norm)
