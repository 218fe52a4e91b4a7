"""Model families named by the class in ``architectures``, for configs whose ``model_type`` is not that of a family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...data import table
from .class_defaults import is_transformers_class
from .composite_configs import added_encoders, top_level_text_config
from .family_table import names


def family_of_class(data: Mapping[str, Any]) -> str:
    """Return the ``model_type`` of a config's class, such as ``phi`` for ``PhiForCausalLM``, or an empty string."""
    stem, listed = _stem(data), table("config_keys")["class_families"]
    return listed.get(stem) or next((name for name in names() if stem and _plain(name) == stem.lower()), "")


def names_own_class(data: Mapping[str, Any], model_type: str) -> bool:
    """Return whether a config names the transformers class of its type, and no code of its own."""
    if data.get("auto_map") or not is_transformers_class(model_type):
        return False
    return _stem(data).lower() in (_plain(model_type), _plain(model_type.removesuffix("_text")))


def variant_of(data: Mapping[str, Any], model_type: str) -> str | None:
    """Return the ``model_type`` that describes a config whose own type does not, such as DeepSeek-V2 without MLA."""
    variant = table("config_keys")["variants"].get(model_type)
    if variant is None or data.get(variant["key"]) != variant["value"]:
        return None
    return str(variant["like"])


def adapted_language_model(data: Mapping[str, Any], as_: str | None = None) -> dict[str, Any] | None:
    """Return the config of a language model to which LLaVA's or Qwen-VL's code has added an encoder, or None.

    The name of LLaVA's class ends in that of the language model, as in ``LlavaLlamaForCausalLM``. The classes of
    Qwen-VL and Qwen-Audio have the ``model_type`` of the language model. ``as_`` is the ``model_type`` to use instead.
    """
    found, usual = top_level_text_config(data), table("config_keys")["adapted_classes"]
    if found and not as_ and added_encoders(data):
        return {**found, "model_type": str(data.get("model_type"))}
    stem = _stem(data).lower()
    family = as_ or max([name for name in names() if stem.endswith(_plain(name))], key=len, default="")
    return {**found, "model_type": usual.get(family, family)} if found and family else None


def _stem(data: Mapping[str, Any]) -> str:
    """Return the class name without its head, such as ``Phi`` for ``PhiForCausalLM``."""
    named = data.get("architectures")
    if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
        return ""
    heads = (head for head in table("config_keys")["heads"] if named[0].endswith(head) and head != named[0])
    return named[0].removesuffix(next(heads, ""))


def _plain(model_type: str) -> str:
    return model_type.lower().replace("_", "").replace("-", "").replace(".", "")
