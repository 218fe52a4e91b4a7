"""Descriptions in the formats of the makers' own code, which name no ``model_type``: known by the keys that they have.

``params.json`` of Meta's and Mistral's releases, ``config.json`` of the first Mamba and Mamba-2 checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# the type that such a file is read as: keys that all of its files have
_KEYS = {
    "mamba_ssm": {"d_model", "n_layer", "ssm_cfg"},
    "mistral_params": {"dim", "n_layers", "n_heads", "hidden_dim"},
    "llama_params": {"dim", "n_layers", "n_heads", "multiple_of"},
}


def original_type(data: Mapping[str, Any]) -> str | None:
    """The type of a description without a ``model_type``, if its keys are those of a known format."""
    return next((name for name, keys in _KEYS.items() if keys <= data.keys()), None)
