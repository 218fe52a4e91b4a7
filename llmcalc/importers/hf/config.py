"""Config of a model family, with typed access to keys and builders for common layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from ...core.layer import Layer
from ...core.part import Part
from ...core.record import changed, fields
from ...layers import Attention, ExpertGroups, Head, Mlp, Moe, Norm, Rope, Routing, SharedExperts
from ...layers.parts.implementation import Implementation
from ...layers.parts.qk_norm import QkNorm
from ...layers.parts.rope import Proportional
from .config_keys import ConfigKeys
from .rope import rope_scaling

TOKENS = "token_embedding"  # share name of a token embedding and a tied head
Kind = TypeVar("Kind", bound=Layer)
Fields = dict[str, Any]  # fields of a layer
Layers = dict[str, Layer]  # layers by type
BIASED: Fields = dict.fromkeys(("q_bias", "k_bias", "v_bias", "o_bias"), True)
SIGMOID: Fields = {"score": "sigmoid", "correction": "buffer"}  # DeepSeek-V3's routing
NO_FIELDS: Mapping[str, Any] = MappingProxyType({})
FULL = ("full_attention",)  # the type of layers without a window
OLD_WORDS = {"mamba": "linear_attention", "attention": "full_attention"}
EAGER = Implementation(softmax_in_fp32=True)  # the eager attention of transformers


class Config(ConfigKeys):
    """A config with methods for building common layers."""

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.size("hidden_size")

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return self.size("num_hidden_layers")

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return self.size("num_attention_heads")

    @property
    def vocab(self) -> int:
        """Vocabulary size."""
        return self.size("vocab_size")

    @property
    def n_kv_heads(self) -> int:
        """Number of key/value heads (default: number of query heads)."""
        return self.optional_size("num_key_value_heads") or self.n_heads

    @property
    def eps(self) -> float:
        """Epsilon of RMSNorm layers."""
        return self.number("rms_norm_eps") or 1e-6

    def fields_of(self, kind: type[Part], keys: str) -> Fields:
        """Read layer fields. ``keys`` lists ``field=key`` pairs, or names used for both. ``?`` marks optional keys."""
        types = {entry.name: entry.type for entry in fields(kind)}
        found: Fields = {}
        for pair in keys.split():
            name, _, key = pair.removesuffix("?").partition("=")
            reader = Config.optional_size if pair.endswith("?") else _READERS[types[name]]
            found[name] = reader(self, key or name)
        return found

    def layer(self, kind: type[Kind], keys: str, **changes: Any) -> Kind:
        """Return a layer of width ``d_model`` with fields from ``keys`` (see ``fields_of``) and ``changes``."""
        return kind(**{"d_model": self.d_model, **self.fields_of(kind, keys), **changes})

    def rmsnorm(self, key: str = "rms_norm_eps", *, width: int | None = None, unit_offset: bool = False) -> Norm:
        """Return an RMSNorm with a weight."""
        return Norm(width or self.d_model, "rmsnorm", eps=self.number(key) or 1e-6, unit_offset=unit_offset)

    def layernorm(self, key: str = "layer_norm_eps", *, width: int | None = None, bias: bool = True) -> Norm:
        """Return a LayerNorm with a weight and, by default, a bias."""
        return Norm(width or self.d_model, "layernorm", bias=bias, eps=self.number(key) or 1e-5)

    def qk_layernorm(self, kind: str = "per_head", bias: bool = False) -> dict[str, Any]:
        """Return the attention fields that apply a LayerNorm with epsilon ``layer_norm_eps`` to queries and keys."""
        return {"qk_norm": QkNorm(kind, "layernorm", bias=bias, eps=self.number("layer_norm_eps") or 1e-5)}

    def rope(self, layer_type: str | None = None, **changes: Any) -> Rope:
        """Return rotary positions with the config's base and scaling. ``changes`` overrides individual fields."""
        found = {"theta": self.rope_theta(layer_type), "scaling": rope_scaling(self, layer_type)}
        return Rope(**{**found, **changes})

    def attention(
        self,
        *,
        bias: bool | None = None,
        layer_type: str | None = None,
        rope: Mapping[str, Any] | None = NO_FIELDS,
        qk_norm: QkNorm | Mapping[str, Any] | str = "none",
        **changes: Any,
    ) -> Attention:
        """Return grouped-query attention with rotary positions, configured by the most common keys.

        If ``bias`` is None, ``attention_bias`` applies to all four projections. ``rope`` changes fields of the rotary
        positions, and None removes them. Unless ``qk_norm`` is a part, its epsilon is that of the config.
        """
        biased = self.flag("attention_bias") if bias is None else bias
        found: Fields = {
            "d_model": self.d_model,
            "n_heads": self.n_heads,
            "n_kv_heads": self.n_kv_heads,
            "d_head": self.optional_size("head_dim") or changes.get("d_head") or self.divide_by_heads(),
            **dict.fromkeys(BIASED, biased),
            "implementation": EAGER,
        }
        found |= changes
        if isinstance(qk_norm, str | Mapping) and qk_norm != "none":
            qk_norm = QkNorm(**{"eps": self.eps, **({"over": qk_norm} if isinstance(qk_norm, str) else qk_norm)})
        if isinstance(qk_norm, QkNorm):
            found["qk_norm"] = qk_norm
        rotary = self.rope(layer_type, **(rope or {}))
        if isinstance(rotary.scaling, Proportional) and rotary.dim is None:
            dim = max(1, 2 * int(self.partial_rotary(layer_type=layer_type) * found["d_head"] // 2))
            rotary = changed(rotary, dim=dim)
        return Attention(**found, rope=None if rope is None else rotary)

    def divide_by_heads(self, whole: int | None = None, parts: int | None = None) -> int:
        """Return the head width ``whole / parts``, or raise an error if the division is not exact."""
        whole, parts = whole or self.d_model, parts or self.n_heads
        if whole % parts:
            raise self.size_error(
                f"hidden_size ({whole}) is not a multiple of the number of heads ({parts}), and head_dim is not set"
            )
        return whole // parts

    def rotary_width(self, share: float = 1.0, layer_type: str | None = None) -> int:
        """Return the number of rotated channels per head, optionally for a specific layer type."""
        head = self.optional_size("head_dim") or self.divide_by_heads()
        return max(1, int(head * self.partial_rotary(share, layer_type)))

    def sliding_window(self, key: str = "sliding_window") -> int | None:
        """Return the sliding window size, or None."""
        return self.optional_size(key, zero_is_none=True)

    def optional_window(self) -> int | None:
        """Return the sliding window size if ``use_sliding_window`` is set, or None."""
        limit = self.sliding_window()  # reads the key even where the flag is not set
        return limit if self.flag("use_sliding_window") else None

    def upper_windows(self, limit: int | None) -> list[str]:
        """Return each layer's type. If ``limit`` is set, layers from ``max_window_layers`` onwards use a sliding
        window.
        """
        first = self.count("max_window_layers", self.n_layers)
        layers = range(self.n_layers)
        return self.layer_types(["sliding_attention" if limit and at >= first else "full_attention" for at in layers])

    def local_global_attention(
        self, limit: int | None, *, unplaced: Collection[str] = (), by_type: bool = False, **changes: Any
    ) -> dict[str, Layer]:
        """Return attention layers with and without a sliding window, keyed by layer type.

        Layers of the types in ``unplaced`` have no positions. Rotary positions may depend on the type if ``by_type``.
        """
        return {
            kind: self.attention(
                layer_type=kind if by_type else None,
                window=span,
                **({**changes, "rope": None} if kind in unplaced else changes),
            )
            for kind, span in (("full_attention", None), ("sliding_attention", limit))
        }

    def windowed_attention(
        self, pattern: Sequence[str], limit: int | None, **changes: Any
    ) -> tuple[dict[str, Layer], list[str]]:
        """Return attention layers by type, and the type of each layer (default: ``pattern``)."""
        return self.local_global_attention(limit, by_type=True, **changes), self.layer_types(pattern)

    def gated_mlp(
        self,
        key: str = "intermediate_size",
        *,
        bias: bool | None = None,
        activation: str = "hidden_act",
        gated: bool = True,
    ) -> Mlp:
        """Return a gated feed-forward layer. If ``bias`` is None, ``mlp_bias`` is used if the class has this key."""
        if bias is None:
            bias = "mlp_bias" in self.defaults and self.flag("mlp_bias")
        return Mlp(self.d_model, self.size(key), self.activation(activation), gated=gated, bias=bias)

    def plain_mlp(self, key: str = "intermediate_size", **changes: Any) -> Mlp:
        """Return an ungated feed-forward layer with two matrices."""
        return self.gated_mlp(key, gated=False, **changes)

    def experts(
        self,
        n_experts: str = "num_experts",
        width: str = "moe_intermediate_size",
        *,
        routing: Mapping[str, Any] = NO_FIELDS,
        shared: Mapping[str, Any] = NO_FIELDS,
        **changes: Any,
    ) -> Moe:
        """Return a mixture of experts. ``n_experts`` and ``width`` are the config keys for their number and width.

        ``routing`` changes fields of the routing. ``shared`` contains the fields of the shared experts, which are
        absent if they have no width ``d_ff``.
        """
        scores = {"renormalise": self.flag("norm_topk_prob", True), "scale": self.number("routed_scaling_factor", 1.0)}
        found: Fields = {
            "d_model": self.d_model,
            "d_ff": self.size(width),
            "n_experts": self.size(n_experts),
            "top_k": changes.get("top_k") or self.size("num_experts_per_tok"),
            "activation": changes.get("activation") or self.activation("hidden_act"),
            "routing": Routing(**{**scores, **routing}),
            "shared": SharedExperts(**shared) if shared.get("d_ff") or shared.get("gate") else None,
        }
        return Moe(**{**found, **changes})

    def shared_width(self, count: str = "num_shared_experts", width: str = "moe_intermediate_size") -> int | None:
        """Return the total width of the shared experts, or None if there are none."""
        return self.count(count) * self.size(width) or None

    def expert_groups(self, score: str = "best") -> ExpertGroups:
        """Return the groups of group-limited routing, with the score of a group."""
        return ExpertGroups(self.size("n_group", 1), self.size("topk_group", 1), score)

    def collapse(self, keys: str) -> None:
        """Replace each list of one value per layer by this value. Different values raise an error."""
        for key in keys.split():
            value = self.get(key)
            if isinstance(value, list):
                first, *others = self.one_per_layer(key, value, self.n_layers)
                if any(other != first for other in others):
                    raise self.size_error(f"different values of {key} in different layers are not supported")
                self.override(key, first)

    def per_layer(self, key: str, usual: Sequence[Any] | None = None) -> list[Any]:
        """Return the number of each layer, or ``usual`` if the key is not set. A single number applies to all layers.

        Entries after the last layer, such as those of prediction modules, are left out. Null stays None.
        """
        given = self.get(key)
        if given in (None, []) and usual is not None:
            return [*usual]
        numbers = given[: self.n_layers] if isinstance(given, list) else [given] * self.n_layers
        for number in self.one_per_layer(key, numbers, self.n_layers):
            if number is not None:
                self.finite_number(number, key)
        return numbers

    def check_groups(self) -> None:
        """Raise an error if more groups of experts are selected than exist, as some transformers classes do."""
        groups, top = self.size("n_group", 1), self.size("topk_group", 1)
        if top > groups:
            raise self.size_error(f"topk_group ({top}) must not exceed n_group ({groups})")

    def lm_head(self, *, tied: bool | None = None, width: int | None = None, **fields: Any) -> Head:
        """Return the language-model head. If ``tied`` is None, the config decides whether the head is tied."""
        tied = self.flag("tie_word_embeddings", True) if tied is None else tied
        return Head(self.vocab, width or self.d_model, share=TOKENS if tied else None, **fields)

    def layer_types(self, default: Sequence[str], key: str = "layer_types", count: int | None = None) -> list[str]:
        """Return each layer's type from ``key`` or from the default pattern. Older type names are converted."""
        return [OLD_WORDS.get(kind, kind) for kind in self.strings(key, count or self.n_layers) or default]

    def mlp_types(self, dense: int) -> list[str]:
        """Return ``dense`` or ``sparse`` for each layer. By default, the first ``dense`` layers are dense."""
        usual = ["dense" if index < dense else "sparse" for index in range(self.n_layers)]
        return self.types_like("mlp_layer_types", usual, "first_k_dense_replace")

    def types_like(self, key: str, usual: list[str], older: str) -> list[str]:
        """Return each layer's type from ``key``, or ``usual``, which the ``older`` keys describe. If the config also
        has any of these keys and the class does not, both must be equal.
        """
        given = self.strings(key, self.n_layers)
        if given is None or given == usual:
            return usual
        for name in older.split():
            if name not in self.defaults and self.data.get(name) is not None:
                raise self.size_error(f"{name} and {key} describe different layers")
        return given

    def layer_overrides(self, layers: int, *known: str) -> dict[int, dict[str, Any]] | None:
        """Return the overrides of keys by layer in ``per_layer_config``, or None if the config lacks this key."""
        key = "per_layer_config"
        given = self.get(key)
        if key not in self.data or given is None:
            return {} if key in self.data else None
        is_valid = isinstance(given, dict) and all(str(at).isdecimal() for at in given)
        if not is_valid or not all(isinstance(own, dict) for own in given.values()):
            raise self.invalid(key, "an object that maps layer numbers to objects", given)
        for at, own in given.items():
            if int(at) >= layers:
                raise self.size_error(f"{key} names layer {at}, but the model has only {layers} layers")
            self.check_known(f"{key} key", own, known)
        return {int(at): own for at, own in given.items()}

    def every_nth(self, key: str, rare: str, usual: str, default: int) -> list[str]:
        """Return layer types in which every n-th layer is ``rare`` and all other layers are ``usual``. The config
        stores n
        at ``key``.
        """
        period = self.size(key, default)
        return self.periodic_types(period, period - 1, usual, rare)

    def period_and_offset(self, kind: str) -> tuple[int, int]:
        """Return the period of a kind of layer and the number of its first layer, such as ``attn_layer_period``."""
        period, offset = self.size(f"{kind}_layer_period"), self.count(f"{kind}_layer_offset")
        if offset >= period:
            raise self.size_error(f"{kind}_layer_offset ({offset}) must be less than {kind}_layer_period ({period})")
        return period, offset

    def periodic_types(
        self, count: int, first: int, usual: str = "sliding_attention", rare: str = "full_attention"
    ) -> list[str]:
        """Return layer types in which every ``count``-th layer from ``first`` is ``rare`` and all others are
        ``usual``.
        """
        return [rare if index % count == first else usual for index in range(self.n_layers)]


_READERS: dict[str, Callable[[Config, str], Any]] = {  # readers by the type of a field
    "int": Config.size,
    "int | None": Config.size,
    "bool": Config.flag,
    "str": Config.activation,
    "float | None": Config.number,
}
