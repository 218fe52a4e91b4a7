"""Write the class defaults of transformers' configs, which a sparse config leaves out, as data of the package.

python -m tests.oracle.export_defaults llmcalc/data/hf [MODEL_TYPE ...]
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

PARTS = {  # types that are only parts of others, and where they stand in these
    "t5_gemma_module": ("t5gemma", "decoder"),
    "qwen3_omni_moe_talker": ("qwen3_omni_moe", "talker_config"),
    "saprot": ("evolla", "protein_encoder_config"),
    "qwen3_omni_moe_code2wav": ("qwen3_omni_moe", "code2wav_config"),
}
COMMON = {field.name for field in dataclasses.fields(PretrainedConfig)} - {"is_encoder_decoder"}


def class_defaults(model_type: str) -> dict[str, Any]:
    """Defaults and aliases of a config class, without the keys that all classes have, and what may be null instead."""
    found = _config_class(model_type)
    defaults = {field.name: _plain(_default(field)) for field in dataclasses.fields(found) if field.name not in COMMON}
    for key, part in (getattr(found, "sub_configs_defaults", None) or {}).items():
        if key.endswith("_config") and defaults[key] is None and part.init_kwargs and not part.optional:
            defaults[key] = {"model_type": part.model_type, **_plain(part.init_kwargs)}
    defaults.setdefault("tie_word_embeddings", getattr(found, "tie_word_embeddings", True))
    given = (key for key, value in defaults.items() if value is not None)
    nullable = sorted(key for key in given if _may_be_null(found, key, defaults))
    return {"defaults": defaults, "aliases": dict(getattr(found, "attribute_map", None) or {}), "nullable": nullable}


def _may_be_null(found: Any, key: str, defaults: dict[str, Any]) -> bool:
    """Whether a config class can be made without a value of a key, perhaps only if its file lists the layers' types."""
    layers = getattr(found(), "num_hidden_layers", None) if "layer_types" in defaults else None
    given = {"layer_types": ["full_attention"] * layers} if isinstance(layers, int) else {}
    return any(_accepts(found, {key: None, **more}) for more in ({}, given))


def _accepts(found: Any, changes: dict[str, Any]) -> bool:
    """Whether a config class can be made with these values."""
    try:
        found(**changes)
    except Exception:  # whatever a class objects to
        return False
    return True


def _config_class(model_type: str) -> Any:
    """The class of a config, also of one that is only part of others."""
    if model_type in CONFIG_MAPPING:
        return CONFIG_MAPPING[model_type]
    whole, key = PARTS[model_type]
    return type(getattr(CONFIG_MAPPING[whole](), key))


def as_text(data: dict[str, Any]) -> str:
    """The content of a file of defaults."""
    return json.dumps(data, indent=0, sort_keys=True) + "\n"


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, float) and value == float("inf"):
        return "Infinity"
    return value if isinstance(value, (int, float, str, bool)) else None


def main() -> None:
    """Write a file for each family named, or refresh those that are there."""
    folder = Path(sys.argv[1])
    for model_type in sys.argv[2:] or sorted(file.stem for file in folder.glob("*.json")):
        if model_type in CONFIG_MAPPING or model_type in PARTS:
            (folder / f"{model_type}.json").write_text(as_text(class_defaults(model_type)))


if __name__ == "__main__":
    main()
