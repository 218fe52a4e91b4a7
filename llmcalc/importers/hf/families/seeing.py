"""Models that see through a vision transformer of its own type: LLaVA, Gemma 3, Idefics 3, InternVL and their kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Named, Stack
from ....core.errors import UnsupportedError, shown
from ....core.layer import MOST_LAYERS, Layer
from ....layers.attention import Attention
from ....layers.embedding import Embedding
from ....layers.features import Features
from ....layers.head import Head
from ....layers.linear import Linear
from ....layers.norm import Norm
from ..composite_configs import flat
from ..composite_models import OUTER, given, text_part
from ..config import Config
from ..rules import TOKENS, default_layernorm, rmsnorm
from ..vision_encoders import clip as towers
from . import bert
from .gpt import BIASED

_OUTER = f"""{OUTER}
    image_token_index video_token_index boi_token_index eoi_token_index image_grid_pinpoints
    vision_feature_select_strategy vision_aspect_ratio use_image_newline_parameter scale_embedding image_seq_len
    vision_token_id _pad_token_id vocab_size hidden_size projection_dim mm_tokens_per_image initializer_range
    pad_token_id
"""

# of a config, the widths of both sides, and the class tokens
Projector = Callable[[Config, int, int, int | None], list[Named]]


# keys that the first files of Idefics 3 and SmolVLM have beside those of their language model
_IDEFICS = """
    _flash_attn_2_enabled is_llama_config neftune_noise_alpha perceiver_config pixel_shuffle_factor qk_layer_norms
    use_resampler transformers.js_config
"""


def llava(config: Config) -> Architecture:
    """LLaVA 1.5: two layers between the tower and the language model."""
    return _seeing(config, "clip_vision_model", "llama", _two_layers)


def llava_next(config: Config) -> Architecture:
    """LLaVA-NeXT, also for films, and LLaVA-OneVision: LLaVA with a learned token at the end of an image's rows."""
    config.ignore("spatial_pool_mode spatial_pool_stride")
    usual = "qwen2" if config.model_type == "llava_onevision" else "llama"
    vision = "siglip_vision_model" if config.model_type == "llava_onevision" else "clip_vision_model"
    return _seeing(config, vision, usual, _two_layers, newline=True)


def video_llava(config: Config) -> Architecture:
    """Video-LLaVA [lin2023video]: one tower for images and one for films, before the same two layers."""
    found = _seeing(config, "clip_vision_model", "llama", _two_layers)
    *language, tower = found.stacks
    if tower.role != "tower":
        return found
    images, films = replace(tower, name="image_tower"), replace(tower, name="video_tower", outputs=tower.outputs[:1])
    note = "both towers are counted for the same number of patches; an image is seen by the first alone"
    text = found.layout.partition(">")[2]
    return replace(found, stacks=(*language, images, films), layout=f"video_llava>{text}", notes=(*found.notes, note))


def vipllava(config: Config) -> Architecture:
    """ViP-LLaVA: several layers of the tower side by side, behind a norm."""
    return _seeing(config, "clip_vision_model", "llama", _normed_layers)


def paligemma(config: Config) -> Architecture:
    """PaliGemma: SigLIP, one layer, Gemma; image and prompt see each other, what is generated does not."""
    return _seeing(
        config, "siglip_vision_model", "gemma", _one_layer, drop="use_bidirectional_attention num_image_tokens"
    )


def gemma3(config: Config) -> Architecture:
    """Gemma 3: SigLIP, whose patches are pooled, normed and projected; ShieldGemma 2, which is that within another."""
    wrapped = config.class_name() == "ShieldGemma2ForImageClassification"
    if config.model_type == "shieldgemma2" and given(config, "text_config").get("tie_word_embeddings", True):
        config.override("tie_word_embeddings", True)
    if wrapped:
        config.override("architectures", None)
    found = _seeing(config, "siglip_vision_model", "gemma3_text", _pooled)
    return replace(found, layout="shieldgemma2") if wrapped else found


def mistral3(config: Config) -> Architecture:
    """Mistral Small 3.1: Pixtral's tower, patches merged by fours."""
    return _seeing(config, "pixtral", "mistral", merged_layers)


def idefics3(config: Config) -> Architecture:
    """Idefics 3 and SmolVLM: SigLIP's blocks, patches merged, one matrix."""
    vision = f"{config.model_type}_vision"
    return _seeing(config, vision, "llama", _shuffled, drop=_IDEFICS)


def internvl(config: Config) -> Architecture:
    """InternVL [chen2023]: InternViT, patches merged by fours behind a norm."""
    return _seeing(config, "internvl_vision", "qwen2", normed_merged)


def llama4(config: Config) -> Architecture:
    """Llama 4: its tower ends in an adapter, and one matrix leads to the language model."""
    return _seeing(config, "llama4_vision_model", "llama4_text", _from_adapter, own_tie=True)


def mllama(config: Config) -> Architecture:
    """Llama 3.2 Vision: the language model looks at the tower through layers of its own."""
    text = text_part(config, "mllama_text_model", text_config(config, ""), own_tie=True)
    config.ignore(_OUTER)
    part = config.nested("vision_config", given(config, "vision_config"), "mllama_vision_model")
    stacks = towers.mllama(part, text.main.d_model)
    towers.checked(part)
    note = "patches are those of one tile; what the tables of tiles add, and the padding of tiles, is not described"
    return replace(text, stacks=(*text.stacks, *stacks), layout=f"mllama>{text.layout}", notes=(*text.notes, note))


def qwen2_vl(config: Config) -> Architecture:
    """Qwen2-VL and Qwen2.5-VL, whose tower merges patches itself."""
    return _seeing(config, f"{config.model_type}_vision", f"{config.model_type}_text", _nothing)


def _seeing(
    config: Config,
    usual_vision: str,
    usual_text: str,
    projector: Projector,
    *,
    newline: bool = False,
    drop: str = "",
    own_tie: bool = False,
) -> Architecture:
    """Both parts and what is between; a tower of an unknown type is named and not counted."""
    text = text_part(config, usual_text, text_config(config, drop), own_tie)
    vision = given(config, "vision_config")
    kind = str(vision.get("model_type", usual_vision))
    kind = towers.OLDER.get(kind, kind)
    config.ignore(_OUTER)
    if kind not in towers.TOWERS:
        return _left_out(config, text, kind)
    tower = towers.TOWERS[kind]
    part = config.nested("vision_config", vision, kind)
    stack = towers.read(part)
    width = text.main.d_model
    outputs = projector(config, stack.d_model, width, tower.prompt)
    stack = _taken(config, stack)
    stack = replace(stack, outputs=(*stack.outputs, *outputs))
    if tower.prompt is None and config.get("vision_feature_select_strategy") == "default":
        config.add_unmodelled("it leaves out the first patch, as if it were a class token")
    if newline:
        extra = Named("newline", Embedding(1, width, table="other", use="side_tokens"))
        stack = replace(stack, outputs=(*stack.outputs, extra))
    return replace(text, stacks=(*text.stacks, stack), layout=f"{tower.layout}>{text.layout}")


def text_config(config: Config, drop: str = "") -> dict[str, Any]:
    """The language model's own config, wherever it stands, without keys that only say how images are masked."""
    found = flat(config.data) if config.data.get("text_config") is None else None
    if found:
        config.ignore(" ".join(found))
    part = dict(found or given(config, "text_config"))
    return {key: value for key, value in part.items() if key not in drop.split()}


def _left_out(config: Config, text: Architecture, kind: str) -> Architecture:
    config.ignore(" ".join(config.defaults))
    note = f"its vision tower ({shown(kind)}) and the projector behind it are not understood; not counted: vision"
    return replace(text, notes=(*text.notes, note))


def _features(config: Config) -> int:
    """Layers of the tower whose results stand side by side."""
    value = config.get("vision_feature_layer")
    return len(value) if isinstance(value, list) else 1


def _taken(config: Config, stack: Stack) -> Stack:
    """The tower with a choice of the blocks whose results go on, where a config names them: the norm is not theirs."""
    given = config.get("vision_feature_layer")
    if given is None or (given == -1 and config.model_type == "internvl"):
        return stack
    blocks = [
        config.integer(one, "vision_feature_layer", -MOST_LAYERS) for one in (given if type(given) is list else [given])
    ]
    if any(not -stack.n_layers - 1 <= number <= stack.n_layers for number in blocks):
        config.add_unmodelled(f"vision_feature_layer is {shown(given)}, but the tower has {stack.n_layers} layers")
    left = tuple(Named(name, replace(layer, unused=True)) for name, layer in stack.outputs)  # type: ignore[type-var]
    chosen = Named("features", Features(stack.d_model, " ".join(map(str, blocks))))
    return replace(stack, outputs=(*left, chosen))


def _two_layers(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    bias, act = config.flag("multimodal_projector_bias", True), config.activation("projector_hidden_act")
    kept = prompt if config.one_of("vision_feature_select_strategy", "default", "full") == "full" else None
    first = Linear(width * _features(config), out, bias, act, prompt=kept)
    return [Named("projector_in", first), Named("projector_out", Linear(out, out, bias, prompt=kept))]


def _normed_layers(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    wide = width * _features(config)
    norm = Norm(wide, "layernorm", bias=True, eps=config.number("projector_layernorm_eps") or 1e-5)
    act = config.activation("projector_hidden_act")
    layers = (Linear(wide, out, activation=act), Linear(out, out))
    return [Named("projector_norm", norm), Named("projector_in", layers[0]), Named("projector_out", layers[1])]


def _one_layer(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    return [Named("projector", Linear(width, config.size("projection_dim")))]


def _pooled(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    vision: Mapping[str, Any] = given(config, "vision_config")
    part = config.nested("vision_config", vision, str(vision.get("model_type", "siglip_vision_model")))
    side = part.size("image_size") // part.size("patch_size")
    kernel = max(1, side // int(config.size("mm_tokens_per_image") ** 0.5))
    norm = replace(rmsnorm(part, width, "layer_norm_eps", unit_offset=True), merge=kernel * kernel)
    return [Named("pooled_norm", norm), Named("pooled", Linear(width, out, bias=False, merge=kernel * kernel))]


def pooled_tower(config: Config, out: int) -> Stack:
    """Gemma 3's tower and what leads from it to a language model of the width ``out``."""
    vision = {"model_type": "siglip_vision_model", **given(config, "vision_config")}
    if vision["model_type"] != "siglip_vision_model":
        raise UnsupportedError(f"a tower of type {shown(vision['model_type'])} is not modelled", where=config.where)
    part = config.nested("vision_config", vision, "siglip_vision_model")
    stack = towers.read(part)
    return replace(stack, outputs=(*stack.outputs, *_pooled(config, stack.d_model, out, None)))


def merged_layers(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    """A norm, a matrix that merges patches, two layers."""
    merged, bias = config.size("spatial_merge_size") ** 2, config.flag("multimodal_projector_bias")
    act = config.activation("projector_hidden_act") if config.get("projector_hidden_act") else "gelu"
    norm = Norm(width, eps=1e-6)
    layers: dict[str, Layer] = {
        "projector_norm": norm,
        "patch_merger": Linear(width * merged, width, bias=False, merge=merged, merge_by_channel=True),
        "projector_in": Linear(width * _features(config), out, bias, act, merge=merged),
        "projector_out": Linear(out, out, bias, merge=merged),
    }
    return [Named(name, layer) for name, layer in layers.items()]


def _shuffled(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    merged = config.size("scale_factor") ** 2
    return [Named("connector", Linear(width * merged, out, bias=False, merge=merged))]


def normed_merged(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    """Merged patches behind a norm, through two layers."""
    merged = int(1 / config.positive_number("downsample_ratio")) ** 2
    wide, act = width * merged, config.activation("projector_hidden_act")
    layers = (Linear(wide, out, activation=act, merge=merged), Linear(out, out, merge=merged))
    norm = replace(default_layernorm(wide), merge=merged)
    return [Named("merged_norm", norm), Named("merged_in", layers[0]), Named("merged_out", layers[1])]


def _from_adapter(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    part = config.nested("vision_config", given(config, "vision_config"), "llama4_vision_model")
    layer = Linear(part.size("vision_output_dim"), out, bias=False, merge=towers.shuffled(part))
    return [Named("projector", layer)]


def _nothing(config: Config, width: int, out: int, prompt: int | None) -> list[Named]:
    return []


def git(config: Config) -> Architecture:
    """GIT: BERT's blocks as a decoder, which sees the patches of CLIP's tower as a prefix of its text."""
    kind, tied, width = config.head_kind() or "causal", config.flag("tie_word_embeddings"), config.size("hidden_size")
    config.get("num_image_with_embedding")
    attention = Attention(width, config.size("num_attention_heads"), **BIASED)
    stack = bert.encoder(config, segments=False, attention=attention)
    tables = tuple(_shared(entry, tied and kind == "causal") for entry in stack.inputs)
    share = TOKENS if tied else None
    head = [Named("head", Head(config.size("vocab_size"), width, share, bias=True))] if kind == "causal" else []
    stack = replace(stack, name="decoder", role="decoder", inputs=tables, outputs=tuple(head))
    part = config.nested("vision_config", given(config, "vision_config"), "git_vision_model")
    tower = towers.read(part)
    norm = Norm(width, "layernorm", bias=True, eps=part.number("layer_norm_eps") or 1e-5)
    out = [
        Named("projector", Linear(tower.d_model, width, prompt=towers.CLASS_TOKEN)),
        Named("projector_norm", norm),
    ]
    out += [
        Named(f"frame{number}", Embedding(1, tower.d_model, table="other", unused=True))
        for number in range(config.count("num_image_with_embedding"))
    ]
    tower = replace(tower, outputs=(*tower.outputs, *out))
    return Architecture(config.model_type, (stack, tower))


def _shared(entry: Named, tied: bool) -> Named:
    """A token table that the head has too, or not."""
    if entry.name == "token" and isinstance(entry.layer, Embedding):
        return Named(entry.name, replace(entry.layer, share=TOKENS if tied else None))
    return entry
