"""Weight quantisation that MLX states under ``quantization``, and again under ``quantization_config``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MLX = "mlx"
_SETTINGS = ("group_size", "bits", "mode")


def mlx_weights(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the weight quantisation of a config as a ``quantization_config``, if MLX has written it, or None.

    >>> mlx_weights({"model_type": "llama", "quantization": {"group_size": 64, "bits": 4}})
    {'quant_method': 'mlx', 'model_type': 'llama', 'group_size': 64, 'bits': 4}
    """
    found = next((data[key] for key in ("quantization", "quantization_config") if _is_mlx(data.get(key))), None)
    return found and {"quant_method": MLX, "model_type": data.get("model_type"), **found}


def _is_mlx(value: object) -> bool:
    """Return whether a value has MLX's settings, and otherwise only settings by module."""
    if not isinstance(value, dict) or type(value.get("bits")) is not int or type(value.get("group_size")) is not int:
        return False
    return all(isinstance(other, (dict, bool)) for key, other in value.items() if key not in _SETTINGS)
