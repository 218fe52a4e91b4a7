"""Models that see through a few vectors: learned queries, or groups of patches, look at a tower's result."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Stack
from ....core.errors import DescriptionError
from ....importers.hf.composite_models import OUTER, given, text_part
from ....importers.hf.config import Config
from ....importers.hf.families.seeing import text_config
from ....importers.hf.projectors import layernorm, named
from ....importers.hf.rules import repeat_block, sublayer
from ....importers.hf.vision_encoders import clip as towers
from ....importers.hf.vision_encoders import vit as vits
from ....layers.embedding import Embedding
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ..layers.query_attention import QueryAttention

_LEFT = f"""{OUTER} image_token_index initializer_range use_cache pad_token_id vision_feature_layer image_patch_id
    low_res_image_start_token_id image_start_token_id image_end_token_id frame_start_token_id frame_end_token_id
"""
WIDER = 4  # hidden width of a resampler's layers, in its own
POOLED = 4  # neighbours that ask as one, for images


def idefics2(config: Config) -> Architecture:
    """Idefics 2 [laurencon2024]: a gated layer widens patches; learned queries see them, and each other."""
    part = text_config(config)
    text = text_part(config, "mistral", part)
    inner = config.nested("text_config", part, str(part.get("model_type", "mistral")))
    d_ff, act, out = inner.size("intermediate_size"), inner.activation(), text.main.d_model
    tower = _tower(config, "idefics2_vision")
    width = tower.d_model
    widening = named(
        projector_gate=Linear(width, d_ff, bias=False, activation=act),
        projector_up=Linear(width, d_ff, bias=False),
        projector_down=Linear(d_ff, out, bias=False),
    )
    perceiver = config.nested("perceiver_config", given(config, "perceiver_config"), "idefics2_perceiver")
    stack = _resampler(perceiver, out, inner.number("rms_norm_eps") or 1e-6)
    return _whole(config, text, "idefics2", replace(tower, outputs=(*tower.outputs, *widening)), stack)


def _resampler(config: Config, width: int, eps: float) -> Stack:
    config.ignore("hidden_size rms_norm_eps attention_dropout initializer_range")  # widths and norms are the text's
    queries, heads = config.size("resampler_n_latents"), config.size("resampler_n_heads")
    norm = Norm(width, eps=eps, n_latents=queries)
    attention = QueryAttention(
        width,
        heads,
        queries,
        n_kv_heads=config.size("num_key_value_heads"),
        d_head=config.size("resampler_head_dim"),
        sees="both",
        source_norm=True,
        norm_eps=eps,
    )
    mlp = Mlp(width, WIDER * width, config.activation(), gated=True, n_latents=queries)
    block = Block("block", (sublayer("attention", attention, pre=norm), sublayer("resampler_mlp", mlp, pre=norm)))
    inputs = named(latents=Embedding(queries, width, table="other", use="side_tokens"))
    runs = repeat_block(block, config.size("resampler_depth"))
    towers.checked(config)
    return Stack("resampler", width, tuple(inputs), runs, tuple(named(resampled_norm=norm)), "tower")


def aria(config: Config) -> Architecture:
    """Aria [li2024]: learned queries, more for more patches, see the patches; two layers."""
    text = text_part(config, "aria_text", text_config(config))
    tower = _tower(config, "idefics3_vision")
    part = config.nested("vision_config", given(config, "vision_config"), "idefics3_vision")
    width, heads, out = tower.d_model, part.size("num_attention_heads"), text.main.d_model
    queries = config.size("max_value_projector_patch_to_query_dict", _most_queries(config))
    norm = replace(layernorm(width), n_latents=queries)
    behind = named(
        queries=Embedding(queries, width, table="other", use="side_tokens"),
        query_norm=norm,
        source_norm=layernorm(width),
        query=Linear(width, width, bias=False, n_latents=queries),
        key=Linear(width, width, bias=False),
        value=Linear(width, width, bias=False),
        resampler=QueryAttention(width, heads, queries, bias=True),
        mixer=Linear(width, width, n_latents=queries),
        resampled_norm=norm,
        projector_in=Linear(width, out, bias=False, activation="gelu_new", n_latents=queries),
        projector_out=Linear(out, out, bias=False, n_latents=queries),
    )
    found = _whole(config, text, "aria", replace(tower, outputs=(*tower.outputs, *behind)))
    note = f"{queries} queries look at an image, as at the largest; fewer look at a smaller one"
    return replace(found, notes=(*found.notes, note))


def _most_queries(config: Config) -> int:
    given = config.get("projector_patch_to_query_dict") or {1225: 128, 4900: 256}  # as its class has it
    if not isinstance(given, dict):
        raise DescriptionError("projector_patch_to_query_dict is no object", where=config.where)
    return max(config.integer(value, "projector_patch_to_query_dict", 1) for value in given.values())


def molmo2(config: Config) -> Architecture:
    """Molmo 2: two layers of the tower side by side; each group of neighbours looks at itself; a gated layer."""
    text = text_part(config, "molmo2_text", text_config(config))
    adapter = config.nested("adapter_config", given(config, "adapter_config"), "molmo2_adapter")
    adapter.read_legacy("vit_layers", "vision_feature_layer")
    layers = adapter.layer_indices("vision_feature_layer") or MOLMO_LAYERS
    older = config.get("vit_config") if config.get("vision_config") is None else None
    part = config.nested("vision_config", older or given(config, "vision_config"), "molmo2_vision")
    if older:  # its file says more layers than its checkpoint has: none stands behind the last one that is seen
        count = part.size("num_hidden_layers")
        part.override("num_hidden_layers", max(layer % count for layer in layers) + 1)
    if part.get("image_size") is None:
        part.override("image_size", MOLMO_IMAGE)
    tower = vits.read(part)
    towers.checked(part)
    wide = adapter.size("hidden_size") * len(layers)
    width, d_ff, out = (adapter.size(key) for key in ("hidden_size", "intermediate_size", "text_hidden_size"))
    attention = QueryAttention(
        wide,
        adapter.size("num_attention_heads"),
        pooled=POOLED,
        n_kv_heads=adapter.size("num_key_value_heads"),
        d_head=adapter.size("head_dim"),
        d_out=width,
        bias=adapter.flag("attention_bias"),
        o_bias=True,
    )
    bias, act = adapter.flag("mlp_bias"), adapter.activation()
    behind = named(
        pooling=attention,
        projector_gate=Linear(width, d_ff, bias, act, merge=POOLED),
        projector_up=Linear(width, d_ff, bias, merge=POOLED),
        projector_down=Linear(d_ff, out, bias=False, merge=POOLED),
    )
    adapter.ignore("initializer_range attention_dropout")
    towers.checked(adapter)
    found = _whole(config, text, "molmo2", replace(tower, outputs=(*tower.outputs, *behind)))
    note = "patches are pooled two by two, as those of images; those of films are pooled three by three"
    return replace(found, notes=(*found.notes, note))


MOLMO_IMAGE = [378, 378]  # pixels, if the config does not say
MOLMO_LAYERS = [24, 18]  # of the tower, if the config does not list them


def _tower(config: Config, usual: str) -> Stack:
    part = config.nested("vision_config", given(config, "vision_config"), usual)
    stack = vits.read(part) if usual in vits.VITS else towers.TOWERS[usual].read(part)
    towers.checked(part)
    return stack


def _whole(config: Config, text: Architecture, layout: str, *stacks: Stack) -> Architecture:
    config.ignore(_LEFT)
    return replace(text, stacks=(*text.stacks, *stacks), layout=f"{layout}>{text.layout}")
