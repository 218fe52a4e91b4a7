"""Decoders of text that look at an image through a transformer of its patches: BLIP, Pix2Struct and PP-FormulaNet."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run, Stack, Sublayer
from ....core.errors import SizeError, shown
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.projectors import named
from ....importers.hf.rules import repeat_block, sublayer
from ....importers.hf.vision_encoders import clip as towers
from ....importers.hf.vision_encoders import vit as vits
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.patch import Patch
from ....layers.stored import Stored
from ..vision_encoders import sam

_LEFT = f"""{OUTER} image_text_hidden_size label_smoothing initializer_factor initializer_range logit_scale_init_value
    projection_dim
"""
LOOKING = "how the text looks at the image is stored, and not counted as work"
CAPTIONS = ("", "BlipForConditionalGeneration")


def blip(config: Config) -> Architecture:
    """BLIP [li2022blip]: BERT's blocks behind a vision transformer; the bare class compares a text with an image."""
    name = config.class_name()
    bare = name == "BlipModel"
    if not bare:
        config.override("architectures", None)
    part = config.nested("vision_config", given(config, "vision_config"), "blip_vision_model")
    own = {**given(config, "text_config"), "encoder_hidden_size": part.size("hidden_size")}
    own["tie_word_embeddings"] = config.flag("tie_word_embeddings", True) or own.get("tie_word_embeddings", True)
    text = text_part(config, "blip_text_model", own, own_tie=True)
    config.ignore(_LEFT)
    if name not in (*CAPTIONS, "BlipModel"):
        note = f"the tower and the further heads of {shown(name)} are not described; not counted: vision"
        return replace(text, notes=(*text.notes, note))
    tower = vits.read(part)
    part.ignore("projection_dim")
    if bare:
        joint = config.size("projection_dim")
        compared = (
            Named("visual_projection", Stored(joint, tower.d_model)),
            Named("text_projection", Stored(joint, text.main.d_model)),
            Named("logit_scale", Stored(1, lone=True)),
        )
        tower = replace(tower, outputs=(*tower.outputs, *compared))
    towers.checked(part)
    layout = f"blip_model>{text.layout}" if bare else f"blip>{text.layout}"
    return replace(text, stacks=(*text.stacks, tower), layout=layout, notes=(*text.notes, LOOKING))


def pix2struct(config: Config) -> Architecture:
    """Pix2Struct [lee2022]: an encoder of patches, each of which knows its row and its column, and T5's decoder."""
    config.head_kind()
    part = config.nested("vision_config", given(config, "vision_config"), "pix2struct_vision_model")
    tied = config.flag("tie_word_embeddings")
    own = {**given(config, "text_config"), "tie_word_embeddings": tied}
    text = text_part(config, "pix2struct_text_model", own, own_tie=True)
    config.ignore(f"{OUTER} is_vqa is_encoder_decoder initializer_factor initializer_range")
    encoder = _patches(part)
    part.check_all_read()
    main = text.main
    if encoder.d_model != main.d_model:
        said = f"{main.d_model} wide, the decoder cannot look at an encoder {encoder.d_model} wide"
        raise SizeError(said, where=config.where)
    looking = replace(main, runs=tuple(replace(run, block=_looking(run.block)) for run in main.runs))
    return replace(text, stacks=(encoder, looking), layout="pix2struct")


def _looking(block: Block) -> Block:
    """A block whose attention to an encoder is used."""

    def used(part: Sublayer) -> Sublayer:
        (branch,) = part.branches
        if not (isinstance(branch.layer, Attention) and branch.layer.cross):
            return part
        return replace(part, branches=(replace(branch, layer=replace(branch.layer, unused=False)),))

    return Block(block.name, tuple(map(used, block.sublayers)))


def _patches(config: Config) -> Stack:
    width, heads = config.size("hidden_size"), config.size("num_attention_heads")
    config.ignore("dropout_rate attention_dropout initializer_range initializer_factor relative_attention_num_buckets")
    config.ignore("relative_attention_max_distance is_encoder_decoder tie_word_embeddings")
    norm = Norm(width, eps=config.number("layer_norm_eps") or 1e-6)
    attention = Attention(width, heads, d_head=config.size("d_kv"), scale=1.0, causal=False)
    mlp = Mlp(width, config.size("d_ff"), config.activation("dense_act_fn"), gated=True)
    block = Block("block", (sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)))
    table = Embedding(config.size("seq_len"), width, table="other")
    inputs = (
        Named("patch", Linear(config.size("patch_embed_hidden_size"), width)),
        Named("row", table),
        Named("column", table),
    )
    runs: tuple[Run, ...] = repeat_block(block, config.size("num_hidden_layers"))
    return Stack("encoder", width, inputs, runs, (Named("norm", norm),), "encoder")


def pp_formulanet(config: Config) -> Architecture:
    """PP-FormulaNet [liu2025formula]: SAM's blocks, two convolutions and two layers before mBART's decoder."""
    bare = config.head_kind() == "none"
    config.override("architectures", ["Model"] if bare else None)
    text = text_part(config, "pp_formulanet_text", given(config, "text_config"), own_tie=True)
    part = config.nested("vision_config", given(config, "vision_config"), "pp_formulanet_vision")
    seen = sam.sam(part)
    between = ("post_conv_in_channels", "post_conv_mid_channels", "post_conv_out_channels")
    entering, middle, leaving = (part.size(key) for key in between)
    out, merged = part.size("decoder_hidden_size"), sam.HALVED * sam.HALVED
    for wanted, given_size, key in (
        (part.size("output_channels"), entering, between[0]),
        (text.main.d_model, out, "decoder_hidden_size"),
    ):
        if wanted != given_size:
            raise SizeError(f"{key} is {given_size}, where {wanted} is given", where=part.where)
    layers = named(
        downsample_in=Patch(entering, sam.KERNEL, middle, bias=False, merge=sam.HALVED),
        downsample_out=Patch(middle, sam.KERNEL, leaving, bias=False, merge=merged),
        projector_in=Linear(leaving, leaving, merge=merged),
        projector_out=Linear(leaving, out, merge=merged),
    )
    towers.checked(part)
    config.ignore(f"{OUTER} is_encoder_decoder")
    seen = replace(seen, outputs=(*seen.outputs, *layers))
    layout = "pp_formulanet.bare" if bare else "pp_formulanet"
    return replace(text, stacks=(*text.stacks, seen), layout=layout, notes=(*text.notes, LOOKING))
