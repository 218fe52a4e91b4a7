"""Vision transformers by what tells them apart: a row a type; their tensors' names are in the layouts of the wholes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ....core.architecture import Block, Named, Run, Stack
from ....core.errors import DescriptionError
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.patch import Patch
from ....layers.scale import Scale
from ..config import Config
from ..rules import repeat_block, runs_by_type, sublayer
from .clip import CHANNELS, CLASS_TOKEN, grid, pooling, rectangle

EPS = 1e-6
FULL, WINDOWED = "full_attention", "window_attention"
PERIOD = 4  # layers of which one sees all patches, if the config names no kinds; the last does, too


class Vit(NamedTuple):
    """What tells a vision transformer from others. A text in place of a truth value is the key that says it.

    Attributes:
        patches: how they become tokens: by an ``image``'s convolution, that of a ``film`` or of a pair of frames, or as
            ``flat`` values by one matrix; empty: they are tokens.
        patch_bias: whether that has a bias.
        prompt: learned tokens that stand before the patches.
        rows: rows of a learned table of positions; None: there is none.
        norm: the function of all norms; what LayerNorm has a bias.
        eps: the key of what is added under their root.
        first, last: a norm before and behind the blocks; that ``first`` one may stand on ``patches``, before positions.
        bias: of queries, keys and values, and, with ``o_bias`` None, of their output.
        mlp_bias: of the feed-forward layers.
        gated: these have a gate.
        d_ff: the key of their width.
        qk_norm: as of attention.
        qk_layernorm: the key that says whether LayerNorm stands on whole queries and keys; empty: none does.
        grouped: the config says how many heads of keys and values there are, and how wide a head is.
        rope: positions turn queries and keys: those on a grid, as ``rope_grid`` of attention has it, or those of a text
            (``none``); empty: they do not.
        window: patches that see each other where ``layer_types`` has ``window_attention``; None: all do everywhere.
        scaled: a factor a channel on what each sub-layer gives.
        pooled: the key that says whether there is a head that no language model uses; empty: there is none.
        older: pairs of keys, ``old:new``, of which a file may have the old one.
        left: keys without any effect on counts.
    """

    patches: str = "image"
    patch_bias: bool = True
    prompt: int | None = None
    rows: Callable[[Config], int] | None = None
    norm: str = "layernorm"
    eps: str = "layer_norm_eps"
    first: bool | str = False
    last: bool = True
    bias: bool | str = True
    o_bias: bool | None = None
    mlp_bias: bool | str = True
    gated: bool = False
    d_ff: str = "intermediate_size"
    qk_norm: str = "none"
    qk_layernorm: str = ""
    grouped: bool = False
    rope: str = ""
    window: Callable[[Config], int] | None = None
    scaled: bool = False
    pooled: str = ""
    older: str = ""
    left: str = ""


def read(config: Config, merge: int = 1) -> Stack:
    """The transformer of a config, without what leads from it to a language model.

    ``merge``: so many patches are one token of another tower, behind which it stands.
    """
    vit = VITS[config.model_type]
    for pair in vit.older.split():
        config.read_legacy(*pair.split(":"))
    width = config.size("hidden_size")
    config.ignore(f"{vit.left} rope_parameters rope_theta initializer_range")
    norm = norm_of(config, vit, width)
    inputs = [
        *([Named("patch", _patch(config, vit, width))] if vit.patches else []),
        *([Named("class", Embedding(vit.prompt, width, table="other", use="prefix"))] if vit.prompt else []),
        *([Named("pre_norm", norm)] if vit.first == "patches" else []),
        *([Named("position", Embedding(vit.rows(config), width, table="position"))] if vit.rows else []),
        *([Named("pre_norm", norm)] if vit.first is True else []),
    ]
    outputs = [Named("post_norm", norm)] if vit.last else []
    outputs += pooling(config) if vit.pooled and config.flag(vit.pooled) else []
    return Stack("vision", width, tuple(inputs), _runs(config, vit, merge), tuple(outputs), "tower")


def _runs(config: Config, vit: Vit, merge: int) -> tuple[Run, ...]:
    count = depth(config)
    if vit.window is None:
        return repeat_block(block(config, vit, merge), count)
    windowed = block(config, vit, chunk=vit.window(config))
    usual = [WINDOWED if (index + 1) % PERIOD and index < count - 1 else FULL for index in range(count)]
    return runs_by_type({FULL: block(config, vit), WINDOWED: windowed}, config.strings("layer_types", count) or usual)


def depth(config: Config) -> int:
    """The number of blocks."""
    return config.size(_one_of(config, "num_hidden_layers", "depth"))


def block(config: Config, vit: Vit, merge: int = 1, chunk: int | None = None) -> Block:
    """A block; ``merge``: so many patches have become one before it; ``chunk``: so many see each other."""
    width, heads = config.size("hidden_size"), config.size(_one_of(config, "num_attention_heads", "num_heads"))
    norm = replace(norm_of(config, vit, width), merge=merge)
    bias, mlp_bias = (_holds(config, value) for value in (vit.bias, vit.mlp_bias))
    fields: dict[str, Any] = {"q_bias": bias, "k_bias": bias, "v_bias": bias}
    fields |= {"o_bias": bias if vit.o_bias is None else vit.o_bias, "qk_norm": vit.qk_norm}
    fields |= {"qk_norm_eps": norm.eps} if vit.qk_norm != "none" else {}
    fields |= {"positions": "rope", "rope_grid": vit.rope} if vit.rope else {}
    if vit.qk_layernorm and config.flag(vit.qk_layernorm):
        fields |= {"qk_norm": "projection", "qk_norm_function": "layernorm", "qk_norm_bias": True, "qk_norm_eps": 1e-5}
    if vit.grouped:
        fields |= {
            "n_kv_heads": config.optional_size("num_key_value_heads"),
            "d_head": config.optional_size("head_dim"),
        }
    attention = Attention(width, heads, causal=False, merge=merge, chunk=chunk, prompt=vit.prompt, **fields)
    activation = config.activation()
    d_ff = int(width * config.positive_number(vit.d_ff)) if vit.d_ff == "mlp_ratio" else config.size(vit.d_ff)
    mlp = Mlp(width, d_ff, activation, gated=vit.gated, bias=mlp_bias, merge=merge, prompt=vit.prompt)
    post = Scale(width) if vit.scaled else None
    parts = (sublayer("attention", attention, pre=norm, post=post), sublayer("mlp", mlp, pre=norm, post=post))
    return Block("merged" if merge > 1 else "windowed" if chunk else "block", parts)


def norm_of(config: Config, vit: Vit, width: int) -> Norm:
    """The norm of a transformer, over some width."""
    return Norm(width, vit.norm, bias=vit.norm == "layernorm", eps=config.number(vit.eps) or EPS, prompt=vit.prompt)


def _patch(config: Config, vit: Vit, width: int) -> Linear | Patch:
    known, side = config.known_keys(), config.size("patch_size")
    channels = next((config.size(key) for key in ("num_channels", "in_channels") if key in known), CHANNELS)
    if vit.patches == "flat":
        frames = config.size("patch_temporal") if "patch_temporal" in known else 1
        return Linear(frames * channels * side * side, width, vit.patch_bias)
    spanned = config.size("temporal_patch_size") if vit.patches == "film" else None
    return Patch(channels, side, width, spanned, vit.patch_bias)


def _holds(config: Config, value: bool | str) -> bool:
    return config.flag(value) if isinstance(value, str) else value


def _one_of(config: Config, *keys: str) -> str:
    """The one of some keys of one meaning that a class has."""
    found = [key for key in keys if key in config.known_keys()]
    if not found:
        raise DescriptionError(f"{keys[0]} is missing", where=config.where)
    return found[0]


def _cells(config: Config) -> int:
    """Patches of a table of positions, and of a window."""
    return config.size("pos_emb_height") * config.size("pos_emb_width")


def _places(config: Config) -> int:
    """Rows of a table, as the config says or as many as an image has patches."""
    return config.optional_size("num_position_embeddings") or rectangle(config, "image_size", "patch_size")


def _largest_grid(config: Config) -> int:
    """Patches of the largest image, and a row before them that nothing looks up."""
    return (config.size("max_image_size") // config.size("patch_size")) ** 2 + 1


_GLM = Vit(
    "film",
    rows=grid,
    norm="rmsnorm",
    eps="rms_norm_eps",
    first="patches",
    bias="attention_bias",
    o_bias=False,
    mlp_bias=False,
    gated=True,
    d_ff="out_hidden_size",
    rope="halves",
)
_SIGLIP = Vit(rows=grid)
_BLIP = Vit(prompt=CLASS_TOKEN, rows=lambda config: grid(config) + CLASS_TOKEN, bias="qkv_bias", o_bias=True)
_HUNYUAN = Vit(
    rows=_largest_grid,
    eps="rms_norm_eps",
    last=False,
    left="""interpolate_mode img_max_token_num min_image_size max_vit_seq_len temporal_patch_size text_hidden_size
        num_key_value_heads""",
)
# of each type
VITS: dict[str, Vit] = {
    "glm4v_vision": _GLM,
    "glm4v_moe_vision": _GLM,
    "glm_ocr_vision": _GLM._replace(
        rows=None,
        first=False,
        o_bias=None,
        mlp_bias="attention_bias",
        d_ff="intermediate_size",
        qk_norm="head",
        left="image_size",
    ),
    "ernie4_5_vl_moe_vision": Vit(
        "flat", patch_bias=False, eps="rms_norm_eps", rope="halves", left="temporal_merge_size"
    ),
    "paddleocr_vl_vision": _SIGLIP._replace(rope="halves"),
    "video_llama_3_vision": _SIGLIP._replace(rows=None, rope="halves"),
    "ovis2_vision": _SIGLIP._replace(
        norm="rmsnorm", eps="rms_norm_eps", first=True, bias="qkv_bias", mlp_bias="mlp_bias", gated=True,
        left="tokenize_function",
    ),
    "step3p5_vision": Vit(
        patch_bias=False, rows=grid, first=True, last=False, rope="halves", scaled=True, d_ff="mlp_ratio",
        left="max_position_embeddings layer_scale_init_value ls_init_value intermediate_size",
        older="width:hidden_size layers:num_hidden_layers heads:num_attention_heads",
    ),
    "minimax_m3_vl_vision": Vit("film", patch_bias=False, first=True, last=False, rope="other", left="image_size"),
    "siglip2_vision_model": Vit("flat", rows=lambda config: config.size("num_patches"), pooled="vision_use_head"),
    "cosmos3_edge_vision": Vit("flat", rows=lambda config: config.size("num_patches")),
    "muse_glimmer_vision": Vit(
        "flat", patch_bias=False, rows=_cells, first=True, rope="halves", window=_cells,
        left="max_position_embeddings",
    ),
    "unlimited_ocr_vision_encoder": Vit(
        "", prompt=CLASS_TOKEN, rows=lambda config: grid(config) + CLASS_TOKEN, first=True, last=False,
        left="num_channels projection_dim initializer_factor",
    ),
    "molmo2_vision": Vit(
        "flat", rows=_places, last=False, bias="attention_bias",
        o_bias=True, grouped=True, left="image_size",
    ),
    "blip_2_vision_model": _BLIP,
    "blip_vision_model": _BLIP._replace(bias=True, o_bias=None),
    "instructblip_vision_model": _BLIP,
    "instructblipvideo_vision_model": _BLIP,
    "granite_docling_vision": _SIGLIP,
    "minicpmv4_6_vision": _SIGLIP,
    "minicpmv4_7_vision": _SIGLIP,
    "minicpm_ocr_vision": _SIGLIP,
    "deepseek_ocr2_encoder": Vit(
        "", norm="rmsnorm", eps="rms_norm_eps", o_bias=False, mlp_bias=False, gated=True, grouped=True, rope="none",
        left="""use_cache use_sliding_window sliding_window max_window_layers layer_types max_position_embeddings
            pad_token_id bos_token_id eos_token_id""",
    ),
    "janus_vision_model": _SIGLIP._replace(
        bias="attention_bias", o_bias=True, d_ff="mlp_ratio", qk_layernorm="use_qk_norm",
        left="projection_dropout hidden_dropout_rate num_image_tokens",
    ),
    "hunyuan_vl_vision": _HUNYUAN,
    "hy_v4_vl_vision": _HUNYUAN,
}  # fmt: skip
