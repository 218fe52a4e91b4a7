"""Encoders with rotary positions, including ModernBERT, EuroBERT, Nomic BERT and GTE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....core.architecture import Architecture, Block, Named, Run, Stack
from ....core.layer import Layer
from ....layers import Attention, Embedding, Head, Linear, Mlp
from ..config import Config
from ..rules import group_runs, postnorm_block, prenorm_block, repeat_block, runs_of
from .bert import bert_mlp, embedding_share, embeddings, pooler, tied_head, transform

KINDS = ("full_attention", "sliding_attention")


def modernbert(config: Config) -> Architecture:
    """Read a ModernBERT config [warner2024] with gated MLPs and windows. The first block has no attention pre-norm."""
    config.ignore("deterministic_flash_attn sparse_prediction sparse_pred_ignore_index classifier_pooling")
    return _modernbert(config, _has_head(config), causal=False, window=config.size("local_attention") // 2 + 1)


def modernbert_decoder(config: Config) -> Architecture:
    """Read an Ettin config [weller2025] as a causal ModernBERT with half-length windows."""
    half = config.count("local_attention") // 2
    window = config.optional_size("sliding_window") or half or None
    return _modernbert(config, config.head_kind("causal", "none") == "causal", causal=True, window=window)


def _modernbert(config: Config, headed: bool, *, causal: bool, window: int | None) -> Architecture:
    norm = config.layernorm("norm_eps", bias=config.flag("norm_bias"))
    mlp = config.gated_mlp(bias=config.flag("mlp_bias"), activation="hidden_activation")
    config.ignore("global_rope_theta local_rope_theta reference_compile initializer_cutoff_factor mlp_dropout")
    config.ignore("position_embedding_type repad_logits_with_grad")
    period = config.size("global_attn_every_n_layers", 3)
    default = [KINDS[bool(index % period)] for index in range(config.n_layers)]
    kinds = {kind: _attention(config, kind, window, causal) for kind in KINDS}

    def block(kind: tuple[str, bool]) -> Block:
        found = prenorm_block("block", norm, attention=_select_attention(kinds, kind[0], config), mlp=mlp)
        return _without_first_norm(found) if kind[1] else found

    runs = runs_of(((kind, not index) for index, kind in enumerate(config.layer_types(default))), block)
    outputs = [Named("final_norm", norm)]
    if headed:
        activation, biased = config.activation("classifier_activation"), config.flag("classifier_bias")
        dense = Linear(config.d_model, config.d_model, bias=biased, activation=activation, positions="logits")
        head = Head(config.vocab, config.d_model, embedding_share(config), bias=config.flag("decoder_bias"))
        outputs += [Named("transform", dense), Named("transform_norm", norm), Named("head", head)]
    config.ignore("classifier_activation classifier_bias decoder_bias")
    architecture = _encoder(config, (_token(config), Named("norm", norm)), runs, outputs)
    if not causal:
        return architecture
    return replace(architecture, stacks=(replace(architecture.stacks[0], name="decoder", role="decoder"),))


def _without_first_norm(block: Block) -> Block:
    first, *rest = block.sublayers
    return Block("first", (type(first)(first.name, first.branches), *rest))


def _attention(config: Config, kind: str, window: int | None, causal: bool = False) -> Attention:
    return config.attention(layer_type=kind, causal=causal, window=window if kind == "sliding_attention" else None)


def _select_attention(kinds: dict[str, Attention], kind: str, config: Config) -> Attention:
    if kind not in kinds:
        raise config.invalid("layer_types", f"one of {', '.join(kinds)}", kind)
    return kinds[kind]


def _token(config: Config) -> Named:
    return Named("token", Embedding(config.vocab, config.d_model, share=embedding_share(config)))


def _has_head(config: Config) -> bool:
    return config.head_kind("mlm", "none") == "mlm"


def _encoder(config: Config, inputs: tuple[Named, ...], runs: tuple[Run, ...], outputs: list[Named]) -> Architecture:
    config.ignore("is_encoder_decoder max_position_embeddings tie_word_embeddings clf_pooling")
    return Architecture(config.model_type, (Stack("encoder", config.d_model, inputs, runs, tuple(outputs), "encoder"),))


def eurobert(config: Config) -> Architecture:
    """Read a EuroBERT config [boizard2025] as LLaMA without a causal mask. ``mlp_bias`` also applies to the head."""
    norm, biased = config.rmsnorm(), config.flag("mlp_bias")
    block = prenorm_block("block", norm, attention=config.attention(causal=False), mlp=config.gated_mlp(bias=biased))
    outputs = [Named("norm", norm)]
    if _has_head(config):
        outputs.append(Named("head", Head(config.vocab, norm.d_model, embedding_share(config), bias=biased)))
    config.ignore("classifier_pooling")
    return _encoder(config, (_token(config),), repeat_block(block, config.n_layers), outputs)


def ultrabert(config: Config) -> Architecture:
    """Read an UltraBERT config with windows in two of every three layers and a low-rank head."""
    norm, mlp = config.rmsnorm(), config.gated_mlp(bias=config.flag("mlp_bias"))
    default = _older_ultrabert(config) or [KINDS[bool((index + 1) % 3)] for index in range(config.n_layers)]
    order = config.layer_types(default)
    kinds = {kind: _attention(config, kind, config.size("sliding_window") + 1) for kind in KINDS}
    blocks = {kind: prenorm_block(kind, norm, attention=layer, mlp=mlp) for kind, layer in kinds.items()}
    for kind in order:
        _select_attention(kinds, kind, config)
    outputs = [Named("norm", norm)]
    narrow = config.size("prediction_head_size")
    if _has_head(config):
        for name, sizes in (("down", (config.d_model, narrow)), ("up", (narrow, config.d_model))):
            outputs.append(Named(name, Linear(*sizes, bias=False, activation="gelu_tanh", positions="logits")))
        outputs.append(Named("head", Head(config.vocab, config.d_model, embedding_share(config))))
    config.ignore("classifier_pooling")
    return _encoder(config, (_token(config),), group_runs(blocks[kind] for kind in order), outputs)


def _older_ultrabert(config: Config) -> list[str]:
    """Convert the older ``attention_windows`` and ``rope_theta`` lists to current keys, and return the layer types."""
    windows, bases = config.get("attention_windows"), config.get("rope_theta")
    if windows is None:
        return []
    if not isinstance(windows, list) or not all(type(size) is int for size in windows):
        raise config.error("attention_windows must be a list of integers")
    kinds = [KINDS[size > 0] for size in windows]
    config.data["sliding_window"] = next((size for size in windows if size), config.get("sliding_window"))
    if isinstance(bases, list) and "rope_parameters" not in config.data:
        config.data["rope_parameters"] = {kind: {"rope_theta": base} for kind, base in zip(kinds, bases, strict=False)}
    return kinds


def nomic_bert(config: Config) -> Architecture:
    """Read a post-norm Nomic BERT config [nussbaum2024] with gated MLPs. Only norms and the head have biases."""
    return _postnorm(config, config.attention(bias=False, causal=False), config.gated_mlp())


def gte(config: Config) -> Architecture:
    """Read a GTE v1.5 config [zhang2024]. Blocks are post-norm, and only gate and up-projections lack biases."""
    mlp = Mlp(config.d_model, config.size("intermediate_size"), config.activation(), gated=True, out_bias=True)
    return _postnorm(config, config.attention(bias=True, causal=False), mlp, activation="gelu", spare_bias=False)


def jina(config: Config) -> Architecture:
    """Read a Jina embeddings v3 config [sturua2024] as XLM-R with rotary positions. Adapters are not included."""
    mlp, bare = bert_mlp(config), [pooler(config.d_model)]
    return _postnorm(config, config.attention(bias=True, causal=False), mlp, bare, activation="gelu")


def _postnorm(
    config: Config,
    attention: Layer,
    mlp: Layer,
    bare: Sequence[Named] = (),
    *,
    activation: str | None = None,
    spare_bias: bool = True,
) -> Architecture:
    """Return an encoder with BERT's head, or with the outputs ``bare`` if the class has no head."""
    norm, width, outputs = config.layernorm(), config.d_model, [*bare]
    if _has_head(config):
        head = Named("head", tied_head(config, width, spare_bias=spare_bias))
        outputs = [*transform(config, width, activation=activation), head]
    block = postnorm_block("block", norm, attention=attention, mlp=mlp)
    inputs = (*embeddings(config, config.vocab, width, positions=False), Named("norm", norm))
    return _encoder(config, inputs, repeat_block(block, config.n_layers), outputs)
