"""Checks for values that contradict each other or make no sense, whichever reader interprets them.

Readers check the keys that they read. These checks cover keys that a reader ignores or reads only in part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from ...core.errors import DescriptionError, short_repr
from ...core.layer import is_number
from ...data import table

if TYPE_CHECKING:
    from .config_keys import ConfigKeys

_ROTARY = ("rope_parameters", "rope_scaling")
_PER_LAYER = (
    "indexer_types", "no_rope_layers", "kv_source_layers", "layer_rope_theta", "num_attention_heads_per_layer",
    "layers_block_type", "sliding_windows",
)  # fmt: skip
_COUNTED = "layers_block_type"  # its length is the number of layers unless the config states one
_TYPES = ("layer_types", "mlp_layer_types")
STAGES: tuple[tuple[str, ...], ...] = (  # lists with an entry per stage of the same module
    ("depths", "embed_dim", "num_heads", "num_groups", "patch_size", "patch_stride", "patch_prenorm", "patch_padding"),
    ("conv_dim", "conv_kernel", "conv_stride"),
    ("upsample_rates", "upsample_kernel_sizes"),
    ("resblock_kernel_sizes", "resblock_dilation_sizes"),
    ("enc_channels", "enc_kernel_sizes", "enc_dilations"),
    ("sscp_conv_channel_size", "sscp_conv_kernel_size", "sscp_conv_stride_size"),
)
_FACTOR_LISTS = ("short_factor", "long_factor", "mrope_section")
_MISFITS = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError)
_CHECKED = frozenset((*_ROTARY, *_PER_LAYER, *_TYPES, *chain(*STAGES), "quantization_config", "dtype"))


@contextmanager
def valid_values(of: str, where: str) -> Iterator[None]:
    """Raise a DescriptionError for values that a reader does not expect, such as a list instead of a number, a string
    in a list of numbers, or an enormous size.
    """
    try:
        yield
    except _MISFITS as error:
        hint = f"{type(error).__name__}: {short_repr(str(error), 120)}"
        raise DescriptionError(f"invalid value in {of}", where=where, hint=hint) from error


def check_values(config: ConfigKeys) -> None:
    """Raise an error if values of a config contradict each other or are not valid for any model."""
    data = config.data
    if config.model_type in _rule("heads_divide_width"):
        _check_heads(config)
    if data.keys().isdisjoint(_CHECKED):
        return
    for key in (*_PER_LAYER, *_TYPES):
        if isinstance(data.get(key), list):
            _check_list(config, key, data[key])
    for keys in STAGES:
        _check_stages(config, keys)
    for key in _ROTARY:
        if data.get(key) is not None:
            _check_rotary(config, key, data[key])
    if not isinstance(data.get("quantization_config"), dict | None):
        raise config.invalid("quantization_config", "an object")
    given = data.get("rope_parameters")
    nested = given.get("rope_theta") if isinstance(given, Mapping) else None
    theta = data.get("rope_theta")
    if theta != config.defaults.get("rope_theta"):  # some classes also write the default that they do not read
        _check_same(config, "rope_theta", theta, "the rope_theta in rope_parameters", nested)
    _check_same(config, "torch_dtype", data.get("torch_dtype"), "dtype", data.get("dtype"))


def _check_same(config: ConfigKeys, name: str, value: object, other: str, second: object) -> None:
    """Check that two names of one setting have the same value, unless one is absent or has another type."""
    if isinstance(value, str) and isinstance(second, str):
        value, second = value.removeprefix("torch."), second.removeprefix("torch.")
    elif not (is_number(value) and is_number(second)):
        return
    if value != second:
        raise config.error(f"{name} is {short_repr(value)}, but {other} is {short_repr(second)}")


def _check_heads(config: ConfigKeys) -> None:
    """Check that the number of heads divides the width."""
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if type(width) is int and type(heads) is int and heads > 0 and width % heads:
        raise config.size_error(f"hidden_size ({width}) must be a multiple of num_attention_heads ({heads})")


def _rule(name: str) -> list[str]:
    found: list[str] = table("config_keys")["values"][name]
    return found


def _check_list(config: ConfigKeys, key: str, values: list[Any]) -> None:
    """Check that a list with an entry per layer has as many entries as layers, all of known types."""
    n_layers = config.aliases.get("num_hidden_layers", "num_hidden_layers")
    layers = config.data.get(n_layers, None if key == _COUNTED else config.defaults.get(n_layers))
    if type(layers) is int and len(values) != layers and (values or key in _TYPES):
        raise config.size_error(f"{key} must have one entry per layer ({layers}), not {len(values)}")
    if key in _TYPES:
        for word in values:
            _check_word(config, "layer type", word, "layer_types", key)


def _check_stages(config: ConfigKeys, keys: tuple[str, ...]) -> None:
    """Check that lists with an entry per stage, from the config or the class defaults, have equal lengths."""
    if config.data.keys().isdisjoint(keys):
        return
    both = ((key, config.data.get(key, config.defaults.get(key))) for key in keys)
    lengths = {key: len(value) for key, value in both if isinstance(value, list)}
    if len(set(lengths.values())) > 1:
        stated = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise config.size_error(f"lists with an entry per stage must have equal lengths, but {stated}")


def _check_word(config: ConfigKeys, what: str, word: object, rule: str, place: str) -> None:
    if word not in _rule(rule):
        hint = f"Known: {', '.join(_rule(rule))}."
        raise config.error(f"unknown {what} {short_repr(word)} in {place}", hint=hint)


def _check_rotary(config: ConfigKeys, key: str, value: object) -> None:
    """Check the settings of rotary positions, which may be given once or for each layer type."""
    if not isinstance(value, Mapping):
        raise config.invalid(key, "an object", value)
    nested = {name: part for name, part in value.items() if isinstance(part, Mapping)}
    for name, part in nested.items() or ((key, value),):
        _check_settings(config, name, part)


def _check_settings(config: ConfigKeys, name: str, settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        if value is None:
            continue
        if key in ("rope_type", "type"):
            _check_word(config, key, value, "rotary", name)
        elif key in _FACTOR_LISTS and not (isinstance(value, list) and value and all(map(_is_positive, value))):
            raise config.invalid(f"{name}.{key}", "a list of positive numbers", value)
        elif key in _rule("rotary_numbers") and not _is_positive(value):
            raise config.invalid(f"{name}.{key}", "a positive number", value)


def _is_positive(value: Any) -> bool:
    return is_number(value) and value > 0
