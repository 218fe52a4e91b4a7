"""Hugging Face ``config.json``: a shared bed of rules, a small entry per family, and no key ignored in silence.

A family (``families/``) reads the keys that it understands. Afterwards every key of the config has been read, is known
to be irrelevant to size and computation, or holds the class's own default; anything else is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.architecture import Architecture
from ...core.errors import DescriptionError, InputError, UnknownNameError, shown
from .config import Config

_MISFITS = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError)


def load_config(data: Mapping[str, Any], where: str = "config", overrides: Sequence[str] = ()) -> Architecture:
    """The architecture of a config, given as plain data.

    Args:
        data: the content of ``config.json``, complete or sparse (left-out keys take the class's defaults).
        where: what messages call it.
        overrides: ``key=value`` texts; keys of the config.

    Raises:
        UnknownNameError: a ``model_type`` or key that no rule understands.
        DescriptionError: a value of the wrong type.
    """
    from . import families

    model_type = data.get("model_type")
    if not isinstance(model_type, str):
        raise DescriptionError("has no model_type", where=where, hint="a config.json names its family in model_type")
    entry = families.find(model_type)
    if entry is None and nested(data):
        return _language_part(data, model_type, where, overrides)
    if entry is None:
        hint = f"{len(families.names())} families are understood"
        raise UnknownNameError("model_type", model_type, families.names(), where=where, hint=hint)
    config = Config(_with_overrides(data, overrides, where), entry.model_type, where)
    try:
        architecture = entry.read(config)
        config.check_all_read()
    except InputError as error:
        raise error.at(where) from None
    except _MISFITS as error:  # a list where a number belongs, a text among numbers, a size beyond all bounds
        hint = f"{type(error).__name__}: {shown(str(error), 120)}"
        raise DescriptionError(
            f"a value of the config is none that {model_type} can have", where=where, hint=hint
        ) from error
    name = data.get("_name_or_path")
    layout = architecture.layout or entry.layout
    inputs: dict[str, Any] = {
        "model": name if isinstance(name, str) and name else model_type,
        "file": where,
        "overrides": list(overrides),
    }
    return replace(
        architecture,
        name=inputs["model"],
        family=model_type,
        inputs=inputs,
        layout=f"{layout}.bare" if config.head() == "none" else layout,
        notes=(*architecture.notes, *_notes(data)),
        unmodelled=(*architecture.unmodelled, *config.unmodelled),
    )


NESTED = ("text_config", "llm_config", "language_config", "thinker_config")
_TOWERS = ("vision_config", "audio_config", "talker_config", "code2wav_config", "vision_tower_config")


def nested(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The config of the language model within that of a larger one, however deep; None: there is none."""
    for key in NESTED:
        inner = data.get(key)
        if isinstance(inner, Mapping):
            return nested(inner) or (inner if isinstance(inner.get("model_type"), str) else None)
    return None


def _language_part(data: Mapping[str, Any], model_type: str, where: str, overrides: Sequence[str]) -> Architecture:
    """The language model alone of a larger model that is not understood as a whole; a note says so."""
    inner = dict(nested(data) or {})
    inner["architectures"] = None
    for key in ("tie_word_embeddings", "quantization_config"):
        if key in data:
            inner[key] = data[key]
    language = load_config(inner, where, overrides)
    towers = [key.removesuffix("_config") for key in _TOWERS if data.get(key)]
    beside = f"; not counted: {', '.join(towers)}" if towers else ""
    note = f"{shown(model_type)} is not understood as a whole: its language model ({inner['model_type']}) alone{beside}"
    return replace(language, notes=(*language.notes, note), inputs={**language.inputs, "file": where})


def _notes(data: Mapping[str, Any]) -> list[str]:
    quantised = data.get("quantization_config")
    if not isinstance(quantised, dict):
        return []
    method = quantised.get("quant_method", "an unnamed method")
    return [f"published quantised ({shown(method)}): parameters are counted as logical elements, not as packed ones"]


def _with_overrides(data: Mapping[str, Any], overrides: Sequence[str], where: str) -> dict[str, Any]:
    from ...schema.overrides import check_type, split_override

    changed = dict(data)
    for text in overrides:
        key, value = split_override(text)
        if key not in changed:
            known = Config(data, str(data["model_type"]), where).known()
            if key not in known:
                raise UnknownNameError("config key", key, known, where="--set")
        elif not isinstance(changed[key], (dict, list)):
            check_type(key, changed[key], value)
        else:
            raise DescriptionError(f"{key} is {shown(changed[key])} and cannot be set here", where="--set")
        changed[key] = value
    return changed
