"""The dots3.note language model with a mixture-of-experts vision encoder and an audio encoder with gated blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....core.architecture import Block, Named, Stack
from ....core.errors import short_repr
from ....core.layer import Layer
from ....importers.hf.config import Config, Fields
from ....importers.hf.projectors import Link
from ....importers.hf.rules import default_layernorm, group_runs, repeat_block, sublayer
from ....importers.hf.vision_encoders.parts import two_linears
from ....layers import Attention, Conv, Frames, Frequencies, Linear, Mlp, Moe, Norm, Patch, Rope, Routing
from ....layers.parts.qk_norm import QkNorm

USUAL = [-1] * 25 + [*range(4, 65, 4), 64]  # number of experts per layer; -1 for a dense layer
PLANES, KERNEL = 3, 3  # number of convolutions of stride 2 over time and frequency, and their kernel size
EPS, MERGER_EPS = 1e-6, 1e-6
ROTATED = 0.5  # rotated fraction of a head
_OLD_VISION_KEYS = "embed_dim:hidden_size num_heads:num_attention_heads use_bias:attention_bias"
_OLD_VISION_KEYS += " capacity_factor:num_experts_per_tok router_scale:router_scaling_factor"
_OLD_WHISPER_KEYS = {
    "d_model": "hidden_size",
    "encoder_attention_heads": "num_attention_heads",
    "encoder_layers": "num_hidden_layers",
    "encoder_ffn_dim": "intermediate_size",
    "num_mel_bins": "feature_size",
    "max_source_positions": "max_position_embeddings",
}


def check_width(link: Link) -> list[Named]:
    """Check that the encoder adapter's output width matches the language model, and return an empty list."""
    out = link.encoder.size("adapter_out_dim")
    if out != link.d_model:
        said = f"adapter_out_dim is {out}, but the language model has width {link.d_model}"
        raise link.encoder.size_error(said)
    return []


def vision_encoder(config: Config) -> Stack:
    """Build the dots3.note vision encoder, in which later layers have more experts."""
    for pair in _OLD_VISION_KEYS.split():
        config.read_legacy(*pair.split(":"))
    width, heads, bias = config.d_model, config.n_heads, config.flag("attention_bias")
    eps = config.number("rms_norm_eps") or 1e-5
    norm = Norm(width, eps=eps)
    config.ignore("is_causal adapter_in_dim adapter_merge_size")
    config.ignore("num_local_experts per_layer_config")
    fields: Fields = {
        "q_bias": bias,
        "k_bias": bias,
        "v_bias": bias,
        "o_bias": bias,
        "qk_norm": QkNorm(eps=eps),
    }
    attention = Attention(width, heads, causal=False, rope=Rope(grid="halves"), **fields)
    known: dict[tuple[int, int], Block] = {}
    order = _experts(config)
    for count, top_k in order:
        part = sublayer("mlp", _feed(config, count, top_k), pre=norm)
        name = f"sparse_{count}" if count else "dense"
        known.setdefault((count, top_k), Block(name, (sublayer("attention", attention, pre=norm), part)))
    merged = config.size("spatial_merge_size") ** 2
    wide = width * merged
    merger = two_linears("merger", wide, wide, config.size("adapter_out_dim"), merge=merged)
    patch = Patch(config.size("num_channels"), config.size("patch_size"), width)
    return Stack(
        "vision",
        width,
        (Named("patch", patch), Named("patch_norm", norm)),
        group_runs(known[kind] for kind in order),
        (Named("norm", norm), Named("merger_norm", Norm(width, "layernorm", bias=True, eps=MERGER_EPS)), *merger),
        "tower",
    )


def _experts(config: Config) -> list[tuple[int, int]]:
    """Return the numbers of experts and active experts of each layer, with 0 for dense layers."""
    layers, usual = config.n_layers, config.size("num_experts_per_tok", 2)
    kinds, counts = config.strings("mlp_layer_types", layers), config.get("pyramid_num_routed")
    if counts is None and kinds is None:
        counts = USUAL
    if counts is not None:
        if not isinstance(counts, list) or len(counts) < layers:
            raise config.size_error(
                f"pyramid_num_routed must have one entry per layer ({layers}), not {short_repr(counts)}"
            )
        found = [max(0, config.integer(count, "pyramid_num_routed", -1)) for count in counts[:layers]]
        return [(count, min(usual, count)) for count in found]
    special = config.layer_overrides(layers, "num_local_experts", "num_experts_per_tok") or {}
    return [_of_layer(config, special.get(at, {}), kind, usual) for at, kind in enumerate(kinds or [])]


def _of_layer(config: Config, own: Mapping[str, Any], kind: str, usual: int) -> tuple[int, int]:
    if kind != "sparse":
        return 0, 0
    count = own.get("num_local_experts", config.size("num_local_experts"))
    top_k = own.get("num_experts_per_tok", usual)
    return config.integer(count, "num_local_experts", 1), config.integer(top_k, "num_experts_per_tok", 1)


def _feed(config: Config, count: int, top_k: int) -> Layer:
    width, act = config.d_model, config.activation()
    if not count:
        return Mlp(width, config.size("intermediate_size"), act, gated=True, bias=config.flag("mlp_bias"))
    scale = config.number("router_scaling_factor") or 1.0
    routing = Routing("sigmoid", correction="buffer", renormalise=True, scale=scale)
    return Moe(width, config.size("moe_intermediate_size"), count, top_k, act, routing=routing)


def audio_encoder(config: Config) -> Stack:
    """Build the dots3.note audio encoder with convolutions, followed by gated blocks with rotary positions."""
    older = config.get("whisper_config") or {}
    for old, new in _OLD_WHISPER_KEYS.items():
        if old in older:
            config.override(new, older[old])
    config.read_legacy("adapter_output_size", "adapter_out_dim")
    config.read_legacy("whisper_adapter_out_dim", "adapter_out_dim")
    config.ignore("whisper_adapter_in_dim adapter_input_size sampling_rate hop_length max_position_embeddings")
    config.ignore("num_key_value_heads head_dim samples_per_token")
    width, heads, bias = config.d_model, config.n_heads, config.flag("attention_bias")
    if width % heads:
        raise config.size_error(f"num_attention_heads ({heads}) does not divide hidden_size ({width})")
    channels, rows, inputs = config.size("downsample_hidden_size"), config.size("feature_size"), list[Named]()
    for number in range(PLANES):
        rows, span = -(-rows // 2), 2 ** (number + 1)
        first = number == 0
        grid: Fields = {"frames": Frames(span), "frequencies": Frequencies(rows)}
        conv = Conv(1 if first else channels, channels, KERNEL, **grid, of_data=first, activation="gelu")
        inputs.append(Named(f"plane{number}", conv))
    config.check_equal("conv_output_size", channels * rows)
    inputs.append(Named("plane_out", Linear(channels * rows, width, bias=False, frames=Frames(2**PLANES))))
    fields: Fields = {"q_bias": bias, "v_bias": bias, "o_bias": bias}
    turned = max(1, int(width // heads * config.partial_rotary(ROTATED)))
    attention = Attention(width, heads, causal=False, rope=Rope(config.rope_theta(), turned), **fields)
    mlp = Mlp(width, config.size("intermediate_size"), config.activation(), gated=True, bias=True)
    norm, out = Norm(width, eps=EPS), config.size("adapter_out_dim")
    block = Block("block", (sublayer("attention", attention, pre=norm), sublayer("mlp", mlp, pre=norm)))
    outputs = (
        Named("norm", norm),
        Named("adapter_norm", default_layernorm(width)),
        *two_linears("adapter", width, out, out),
    )
    runs = repeat_block(block, config.n_layers)
    return Stack("audio", width, tuple(inputs), runs, outputs, "tower", Frames(2**PLANES).positions())
