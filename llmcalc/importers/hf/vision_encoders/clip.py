"""Vision transformers before a language model: those of CLIP, SigLIP, Pixtral, InternVL, Qwen2-VL and Llama 4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ....core.architecture import Block, Named, Run, Stack
from ....core.errors import DescriptionError, SizeError, shown
from ....core.layer import Layer
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.patch import Patch
from ....layers.scale import Scale
from ..composite_models import qwen_tower
from ..config import Config
from ..families.gpt import BIASED
from ..rules import default_layernorm, group_runs, repeat_block, rmsnorm, sublayer

CHANNELS = 3  # red, green, blue
CLASS_TOKEN = 1  # learned tokens before the patches
PIXTRAL_EPS = 1e-5
QWEN_EPS = 1e-6
THETA = 10_000.0
# what files say that no tower reads
_LEFT = """
    projection_dim vocab_size num_image_tokens _attn_implementation is_encoder_decoder tie_word_embeddings
    projector_hidden_act vision_feature_layer max_image_size size use_base_siglip
"""


class Tower(NamedTuple):
    """How a vision transformer is read, and the layout of its tensors.

    Attributes:
        read: from its config to a stack without the projector behind it.
        layout: the file of its names.
        prompt: learned tokens that stand before the patches.
    """

    read: Callable[[Config], Stack]
    layout: str
    prompt: int | None = None


def clip(config: Config) -> Stack:
    """CLIP's: a class token, patches without a bias, norms before and behind the blocks."""
    norm, act = replace(layernorm(config), prompt=CLASS_TOKEN), config.activation()
    inputs = (
        *_patches(config, bias=False, prompt=CLASS_TOKEN, rows=grid(config) + CLASS_TOKEN),
        Named("pre_norm", norm),
    )
    return _stack(config, inputs, _block(config, norm, act, CLASS_TOKEN, **BIASED), norm)


def siglip(config: Config) -> Stack:
    """SigLIP's: no class token; the language model takes nothing from its pooling head."""
    norm = layernorm(config)
    inputs = _patches(config, bias=True, rows=grid(config))
    found = _stack(config, inputs, _block(config, norm, config.activation(), None, **BIASED), norm)
    return replace(found, outputs=(*found.outputs, *(pooling(config) if config.flag("vision_use_head") else ())))


def pooling(config: Config) -> tuple[Named, ...]:
    """A head that attends from a learned probe; stored, and of no use to a language model."""
    width = config.size("hidden_size")
    attention = Attention(width, config.size("num_attention_heads"), causal=False, cross=True, unused=True, **BIASED)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), bias=True, unused=True)
    probe = Embedding(1, width, table="other", unused=True)
    norm = replace(layernorm(config), unused=True)
    layers: dict[str, Layer] = {"probe": probe, "pooling": attention, "pooling_norm": norm, "pooling_mlp": mlp}
    return tuple(Named(name, layer) for name, layer in layers.items())


def pixtral(config: Config) -> Stack:
    """Pixtral's: RMSNorm, gated layers, positions that turn along rows and columns."""
    width = config.size("hidden_size")
    config.ignore("image_size head_dim")
    norm = Norm(width, eps=PIXTRAL_EPS)
    turned: dict[str, Any] = {"positions": "rope", "rope_grid": "alternate", "rope_theta": _theta(config)}
    attention = Attention(width, config.size("num_attention_heads"), causal=False, **turned)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), gated=True)
    block = Block("block", (sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)))
    inputs = (*_patches(config, bias=False), Named("pre_norm", norm))
    return _stack(config, inputs, block, None)


def internvit(config: Config) -> Stack:
    """InternViT [chen2023]: a factor a channel on what each sub-layer gives."""
    width, kind = config.size("hidden_size"), config.one_of("norm_type", "layer_norm", "rms_norm")
    norm = rmsnorm(config, width, "layer_norm_eps") if kind == "rms_norm" else layernorm(config)
    norm = replace(norm, prompt=CLASS_TOKEN)
    rows = rectangle(config, "image_size", "patch_size")
    config.ignore("layer_scale_init_value hidden_dropout_prob projection_dropout use_mean_pooling drop_path_rate")
    bias = config.flag("attention_bias")
    fields: dict[str, Any] = {"q_bias": bias, "k_bias": bias, "v_bias": bias, "o_bias": True}
    fields |= {"qk_norm": "projection"} if config.flag("use_qk_norm") else {}
    inputs = _patches(config, bias=True, prompt=CLASS_TOKEN)
    if config.flag("use_mask_token"):
        inputs = (*inputs, Named("mask", Embedding(1, width, table="other", unused=True)))
    if config.flag("use_absolute_position_embeddings", True):
        inputs = (*inputs, Named("position", Embedding(rows + CLASS_TOKEN, width, table="position")))
    block = _block(config, norm, config.activation(), CLASS_TOKEN, layer_scale=True, **fields)
    return _stack(
        config,
        inputs,
        block,
        None if config.flag("use_mean_pooling", True) else replace(layernorm(config), prompt=CLASS_TOKEN),
    )


def qwen2(config: Config) -> Stack:
    """Qwen2-VL's: patches of two frames, positions that turn; merged fours go to the language model."""
    width = config.size("embed_dim")
    norm = Norm(width, "layernorm", bias=True, eps=QWEN_EPS)
    mlp = Mlp(width, int(width * config.positive_number("mlp_ratio")), config.activation(), bias=True)
    return _qwen(config, norm, mlp, {}, config.size("hidden_size"))


def qwen2_5(config: Config) -> Stack:
    """Qwen2.5-VL's: RMSNorm, gated layers, windows in all blocks but some."""
    width = config.size("hidden_size")
    config.ignore("tokens_per_second")
    norm = Norm(width, eps=QWEN_EPS)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), gated=True, bias=True)
    side = config.size("window_size") // config.size("patch_size")
    return _qwen(config, norm, mlp, {"chunk": side * side}, config.size("out_hidden_size"))


def qwen3(config: Config) -> Stack:
    """Qwen3-VL's: a learned table of positions besides the turning ones, and mergers for layers in between."""
    return qwen_tower(config, config.size("out_hidden_size"))


def _qwen(config: Config, norm: Norm, mlp: Mlp, windowed: dict[str, Any], out: int) -> Stack:
    width, heads, merged = norm.d_model, config.size("num_heads"), config.size("spatial_merge_size") ** 2
    config.ignore("in_chans spatial_patch_size")
    frames = config.size("temporal_patch_size")
    patch = Patch(config.size("in_channels", CHANNELS), config.size("patch_size"), width, frames, bias=False)
    fields: dict[str, Any] = {"causal": False, "positions": "rope", "rope_grid": "halves", **BIASED}
    fields["rope_theta"] = _theta(config)
    if "num_key_value_heads" in config.known_keys():
        fields["n_kv_heads"] = config.optional_size("num_key_value_heads") or heads

    def block(name: str, changes: dict[str, Any]) -> Block:
        attention = Attention(width, heads, **{**fields, **changes})
        return Block(name, (sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)))

    depth, full = config.size("depth"), set(config.layer_indices("fullatt_block_indexes"))
    kinds = {True: block("block", {}), False: block("windowed", windowed)} if windowed else {True: block("block", {})}
    order = [not windowed or index in full for index in range(depth)]
    wide = merged * width
    outputs = (
        Named("merger_norm", norm),
        Named("merger_in", Linear(wide, wide, activation="gelu", merge=merged)),
        Named("merger_out", Linear(wide, out, merge=merged)),
    )
    return Stack("vision", width, (Named("patch", patch),), group_runs(kinds[at] for at in order), outputs, "tower")


def llama4(config: Config) -> Stack:
    """Llama 4's: a class token, biases, patches merged by fours before an adapter."""
    width = config.size("hidden_size")
    config.ignore("vision_feature_select_strategy pixel_shuffle_ratio projector_dropout multi_modal_projector_bias")
    config.ignore("rope_parameters rope_theta hidden_act vision_output_dim norm_eps")
    norm = replace(default_layernorm(width), prompt=CLASS_TOKEN)
    pixels = config.size("num_channels", CHANNELS) * config.size("patch_size") ** 2
    inputs = (
        Named("patch", Linear(pixels, width, bias=False)),
        Named("class", Embedding(CLASS_TOKEN, width, table="other", use="prefix")),
        Named("position", Embedding(grid(config) + CLASS_TOKEN, width, table="position")),
        Named("pre_norm", norm),
    )
    found = _stack(
        config, inputs, _block(config, norm, "gelu", CLASS_TOKEN, positions="rope", rope_grid="other", **BIASED), norm
    )
    merged = shuffled(config)
    merging, out = config.size("projector_input_dim"), config.size("projector_output_dim")
    adapter = (
        Named(
            "adapter_in", Linear(config.size("intermediate_size"), merging, bias=False, activation="gelu", merge=merged)
        ),
        Named("adapter_out", Linear(out, out, bias=False, activation="gelu", merge=merged)),
    )
    return replace(found, outputs=(*found.outputs, *adapter))


def shuffled(config: Config) -> int:
    """Patches of Llama 4 that become one."""
    return round(1 / config.positive_number("pixel_shuffle_ratio") ** 2)


def mllama(config: Config, out: int) -> tuple[Stack, Stack]:
    """Llama 3.2 Vision's: blocks, and gated ones behind them; tables for where a tile stands in an image."""
    width, layers = config.size("hidden_size"), config.size("num_global_layers")
    config.ignore("intermediate_layers_indices")
    ratios = config.get("supported_aspect_ratios")
    rows = (len(ratios) if isinstance(ratios, list) else MLLAMA_RATIOS) + 1  # one for no image
    tiles, positions = config.size("max_num_tiles"), grid(config) + CLASS_TOKEN
    norm = Norm(width, "layernorm", bias=True, eps=config.number("norm_eps") or 1e-5, prompt=CLASS_TOKEN)
    plain = replace(default_layernorm(width), prompt=CLASS_TOKEN)
    gate = Scale(width, lone=True, function="tanh", prompt=CLASS_TOKEN)
    around = Embedding(rows, tiles * width, table="other", unused=True)
    inputs = (
        *_patches(config, bias=False, prompt=CLASS_TOKEN, rows=positions),
        Named("position_gate", replace(gate, unused=True)),
        Named("tile", Embedding(rows, tiles * positions * width, table="other", unused=True)),
        Named("before", around),
        Named("before_gate", replace(gate, unused=True)),
        Named("pre_norm", plain),
    )
    local = _block(config, norm, config.activation(), CLASS_TOKEN)
    gated = Block("gated", tuple(replace(part, post=gate) for part in local.sublayers))
    first = Stack("transformer", width, inputs, repeat_block(local, config.size("num_hidden_layers")), (), "tower")
    behind = (Named("post_norm", plain), Named("after", around), Named("after_gate", replace(gate, unused=True)))
    projector = Named("projector", Linear(config.size("vision_output_dim"), out, prompt=CLASS_TOKEN))
    second = Stack(
        "global_transformer", width, (behind[1], behind[2]), repeat_block(gated, layers), (projector,), "tower"
    )
    return replace(first, outputs=(behind[0],)), second


MLLAMA_RATIOS = 8  # of the sides of an image, up to four tiles

TOWERS = {
    "clip_vision_model": Tower(clip, "clip", CLASS_TOKEN),
    "git_vision_model": Tower(clip, "clip", CLASS_TOKEN),
    "siglip_vision_model": Tower(siglip, "clip"),
    "idefics3_vision": Tower(siglip, "idefics3"),
    "idefics2_vision": Tower(siglip, "idefics3"),
    "smolvlm_vision": Tower(siglip, "idefics3"),
    "pixtral": Tower(pixtral, "pixtral"),
    "internvl_vision": Tower(internvit, "internvl", CLASS_TOKEN),
    "qwen2_vl_vision": Tower(qwen2, "qwen2_vl"),
    "qwen2_5_vl_vision": Tower(qwen2_5, "qwen2_vl"),
    "exaone4_5_vision": Tower(qwen2_5, "qwen2_vl"),
    "qwen3_vl_vision": Tower(qwen3, "qwen3_vl_visual"),
    "qwen4_exp_vision": Tower(qwen3, "qwen3_vl_visual"),
    "cohere_compass_vision": Tower(qwen3, "qwen3_vl_visual"),
    "qianfan_ocr_vision": Tower(internvit, "qianfan_ocr", CLASS_TOKEN),
    "llama4_vision_model": Tower(llama4, "llama4", CLASS_TOKEN),
}

OLDER = {"idefics3": "idefics3_vision"}  # what first files call a tower


def read(config: Config) -> Stack:
    """The tower of a config, every key of which is read."""
    found = TOWERS[config.model_type].read(config)
    checked(config)
    return found


def checked(config: Config) -> None:
    """Fail on a key of a tower that nobody read, but for those that every file has."""
    config.ignore(_LEFT)
    config.check_all_read()


def layernorm(config: Config) -> Norm:
    """LayerNorm over the tower's width."""
    return Norm(config.size("hidden_size"), "layernorm", bias=True, eps=config.number("layer_norm_eps") or QWEN_EPS)


def _theta(config: Config) -> float:
    """The base of the rotary frequencies."""
    given = config.get("rope_parameters")
    plain = given if isinstance(given, dict) else {}
    if plain.get("rope_type", "default") not in ("default", "axial"):
        raise DescriptionError(f"rope_parameters is {shown(plain)}; a tower's are not stretched", where=config.where)
    return config.number("rope_theta") or float(plain.get("rope_theta", THETA))


def grid(config: Config) -> int:
    """Patches of an image."""
    image, patch = config.size("image_size"), config.size("patch_size")
    if image < patch:
        raise SizeError(f"image_size ({image}) is less than patch_size ({patch})", where=config.where)
    return int((image // patch) ** 2)


def rectangle(config: Config, whole: str, part: str) -> int:
    """Patches of an image whose sides are given one by one, or as one."""
    images, patches = (sides(config, key) for key in (whole, part))
    return (images[0] // patches[0]) * (images[1] // patches[1])


def sides(config: Config, key: str) -> tuple[int, int]:
    """Both sides of what is given as one number or two."""
    given = config.get(key)
    sides = given if isinstance(given, list) else [given, given]
    if len(sides) != 2:
        raise DescriptionError(f"{key} is {shown(given)}; it is one number or two", where=config.where)
    return config.integer(sides[0], key, 1), config.integer(sides[1], key, 1)


def _patches(config: Config, *, bias: bool, prompt: int | None = None, rows: int | None = None) -> tuple[Named, ...]:
    """Patches as tokens, a class token beside them, and a table of positions of so many ``rows``."""
    width, (side, other) = config.size("hidden_size"), sides(config, "patch_size")
    if side != other:
        raise DescriptionError("patches are not square", where=config.where)
    patch = Patch(config.size("num_channels", CHANNELS), side, width, bias=bias)
    found = [Named("patch", patch)]
    found += [Named("class", Embedding(prompt, width, table="other", use="prefix"))] if prompt else []
    found += [Named("position", Embedding(rows, width, table="position"))] if rows else []
    return tuple(found)


def _block(
    config: Config, norm: Layer, act: str, prompt: int | None, *, layer_scale: bool = False, **fields: Any
) -> Block:
    """A pre-norm block of attention and a plain feed-forward layer; ``layer_scale``: factors on what each gives."""
    width = config.size("hidden_size")
    attention = Attention(width, config.size("num_attention_heads"), causal=False, prompt=prompt, **fields)
    mlp = Mlp(width, config.size("intermediate_size"), act, bias=True, prompt=prompt)
    post = Scale(width, prompt=prompt) if layer_scale else None
    parts = (sublayer("attention", attention, pre=norm, post=post), sublayer("mlp", mlp, pre=norm, post=post))
    return Block("block", parts)


def _stack(config: Config, inputs: tuple[Named, ...], block: Block, norm: Layer | None) -> Stack:
    runs: tuple[Run, ...] = repeat_block(block, config.size("num_hidden_layers"))
    outputs = (Named("post_norm", norm),) if norm else ()
    return Stack("vision", config.size("hidden_size"), inputs, runs, outputs, "tower")
