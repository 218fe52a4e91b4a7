"""Translation of GGUF metadata into the config of the original Hugging Face model.

For example, ``llama.attention.head_count_kv`` becomes ``num_key_value_heads``. ``data/gguf.yaml`` maps the keys
of each architecture, and ``architecture_rules`` handles special cases. Vocabulary size, biases and tied
embeddings are derived from the tensors. Unknown architecture keys raise an error.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ...checkpoint.headers import Headers, located
from ...checkpoint.headers.gguf import Long
from ...core.errors import DescriptionError, SizeError, UnknownNameError, short_repr
from ...core.layer import is_number
from ...data import table
from ..hf.config import Config
from ..hf.contradictions import valid_values
from . import architecture_rules
from .metadata import Metadata

ARCHITECTURE = "general.architecture"


def names() -> list[str]:
    """Return the names of all supported architectures."""
    return sorted(table("gguf")["architectures"])


@cache
def find(name: str) -> dict[str, Any] | None:
    """Return an architecture's entry in ``data/gguf.yaml``, including the fields of its groups, or None."""
    data = table("gguf")
    entry = data["architectures"].get(name)
    if entry is None:
        return None
    keys = dict(data["common"])
    merged: dict[str, Any] = {field: {} for field in ("values", "equal", "sizes", "optional", "rows", "tensors")}
    for source in (*(data["groups"][group] for group in entry.get("include", [])), entry):
        keys = {key: target for key, target in keys.items() if key not in source.get("without", [])}
        keys |= source.get("keys", {})
        merged = {field: {**found, **source.get(field, {})} for field, found in merged.items()}
    return {**entry, **merged, "keys": keys}


def config_of(headers: Headers) -> dict[str, Any]:
    """Return the config described by GGUF headers, including the model name if present."""
    name = headers.metadata.get(ARCHITECTURE)
    if not isinstance(name, str):
        raise DescriptionError(f"{ARCHITECTURE} must be a string, not {short_repr(name)}", where=headers.where)
    architecture = find(name)
    if architecture is None:
        hint = f"supported: {', '.join(names())}"
        raise UnknownNameError("GGUF architecture", name, names(), where=headers.where, hint=hint)
    metadata = Metadata(name, headers, table("gguf")["irrelevant"])
    with located(headers.where), valid_values(f"the {name} metadata", headers.where):
        config = _config(architecture, metadata)
        metadata.check_all_read()
    title = headers.metadata.get("general.name")
    return {**({"_name_or_path": title} if isinstance(title, str) and title.strip() else {}), **config}


def _config(architecture: dict[str, Any], metadata: Metadata) -> dict[str, Any]:
    config: dict[str, Any] = {"model_type": architecture["model_type"], **architecture["values"]}
    for key in table("gguf")["required"]:
        if key in architecture["keys"]:
            metadata.required(key)
    for key, target in architecture["keys"].items():
        value = metadata.get(key)
        if isinstance(value, list | Long):
            raise DescriptionError(f"{metadata.arch}.{key} must be the same in all layers")
        if value is not None and not (is_number(value) or isinstance(value, bool)):
            raise DescriptionError(f"{metadata.arch}.{key} must be a finite number, not {short_repr(value)}")
        if value is not None:
            config[target] = value
    for key, value in architecture["equal"].items():
        if metadata.count(key, value) != value:
            raise DescriptionError(f"{metadata.arch}.{key} must be {value}")
    config["vocab_size"] = metadata.rows("token_embd.weight")
    config |= {target: metadata.rows(tensor) for tensor, target in architecture["rows"].items()}
    config |= {target: metadata.size(key) for key, target in architecture["sizes"].items()}
    config |= {target: metadata.count(key) or None for key, target in architecture["optional"].items()}
    config |= {key: metadata.has_tensor(tensor) for key, tensor in architecture["tensors"].items()}
    if "tie_word_embeddings" not in config:
        config["tie_word_embeddings"] = not metadata.has_tensor("output.weight")
    if "sliding_period" in architecture:
        config["layer_types"] = architecture_rules.sliding_layers(metadata, architecture["sliding_period"])
    if "rule" in architecture:
        getattr(architecture_rules, architecture["rule"])(config, metadata)
    _add_defaults(config, metadata, architecture["keys"])
    return config


def _add_defaults(config: dict[str, Any], metadata: Metadata, keys: dict[str, str]) -> None:
    """Add llama.cpp's defaults for missing keys if the transformers class has different defaults."""
    defaults = Config({}, config["model_type"], "").defaults
    heads = config.get("num_attention_heads")
    if "attention.head_count_kv" in keys and heads is not None:
        config.setdefault(keys["attention.head_count_kv"], heads)
    if "attention.key_length" in keys and "head_dim" in keys.values():
        _check_value_width(config, metadata)
        width = config.get("hidden_size")
        if "head_dim" not in config and defaults.get("head_dim") and type(width) is type(heads) is int and heads:
            config["head_dim"] = width // heads
    elif "attention.key_length" not in keys and heads is not None and "attention.key_length" in metadata.data:
        _check_value_width(config, metadata)
        width = metadata.size("attention.key_length")
        if type(heads) is int and width * heads != config.get("hidden_size") and "qk_nope_head_dim" not in config:
            raise SizeError(f"{heads} heads of width {width} do not add up to embedding_length")
    if "sliding_window" in defaults:
        config.setdefault("sliding_window", None)


def _check_value_width(config: dict[str, Any], metadata: Metadata) -> None:
    """Check that keys and values have the same width. Only latent attention uses different widths."""
    keys, values = metadata.get("attention.key_length"), metadata.get("attention.value_length")
    if "qk_nope_head_dim" not in config and values is not None and keys != values:
        widths = f"{short_repr(keys)} and {short_repr(values)}"
        raise SizeError(f"different key and value widths ({widths}) are not supported")
