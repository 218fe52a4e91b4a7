"""GGUF metadata as the config of the Hugging Face class that it was converted from, whose family then reads it.

What llama.cpp calls ``llama.attention.head_count_kv`` is the config's ``num_key_value_heads``; ``table`` holds the
names. What metadata does not say is read off the tensors: the vocabulary, biases, whether the head is tied. A key of
the architecture that nobody reads is an error.
"""

from __future__ import annotations

from typing import Any

from ...checkpoint.headers import Headers
from ...checkpoint.headers.gguf import Long
from ...core.errors import DescriptionError, InputError, SizeError, UnknownNameError, shown
from ...core.layer import is_number
from ..hf.config import Config
from .metadata import Metadata
from .special import RULES
from .table import Entry, find, names

ARCHITECTURE = "general.architecture"
_MISFITS = (TypeError, ValueError, IndexError, OverflowError, ZeroDivisionError)


def config_of(headers: Headers) -> dict[str, Any]:
    """The config that GGUF headers describe, with the name of the model if they tell it.

    Raises:
        UnknownNameError: an architecture, or a key of its metadata, that is not understood.
        DescriptionError: a needed key is missing, or holds something else.
    """
    arch = headers.metadata.get(ARCHITECTURE)
    if not isinstance(arch, str):
        raise DescriptionError(f"{ARCHITECTURE} is {shown(arch)}; it is a text", where=headers.where)
    entry = find(arch)
    if entry is None:
        hint = f"understood: {', '.join(names())}"
        raise UnknownNameError("GGUF architecture", arch, names(), where=headers.where, hint=hint)
    metadata = Metadata(arch, headers)
    try:
        config = _config(entry, metadata)
        metadata.check_all_read()
    except InputError as error:
        raise error.at(headers.where) from None
    except _MISFITS as error:  # a text where a number belongs, a list among numbers
        hint = f"{type(error).__name__}: {shown(str(error), 120)}"
        message = f"a value of the metadata is none that {arch} can have"
        raise DescriptionError(message, where=headers.where, hint=hint) from error
    name = headers.metadata.get("general.name")
    return {**({"_name_or_path": name} if isinstance(name, str) and name.strip() else {}), **config}


def _config(entry: Entry, metadata: Metadata) -> dict[str, Any]:
    arch = metadata.arch
    config: dict[str, Any] = {"model_type": entry.model_type, **entry.fixed}
    for key in entry.needed:
        metadata.needed(key)
    for key, target in entry.keys.items():
        value = metadata.get(key)
        if isinstance(value, list | Long):
            raise DescriptionError(f"{arch}.{key} differs from layer to layer, which is not understood")
        if value is not None and not (is_number(value) or isinstance(value, bool)):
            raise DescriptionError(f"{arch}.{key} is {shown(value)}; it is a finite number")
        if value is not None:
            config[target] = value
    config["vocab_size"] = metadata.rows("token_embd.weight")
    config |= {key: metadata.holds(tensor) for key, tensor in entry.present.items()}
    if "tie_word_embeddings" not in config:
        config["tie_word_embeddings"] = not metadata.holds("output.weight")
    if entry.special:
        RULES[entry.special](config, metadata)
    _complete(config, metadata, entry)
    return config


def _complete(config: dict[str, Any], metadata: Metadata, entry: Entry) -> None:
    """What llama.cpp takes for keys that are not there, where the class would take something else."""
    defaults = Config({}, config["model_type"], "").defaults
    heads = config.get("num_attention_heads")
    if "attention.head_count_kv" in entry.keys and heads is not None:
        config.setdefault(entry.keys["attention.head_count_kv"], heads)
    if "attention.key_length" in entry.keys and "head_dim" in entry.keys.values():
        _same_values(config, metadata)
        width = config.get("hidden_size")
        if "head_dim" not in config and defaults.get("head_dim") and type(width) is type(heads) is int and heads:
            config["head_dim"] = width // heads
    elif "attention.key_length" not in entry.keys and heads is not None and "attention.key_length" in metadata.data:
        _same_values(config, metadata)
        width = metadata.size("attention.key_length")
        if type(heads) is int and width * heads != config.get("hidden_size") and "qk_nope_head_dim" not in config:
            raise SizeError(f"{heads} heads of {width} are not embedding_length, which is not understood")
    if "sliding_window" in defaults:
        config.setdefault("sliding_window", None)


def _same_values(config: dict[str, Any], metadata: Metadata) -> None:
    """Values as wide as keys, as all but latent attention has them."""
    keys, values = metadata.get("attention.key_length"), metadata.get("attention.value_length")
    if "qk_nope_head_dim" not in config and values is not None and keys != values:
        raise SizeError(f"keys of {shown(keys)} and values of {shown(values)}, which is not understood")
