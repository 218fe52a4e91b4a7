"""Longest sequence that a config states, to which serving engines limit requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .class_defaults import class_defaults

KEYS = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length", "max_seq_length",
    "seq_len",
)  # fmt: skip
OVERALL = "model_max_length"  # of Cohere's models, whatever the other keys say


def stated_length(
    data: Mapping[str, Any], inner: Mapping[str, Any], model_type: str, is_encoder_decoder: bool = False
) -> int | None:
    """Return the longest sequence of a config or of its nested language model, or None if it states none.

    The shortest of several keys counts, and the default of the class in transformers if the config has none of them. An
    encoder with a decoder has no limit but its positions: ``n_positions`` of T5 has no effect.

    >>> stated_length({"n_positions": 1024}, {}, "gptj"), stated_length({}, {}, "gpt_neox")
    (1024, 2048)

    Source: vllm/transformers_utils/model_arch_config_convertor.py, derive_max_model_len_and_key.
    """
    keys = KEYS[:1] if is_encoder_decoder else KEYS
    for part in filter(None, (data, inner)):
        if found := _shortest(part, keys):
            return found
    defaults, aliases, _ = class_defaults(str(inner.get("model_type") or model_type))
    named = {**defaults, **{key: defaults.get(own) for key, own in aliases.items() if key in (*KEYS, OVERALL)}}
    return _shortest(named, keys)


def _shortest(part: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    """Return the shortest length of a part of a config, or None."""
    found = {key: value for key in (OVERALL, *keys) if type(value := part.get(key)) is int and value > 0}
    return found.get(OVERALL) or min(found.values(), default=None)
