"""Layer kinds as named in presets. Zoo kinds and common aliases are also available.

Each kind has a module of its own name, except for the related kinds in ``SHARED_MODULES``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ..core.errors import UnknownNameError
from ..core.layer import Layer
from ..core.part import Part
from ..core.type_names import TYPE_CHECKING, Any
from ..core.zoo_search import find_module, module_names

if TYPE_CHECKING:
    from .attention import Attention as Attention
    from .attention_residual import AttentionResidual as AttentionResidual
    from .compressed_attention import CompressedAttention as CompressedAttention
    from .conv import Conv as Conv
    from .delta_rule import GatedDeltaNet as GatedDeltaNet
    from .delta_rule import Kda as Kda
    from .disentangled_attention import DisentangledAttention as DisentangledAttention
    from .embedding import Embedding as Embedding
    from .features import Features as Features
    from .gemma3n import AltUp as AltUp
    from .gemma3n import Laurel as Laurel
    from .gemma3n import PerLayerGate as PerLayerGate
    from .gemma3n import PerLayerTable as PerLayerTable
    from .head import Head as Head
    from .hyena import Hyena as Hyena
    from .hyper_connection import HyperConnection as HyperConnection
    from .indexer import Indexer as Indexer
    from .linear import Linear as Linear
    from .mamba import Mamba as Mamba
    from .mamba2 import Mamba2 as Mamba2
    from .mla import Mla as Mla
    from .mlp import Mlp as Mlp
    from .moe import Moe as Moe
    from .norm import Norm as Norm
    from .parts.bounds import Bounds as Bounds
    from .parts.expert_capacity import Capacity as Capacity
    from .parts.fixed_table import FixedTable as FixedTable
    from .parts.frames import Frames as Frames
    from .parts.frequencies import Frequencies as Frequencies
    from .parts.gate import Gate as Gate
    from .parts.ids import Ids as Ids
    from .parts.inner_norm import InnerNorm as InnerNorm
    from .parts.latent import Latent as Latent
    from .parts.logits import LogitScale as LogitScale
    from .parts.logits import MaskedLogits as MaskedLogits
    from .parts.lora import Lora as Lora
    from .parts.multipliers import MlpMultipliers as MlpMultipliers
    from .parts.multipliers import SsmMultipliers as SsmMultipliers
    from .parts.padding import Padding as Padding
    from .parts.pooler import Pooler as Pooler
    from .parts.residual_stream import ResidualStream as ResidualStream
    from .parts.rope import Rope as Rope
    from .parts.routing import ExpertGroups as ExpertGroups
    from .parts.routing import RouterNetwork as RouterNetwork
    from .parts.routing import Routing as Routing
    from .parts.sequence import InputRows as InputRows
    from .parts.sequence import LogitRows as LogitRows
    from .parts.sequence import SequenceRows as SequenceRows
    from .parts.shared_experts import ScoredSharedExperts as ScoredSharedExperts
    from .parts.shared_experts import SharedExperts as SharedExperts
    from .parts.sphere import Sphere as Sphere
    from .parts.time_step import TimeStep as TimeStep
    from .patch import Patch as Patch
    from .rg_lru import RgLru as RgLru
    from .rwkv import RwkvChannelMix as RwkvChannelMix
    from .rwkv import RwkvHeadMix as RwkvHeadMix
    from .rwkv import RwkvTimeMix as RwkvTimeMix
    from .scale import Scale as Scale
    from .short_conv import ShortConv as ShortConv
    from .sinusoids import Sinusoids as Sinusoids
    from .stored import Stored as Stored

ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mha": ("attention", {}),
    "gqa": ("attention", {}),
    "mqa": ("attention", {"n_kv_heads": 1}),
    "cross_attention": ("attention", {"cross": True, "causal": False}),
    "ffn": ("mlp", {}),
    "swiglu": ("mlp", {"activation": "silu", "gated": True}),
    "geglu": ("mlp", {"activation": "gelu_tanh", "gated": True}),
    "reglu": ("mlp", {"activation": "relu", "gated": True}),
    "grouped_linear": ("linear", {"groups": 1}),
    "mamba1": ("mamba", {}),
    "ssd": ("mamba2", {}),
    "gated_deltanet": ("gated_delta_net", {}),
    "rmsnorm": ("norm", {"function": "rmsnorm"}),
    "layernorm": ("norm", {"function": "layernorm", "bias": True}),
}
SHARED_MODULES = {  # modules that define several kinds, each with its name in ``KIND``
    "delta_rule": ("gated_delta_net", "kda"),
    "gemma3n": ("altup", "laurel", "per_layer_gate", "per_layer_table"),
    "grouped": ("grouped_attention", "grouped_mlp"),
    "rwkv": ("rwkv_channel_mix", "rwkv_head_mix", "rwkv_time_mix"),
}
PARTS = {  # modules of parts that have another name
    "Capacity": "expert_capacity",
    "ExpertGroups": "routing",
    "InputRows": "sequence",
    "LogitRows": "sequence",
    "LogitScale": "logits",
    "MaskedLogits": "logits",
    "MlpMultipliers": "multipliers",
    "RouterNetwork": "routing",
    "ScoredSharedExperts": "shared_experts",
    "SequenceRows": "sequence",
    "SsmMultipliers": "multipliers",
}
_MODULE = {kind: module for module, kinds in SHARED_MODULES.items() for kind in kinds}


@cache
def kinds() -> tuple[str, ...]:
    """Return the names of all layer kinds, including zoo kinds."""
    return tuple(sorted({*module_names("layers"), *_MODULE} - SHARED_MODULES.keys()))


def names() -> tuple[str, ...]:
    """Return the names of all layer kinds and their aliases."""
    return *kinds(), *ALIASES


def resolve_alias(name: str) -> tuple[str, dict[str, Any]]:
    """Return the kind that a name refers to, and the fields that the name sets."""
    return ALIASES.get(name, (name, {}))


@cache
def find(name: str) -> tuple[type[Layer], dict[str, Any]]:
    """Return the layer class for a kind or alias, and the fields that the alias sets.

    Raises:
        UnknownNameError: if the kind is unknown.
    """
    kind, fixed = resolve_alias(name)
    place = None if kind in SHARED_MODULES else find_module("layers", _MODULE.get(kind, kind))
    if place is None:
        raise UnknownNameError("layer kind", name, names())
    module = import_module(place)
    own = (value for value in vars(module).values() if isinstance(value, type) and value.__module__ == place)
    return next(value for value in own if issubclass(value, Layer) and value.kind() == kind), fixed


def __getattr__(name: str) -> type[Part]:
    """Import a layer class such as ``Attention``, or a part class such as ``Rope``, on first access."""
    found = (_find_part(name) or _find_layer(name)) if name[:1].isupper() else None
    if found is None:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    globals()[name] = found
    return found


def _find_part(name: str) -> type[Part] | None:
    for folder in ("parts", "score_biases"):
        for module in module_names(folder, "layers"):
            if module == PARTS.get(name) or module.replace("_", "") == name.lower():
                return getattr(import_module(find_module(folder, module, "layers") or ""), name, None)
    return None


def _find_layer(name: str) -> type[Part] | None:
    return next((find(kind)[0] for kind in kinds() if kind.replace("_", "") == name.lower()), None)
