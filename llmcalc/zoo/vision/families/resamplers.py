"""Vision-language models with resamplers, in which learned or pooled queries attend to the patches."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import short_repr
from ....importers.hf.composite_models import (
    config_at,
    inherited_text_config,
    nested_config,
    read_composite,
    text_config,
)
from ....importers.hf.config import Config
from ....importers.hf.encoders import check_encoder
from ....importers.hf.projectors import Link, layernorm
from ....importers.hf.rules import repeat_block, sublayer
from ....importers.hf.vision_encoders.parts import EPS, named, two_linears
from ....layers import Embedding, InputRows, Linear, Mlp, Norm, SequenceRows
from ..layers.query_attention import QueryAttention

WIDER = 4  # hidden width of a resampler's feed-forward layers, relative to the stream width
POOLED = 4  # number of neighbouring patches per token
MOLMO2_IMAGE = [378, 378]  # default height and width of an image in pixels
MOLMO2_LAYERS = [24, 18]  # default encoder layers whose outputs are concatenated
MOLMO_LAYERS = (-2, -9)  # the same, which the class of Molmo always uses
PADDINGS = 2  # learned vectors for patches that are partly or fully padding
MINICPM_TEXTS = {"2.5": "llama", "2.6": "qwen2", "4.0": "llama", "4.5": "qwen3"}  # by version
MINICPM_TIMM = "vit_so400m_patch14_siglip_384.webli"  # encoder of version 2
MINICPM_TIMM_SIDE = 384  # in pixels
MINICPM_HEAD = 128  # width of a head of the resampler
MINICPM_IGNORED = """
    audio_chunk_length audio_pool_step batch_vision_input image_size init_tts max_slice_nums mm_use_im_start_end
    patch_size scale_resolution slice_config slice_mode stream_input tts_config use_image_id vision_batch_size
"""
# keys of the decoder, which Whisper's configs have and MiniCPM-o does not build
WHISPER_DECODER = """
    decoder_layers decoder_attention_heads decoder_ffn_dim max_target_positions classifier_proj_size
    use_weighted_layer_sum median_filter_width scale_embedding
"""


def idefics2(link: Link) -> list[Named | Stack]:
    """Build the Idefics 2 projector [laurencon2024] from a gated MLP and a resampler with learned queries."""
    model, width = link.model, link.d_encoder
    text = text_config(model)
    inner = model.nested("text_config", text, str(text.get("model_type", "mistral")))
    d_ff, act = inner.size("intermediate_size"), inner.activation()
    return [
        *named(
            projector_gate=Linear(width, d_ff, bias=False, activation=act),
            projector_up=Linear(width, d_ff, bias=False),
            projector_down=Linear(d_ff, link.d_model, bias=False),
        ),
        _resampler(nested_config(model, "perceiver_config", "idefics2_perceiver"), link.d_model, inner.eps),
    ]


def _resampler(config: Config, width: int, eps: float) -> Stack:
    config.ignore(
        "hidden_size rms_norm_eps attention_dropout initializer_range"
    )  # the language model's width and norms are used
    queries, heads = config.size("resampler_n_latents"), config.size("resampler_n_heads")
    rows = SequenceRows(n_latents=queries)
    norm = Norm(width, eps=eps, sequence=rows)
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
    mlp = Mlp(width, WIDER * width, config.activation(), gated=True, sequence=rows)
    block = Block("block", (sublayer("attention", attention, pre=norm), sublayer("resampler_mlp", mlp, pre=norm)))
    inputs = named(latents=Embedding(queries, width, table="other", use="side_tokens"))
    runs = repeat_block(block, config.repeats("resampler_depth"))
    check_encoder(config)
    return Stack("resampler", width, tuple(inputs), runs, tuple(named(resampled_norm=norm)), "tower")


def aria(link: Link) -> list[Named]:
    """Build the Aria projector [li2024] from learned queries that attend to the patches and two linear layers."""
    width, heads, out = link.d_encoder, link.encoder.n_heads, link.d_model
    queries = link.model.size("max_value_projector_patch_to_query_dict", _most_queries(link.model))
    norm = Norm(width, "layernorm", bias=True, eps=1e-5, sequence=SequenceRows(n_latents=queries))
    latents = InputRows(n_latents=queries)
    link.notes.append(f"each image is counted with {queries} queries, the maximum; smaller images have fewer")
    return named(
        queries=Embedding(queries, width, table="other", use="side_tokens"),
        query_norm=norm,
        source_norm=layernorm(width),
        query=Linear(width, width, bias=False, sequence=latents),
        key=Linear(width, width, bias=False),
        value=Linear(width, width, bias=False),
        resampler=QueryAttention(width, heads, queries, bias=True),
        mixer=Linear(width, width, sequence=latents),
        resampled_norm=norm,
        projector_in=Linear(width, out, bias=False, activation="gelu_new", sequence=latents),
        projector_out=Linear(out, out, bias=False, sequence=latents),
    )


def _most_queries(config: Config) -> int:
    given = config.get("projector_patch_to_query_dict") or {1225: 128, 4900: 256}  # default of the class
    if not isinstance(given, dict):
        raise config.error("projector_patch_to_query_dict must be an object")
    return max(config.integer(value, "projector_patch_to_query_dict", 1) for value in given.values())


def molmo2(config: Config) -> Architecture:
    """Read a Molmo 2 config. The projector reads the concatenated outputs of several vision encoder layers."""
    older = config.get("vit_config") if config.get("vision_config") is None else None
    data = older or config_at(config, "vision_config")
    part = config.nested("vision_config", data, "molmo2_vision")
    data = dict(data)
    if older:  # the config has more layers than the checkpoint, which ends at the last layer that is used
        count, adapter = part.n_layers, _adapter(config)
        layers = adapter.layer_indices("vision_feature_layer") or MOLMO2_LAYERS
        data["num_hidden_layers"] = max(layer % count for layer in layers) + 1
    if part.get("image_size") is None:
        data["image_size"] = MOLMO2_IMAGE
    config.override("vision_config", data)
    return read_composite(config)


def _adapter(config: Config) -> Config:
    adapter = nested_config(config, "adapter_config", "molmo2_adapter")
    adapter.read_legacy("vit_layers", "vision_feature_layer")
    return adapter


def molmo2_projector(link: Link) -> list[Named]:
    """Build the Molmo 2 projector from attention within groups of neighbouring patches and a gated MLP."""
    adapter = _adapter(link.model)
    width, d_ff, out = (adapter.size(key) for key in ("hidden_size", "intermediate_size", "text_hidden_size"))
    attention = QueryAttention(
        adapter.d_model * len(adapter.layer_indices("vision_feature_layer") or MOLMO2_LAYERS),
        adapter.n_heads,
        pooled=POOLED,
        n_kv_heads=adapter.size("num_key_value_heads"),
        d_head=adapter.size("head_dim"),
        d_out=width,
        bias=adapter.flag("attention_bias"),
        o_bias=True,
    )
    bias, act = adapter.flag("mlp_bias"), adapter.activation()
    check_encoder(adapter)
    return [Named("pooling", attention), *_gated_projector(width, d_ff, out, act, bias)]


def _gated_projector(width: int, d_ff: int, out: int, activation: str, bias: bool = False) -> list[Named]:
    """Return a gated MLP on pooled patches. Its last matrix has no bias."""
    return named(
        projector_gate=Linear(width, d_ff, bias, activation, merge=POOLED),
        projector_up=Linear(width, d_ff, bias, merge=POOLED),
        projector_down=Linear(d_ff, out, bias=False, merge=POOLED),
    )


def molmo_projector(link: Link) -> list[Named]:
    """Build the Molmo projector [deitke2024] from attention within groups of 2 x 2 patches and a gated MLP.

    The two vectors that mark padding in partly filled crops are stored but not run.
    """
    width, count = link.d_encoder, len(MOLMO_LAYERS)
    pooling = QueryAttention(
        count * width, link.encoder.n_heads, pooled=POOLED, d_head=width // link.encoder.n_heads, d_out=width, bias=True
    )
    padding = Embedding(PADDINGS, count * width, table="other", unused=True)
    inner = link.model.nested("text_config", text_config(link.model), "molmo_text")
    d_ff = inner.size("intermediate_size") // 2
    return [*named(padding=padding, pooling=pooling), *_gated_projector(width, d_ff, link.d_model, "silu")]


def minicpm_v(config: Config) -> Architecture:
    """Read a MiniCPM-V 2 to 4.5 [yao2024] or MiniCPM-o config, whose ``version`` decides the language model."""
    is_first = config.get("vision_encoder") is not None
    text = inherited_text_config(config, MINICPM_IGNORED)
    config.override("text_config", {"model_type": "minicpm" if is_first else _minicpm_text(config), **text})
    data = {**config_at(config, "vision_config"), "vision_use_head": False}
    if is_first:
        config.one_of("vision_encoder", MINICPM_TIMM)
        data["image_size"] = MINICPM_TIMM_SIDE
    if config.flag("drop_vision_last_layer") and type(data.get("num_hidden_layers")) is int:
        data["num_hidden_layers"] -= 1
    config.override("vision_config", data)
    for key in ("vision", "audio"):
        if not config.flag(f"init_{key}", True):
            config.override(f"{key}_config", None)
    found = read_composite(config)
    return replace(found, layout=f"minicpmv_timm>{found.layout.partition('>')[2]}") if is_first else found


def _minicpm_text(config: Config) -> str:
    """Return the type of the language model of a version after 2."""
    given = config.get("version")
    version = str(given or ("2.6" if config.model_type == "minicpmo" else "2.5"))
    version = f"{version}.0" if version.isdecimal() else version
    if version not in MINICPM_TEXTS:
        raise config.error(f"version must be one of {', '.join(MINICPM_TEXTS)}, not {short_repr(given)}")
    return MINICPM_TEXTS[version]


def minicpm_resampler(link: Link) -> list[Named]:
    """Build the MiniCPM-V resampler [yao2024] from learned queries that attend to the patches."""
    width, queries = link.d_model, link.model.size("query_num")
    norm = replace(layernorm(width, eps=EPS), sequence=SequenceRows(n_latents=queries))
    narrow = Linear(link.d_encoder, width, bias=False)
    return named(
        **({"source": narrow} if link.d_encoder != width else {}),
        queries=Embedding(queries, width, table="other", use="side_tokens"),
        query_norm=norm,
        source_norm=layernorm(width, eps=EPS),
        resampler=QueryAttention(width, max(1, width // MINICPM_HEAD), queries, bias=True),
        resampled_norm=norm,
        projector=Linear(width, width, bias=False, sequence=InputRows(n_latents=queries)),
    )


def minicpm_audio(link: Link) -> list[Named]:
    """Build the MiniCPM-o audio projector with two linear layers, whose outputs are averaged in groups."""
    link.encoder.ignore(WHISPER_DECODER)
    return two_linears("audio_projector", link.d_encoder, link.d_model, link.d_model, activation="relu")
