"""Lookup of the language model's config in the config of a composite model.

Most composite configs name the language model's type in ``text_config``. ``data/text_models.yaml`` provides the
type for all other configs, including early Qwen2-VL configs with language model keys at the top level.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ...core.errors import DescriptionError, short_repr
from ...data import table

NESTED = (
    "text_config", "llm_config", "language_config", "thinker_config", "vlm_config", "lm_config", "llm_cfg", "language",
)  # fmt: skip
DECODER = "decoder_config"  # names a language model only in composite configs whose type is in data/text_models.yaml
ADAPTED = ("mm_vision_tower", "mm_projector_type")  # keys that LLaVA's code adds to a language model's config
# sizes of encoders that the code of Qwen-VL and Qwen-Audio adds to a language model's config
ADDED_ENCODERS = {"visual": {"layers", "width", "heads"}, "audio": {"n_layer", "n_state", "n_head"}}
# types whose language model is the decoder
ENCODED = ("vision-encoder-decoder", "speech-encoder-decoder", "musicgen_melody")
# ends of the names of classes that build only the image encoder of a composite model
IMAGE_CLASSES = ("ForImageClassification", "VisionModel", "VisionModelWithProjection")

_MODALITIES = frozenset(
    ["mm", "image", "images", "img", "video", "vision", "visual", "frame", "frames", "audio", "speech"]
)  # words in keys of adapted configs
_SIZE_KEYS = "model_type hidden_size d_model embed_dim width depth num_layers num_hidden_layers"
_COMPOSITE_KEYS = """
    vision_start_token_id vision_end_token_id vision_token_id image_token_id image_token_index video_token_id
    video_token_index audio_token_id audio_token_index projector_hidden_act vision_feature_layer
    vision_feature_select_strategy multimodal_projector_bias spatial_merge_size ignore_index image_seq_length embd_layer
"""


def text_models() -> dict[str, str]:
    """Return a mapping from composite model types to language model types."""
    return table("text_models")


def language_model(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the language model's config from any nesting level of a composite config, or None."""
    if data.get("model_type") in ENCODED:
        inner = data.get("decoder")
        return inner if isinstance(inner, Mapping) and isinstance(inner.get("model_type"), str) else None
    usual = text_models().get(str(data.get("model_type")))
    for key in (*NESTED, DECODER) if usual else NESTED:
        inner = data.get(key)
        if not isinstance(inner, Mapping):
            continue
        deeper = language_model(inner)
        if deeper:
            return deeper
        if isinstance(inner.get("model_type"), str):
            return inner
        if usual:
            return {"model_type": usual, **inner}
    found = top_level_text_config(data) if usual else None
    return {**found, "model_type": usual} if found else None


def top_level_text_config(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the language model's keys from the top level of a composite config, or None."""
    if any(key in data for key in NESTED) or not {"hidden_size", "num_hidden_layers"} <= data.keys():
        return None
    return {key: value for key, value in data.items() if not _is_composite_key(key) and key != "model_type"}


def _is_composite_key(key: str) -> bool:
    """Return whether a key of a composite config has no meaning for its language model."""
    return key.endswith("_config") or key in _COMPOSITE_KEYS.split() or not _MODALITIES.isdisjoint(key.split("_"))


def check_has_text(data: Mapping[str, Any], where: str) -> None:
    """Raise an error for a class that has only the image encoder of a composite model, not its language model."""
    named = data.get("architectures")
    for name in named if isinstance(named, list) else ():
        if isinstance(name, str) and name.endswith(IMAGE_CLASSES):
            hint = "To count the tensors of its checkpoint, use llmcalc params FILE.safetensors."
            raise DescriptionError(f"{short_repr(name)} is a model of images, without text", where=where, hint=hint)


def is_adapted(data: Mapping[str, Any]) -> bool:
    """Return whether a config is that of a language model to which LLaVA's or Qwen-VL's code has added an encoder."""
    has_encoder = any(isinstance(data.get(key), str) for key in ADAPTED) or bool(added_encoders(data))
    return has_encoder and not any(key in data for key in NESTED)


def added_encoders(data: Mapping[str, Any]) -> list[str]:
    """Return the keys of encoders that Qwen-VL's or Qwen-Audio's code adds to a language model's config."""
    found = {key: data.get(key) for key in ADDED_ENCODERS}
    return [key for key, part in found.items() if isinstance(part, Mapping) and part.keys() >= ADDED_ENCODERS[key]]


def is_foreign(data: Mapping[str, Any], known: Collection[str]) -> bool:
    """Return whether a composite config has its language model under a key that the transformers class does not have.

    ``known`` contains the keys of the class.
    """
    if "text_config" not in known or "text_config" in data:
        return False
    return any(key not in known and isinstance(data.get(key), Mapping) for key in NESTED)


def unwrapped(data: Mapping[str, Any], known: Collection[str]) -> Mapping[str, Any]:
    """Return a composite config with its parts at the top level, where the transformers class has them.

    Original releases may wrap all parts in one object, such as ``thinker_config``, which the class does not have.
    ``known`` contains the keys of the class.
    """
    for key in NESTED:
        inner = data.get(key)
        if key not in known and "text_config" in known and isinstance(inner, Mapping) and "text_config" in inner:
            return {**inner, **{name: value for name, value in data.items() if name != key}}
    return data


def other_parts(data: Mapping[str, Any]) -> list[str]:
    """Return the names of all components of a composite config, at any depth, except the language model."""
    if data.get("model_type") in ENCODED:
        parts = [key for key, value in data.items() if isinstance(value, Mapping) and "model_type" in value]
        return [key for key in parts if key != "decoder"]
    found = [key.removesuffix("_config").removesuffix("_cfg") for key, value in data.items() if _is_part(key, value)]
    if DECODER in data and data.get("model_type") in text_models():
        found.remove("decoder")
    found += [str(data["mm_vision_tower"])] if is_adapted(data) and isinstance(data.get("mm_vision_tower"), str) else []
    found += added_encoders(data) if is_adapted(data) else []
    deeper = [name for key in NESTED if isinstance(data.get(key), Mapping) for name in other_parts(data[key])]
    return list(dict.fromkeys([*found, *deeper]))


def _is_part(key: str, value: object) -> bool:
    """Return whether a key holds the config of a component other than a language model."""
    if not key.endswith(("_config", "_cfg")) or key in NESTED or not isinstance(value, Mapping):
        return False
    return any(size in value for size in _SIZE_KEYS.split())
