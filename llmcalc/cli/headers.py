"""Safetensors without a config.json, whose headers can still be counted."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # as in typing, which is slow to import
if TYPE_CHECKING:
    from ..checkpoint.headers import Headers


def has_headers_only(model: str) -> bool:
    """Whether a model is a file or folder of safetensors without a config.json."""
    if model.endswith(".safetensors"):
        return os.path.isfile(model) and not os.path.exists(os.path.join(os.path.dirname(model), "config.json"))
    if os.sep not in model or not os.path.isdir(model) or os.path.exists(os.path.join(model, "config.json")):
        return False
    return any(name.endswith((".safetensors", ".safetensors.index.json")) for name in os.listdir(model))


def read_headers_only(model: str) -> Headers:
    """The headers of a file or folder of safetensors without a config.json."""
    from pathlib import Path

    from ..checkpoint.headers.checkpoint_files import read_headers

    return read_headers(Path(model))
