"""Gemma 4 text models, assistants for speculative decoding, and DiffusionGemma."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....core.architecture import Architecture, Block, Branch, Named, Sublayer
from ....core.errors import UnknownNameError, short_repr
from ....core.record import NamedTuple
from ....layers import Embedding, Head, Linear, Mlp, Moe, Norm, PerLayerGate, PerLayerTable, Routing, Scale
from ....layers.parts.kv import Kv
from ..config import TOKENS, Config, Fields
from ..rules import causal_lm, runs_of, sublayer

_GLOBAL_HEAD = 512
_PERIOD = 6


class Kind(NamedTuple):
    """Properties that vary between layers (type, heads, and reuse of keys and values)."""

    layer_type: str
    d_head: int
    n_kv_heads: int
    reuses: bool


def gemma4(config: Config) -> Architecture:
    """Return the language model of Gemma 4."""
    norm, own = config.rmsnorm(), config.optional_size("hidden_size_per_layer_input", zero_is_none=True)
    runs = runs_of(layer_kinds(config, config.n_layers), lambda kind: _block(config, kind, norm, own))
    config.ignore("vocab_size_per_layer_input")
    inputs: tuple[Named, ...] = ()
    if own:
        rows = config.size("vocab_size_per_layer_input")
        inputs = (Named("per_layer", PerLayerTable(rows, config.d_model, config.n_layers, own, norm.eps)),)
    head = config.lm_head(softcap=config.number("final_logit_softcapping"))
    return causal_lm(config, runs, norm, head=head, inputs=inputs, embedding_scale=config.d_model**0.5)


def diffusion_gemma(config: Config) -> Architecture:
    """Return DiffusionGemma's language model. All layers have experts, and global layers reuse keys as values."""
    config.override("attention_k_eq_v", True)
    config.override("enable_moe_block", True)
    if config.head_kind() != "none":
        config.add_unmodelled("the model denoises a canvas given a prompt, so it has no logits for plain text")
    return gemma4(config)


def layer_kinds(config: Config, layers: int) -> list[Kind]:
    """Return the kind of each layer. The last layer always uses full attention."""
    types = config.layer_types(config.periodic_types(_PERIOD, first=_PERIOD - 1))
    types = [*types[:-1], "full_attention"]
    reused = reused_layers(config, types)
    heads = _heads(config, types)
    return [Kind(kind, *heads[index], index >= layers - reused) for index, kind in enumerate(types)]


def reused_layers(config: Config, types: list[str], all_allowed: bool = True) -> int:
    """Return the number of final layers that reuse keys and values from an earlier layer of the same type."""
    reused, layers = config.count("num_kv_shared_layers"), len(types)
    if reused == layers and all_allowed:
        return reused
    if reused > layers or set(types[: layers - reused]) != set(types):
        text = f"num_kv_shared_layers ({reused}) includes all layers of one type; one must compute keys and values"
        raise config.size_error(text)
    return reused


def _heads(config: Config, types: list[str]) -> list[tuple[int, int]]:
    """Return each layer's head width and key/value head count, from ``per_layer_config`` or the layer type."""
    usual = (config.size("head_dim"), config.size("num_key_value_heads"))
    count = config.optional_size("num_global_key_value_heads") if config.flag("attention_k_eq_v") else None
    special = {"full_attention": (config.size("global_head_dim", _GLOBAL_HEAD), count or usual[1])}
    known = ("head_dim", "num_key_value_heads")
    layers = config.layer_overrides(len(types), *known)
    if layers is None:
        return [special.get(kind, usual) for kind in types]

    def own(index: int, place: int) -> int:
        value = layers.get(index, {}).get(known[place], usual[place])
        return config.integer(value, f"{known[place]} in per_layer_config", 1)

    return [(own(index, 0), own(index, 1)) for index in range(len(types))]


def _block(config: Config, kind: Kind, norm: Norm, own: int | None) -> Block:
    """Return a block with attention, an MLP (in parallel with any experts) and an optional per-layer input."""
    activation = config.activation("hidden_activation")
    mlp = config.gated_mlp(activation="hidden_activation")
    if config.flag("use_double_wide_mlp") and kind.reuses:
        mlp = replace(mlp, d_ff=2 * mlp.d_ff)
    parts = [sublayer("attention", _attention(config, kind), pre=norm, post=norm), _feed(config, mlp, norm, activation)]
    if own:
        parts.append(sublayer("per_layer_input", PerLayerGate(norm.d_model, own, activation), post=norm))
    parts[-1] = replace(parts[-1], after=Scale(norm.d_model, scalar=True, stored=True))
    place = "global" if kind.layer_type == "full_attention" else "local"
    return Block(f"{place}_reusing" if kind.reuses else place, tuple(parts))


def _attention(config: Config, kind: Kind) -> Any:
    config.ignore("is_causal")  # fixed by the class
    both = config.get("use_bidirectional_attention")
    if both not in (None, "all", "vision"):
        raise UnknownNameError("use_bidirectional_attention", str(both), ("all", "vision"), where=config.where)
    limit = config.sliding_window()
    if both == "all" and limit:
        limit = limit // 2 + 1  # the class halves the window on each side and counts the token itself
    everywhere = kind.layer_type == "full_attention"
    tied = config.flag("attention_k_eq_v") and everywhere and not kind.reuses
    kv = Kv(reused=kind.reuses, values_are_keys=tied, norm=True, norm_eps=config.eps)
    fields: Fields = {"d_head": kind.d_head, "n_kv_heads": kind.n_kv_heads, "kv": kv, "qk_norm": "head", "scale": 1.0}
    fields |= {"window": None if everywhere else limit, "causal": both != "all"} | ({"v_bias": False} if tied else {})
    return config.attention(layer_type=kind.layer_type, **fields)


def _feed(config: Config, mlp: Mlp, norm: Norm, activation: str) -> Sublayer:
    if not config.flag("enable_moe_block"):
        config.ignore("num_experts top_k_experts moe_intermediate_size")
        return sublayer("mlp", mlp, pre=norm, post=norm)
    d_ff, count, chosen = (config.size(key) for key in ("moe_intermediate_size", "num_experts", "top_k_experts"))
    routing = Routing(scaled=True, eps=norm.eps, renormalise=True)
    experts = Moe(norm.d_model, d_ff, count, chosen, activation, routing=routing)
    return Sublayer("mlp", (Branch("mlp", mlp, norm, norm), Branch("moe", experts, norm, norm)), post=norm)


def assistant(config: Config) -> Architecture:
    """Read an assistant config. Projections map the target model's width to the assistant's width and back."""
    width = config.size("backbone_hidden_size")
    text = _text(config)
    stack = gemma4(text).main
    text.ignore("is_encoder_decoder")
    text.check_all_read()
    vocab, hidden = text.vocab, stack.d_model
    if any(entry.name == "per_layer" for entry in stack.inputs):
        raise text.error("hidden_size_per_layer_input must be 0 because the assistant has no token IDs to look up")
    tied = config.flag("tie_word_embeddings", True)
    token = Named("token", Embedding(vocab, hidden, share=TOKENS, unused=True))
    inputs = (token, Named("pre_projection", Linear(2 * width, hidden, bias=False)))
    outputs = [*stack.outputs[:1], Named("post_projection", Linear(hidden, width, bias=False))]
    scored, clusters = None, config.size("num_centroids")
    if config.flag("use_ordered_embeddings"):
        if clusters > vocab:
            raise config.size_error(f"num_centroids ({clusters}) must be at most vocab_size ({vocab})")
        top_k = min(config.size("centroid_intermediate_top_k"), clusters)
        scored = top_k * (vocab // clusters)  # the class also rounds down
        outputs.append(Named("centroids", Linear(hidden, clusters, bias=False, positions="logits")))
    config.ignore("centroid_intermediate_top_k")
    if config.head_kind() != "none":
        outputs.append(Named("head", Head(vocab, hidden, share=TOKENS if tied else None, scored=scored)))
    return Architecture(config.model_type, (replace(stack, inputs=inputs, outputs=tuple(outputs)),))


def _text(config: Config) -> Config:
    """Return the config under ``text_config``. By default, all layers reuse keys and values."""
    data: Fields = {key: value for key, value in config.mapping("text_config").items() if key != "architectures"}
    model_type = config.model_type.replace("assistant", "text")
    if data.setdefault("model_type", model_type) != model_type:
        text = f"model_type in text_config must be {model_type}, not {short_repr(data['model_type'])}"
        raise config.error(text)
    text_config = config.nested("text_config", data, model_type)
    if not data.get("num_kv_shared_layers"):
        text_config.data["num_kv_shared_layers"] = text_config.n_layers
    return text_config
