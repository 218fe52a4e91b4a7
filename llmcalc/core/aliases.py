"""Old names that descriptions may still use: each table maps an old name to today's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STACK_KEYS = {"spare_patches": "extra_patches", "in_text": "replaces_placeholder_tokens"}
STACK_ROLES = {"side": "auxiliary"}
SUBLAYER_KEYS = {"by_depth": "depth_scaled", "reads": "input_from", "beside_first": "concat_input"}
LAYER_FIELDS: dict[str, dict[str, str]] = {"patch_attention": {"spare_patches": "extra_patches"}}  # by layer kind
JSON_KEYS = {  # by class; what --json prints keeps the old names
    "Mesh": {
        "data": "dp", "tensor": "tp", "pipeline": "pp", "expert": "ep", "context": "cp", "expert_tensor": "etp",
        "sequence": "sp", "chunks": "virtual_stages",
    },
    "Recipe": {"weights": "weight_bytes", "gradients": "gradient_bytes", "master": "master_weight_bytes",
               "buffered": "contiguous_gradient_buffer", "temporaries": "n_temporaries", "frozen": "frozen_weights"},
}  # fmt: skip


def renamed(data: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """``data`` with today's keys. An old key stays, and is rejected later, if today's is there as well.

    >>> renamed({"in_text": True}, STACK_KEYS)
    {'replaces_placeholder_tokens': True}
    """
    return {aliases[key] if key in aliases and aliases[key] not in data else key: value for key, value in data.items()}


def old_names(aliases: Mapping[str, str]) -> dict[str, str]:
    """The first name of each renamed key."""
    return {new: old for old, new in reversed(list(aliases.items()))}
