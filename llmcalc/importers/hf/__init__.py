"""Hugging Face ``config.json``: a shared bed of rules, a small entry per family, and no key ignored in silence.

A family (``families/``) reads the keys that it understands. Afterwards every key of the config has been read, is known
to be irrelevant to size and computation, or holds the class's own default; anything else is an error. Two ways
lead past it, each with a warning in every result: a known family's rules for an unknown type, and a key passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...core.architecture import Architecture
from ...core.errors import DescriptionError, InputError, UnknownNameError, shown
from .block_names import with_numbered_names
from .composite_configs import ENCODED, NESTED, USUAL, language_model, towers
from .config import Config
from .in_text import marked
from .original import original_type

_MISFITS = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, ZeroDivisionError)


def load_config(
    data: Mapping[str, Any],
    where: str = "config",
    overrides: Sequence[str] = (),
    as_: str | None = None,
    allow_unknown: Sequence[str] = (),
) -> Architecture:
    """The architecture of a config, given as plain data.

    Args:
        data: the content of ``config.json``, complete or sparse (left-out keys take the class's defaults).
        where: what messages call it.
        overrides: ``key=value`` texts; keys of the config.
        as_: the ``model_type`` by whose rules it is read.
        allow_unknown: keys that are passed over where nothing is known of them.

    Raises:
        UnknownNameError: a ``model_type`` or key that no rule understands.
        DescriptionError: a value of the wrong type.
    """
    from . import families

    model_type = data.get("model_type", as_ or original_type(data))
    if not isinstance(model_type, str):
        hint = "a config.json names its family in model_type; --as TYPE names it instead"
        raise DescriptionError("has no model_type", where=where, hint=hint)
    entry = families.find(model_type)
    inner = language_model(data)
    if as_ and (inner is None or is_whole(as_)):
        data, entry = {**data, "model_type": as_}, families.find(as_)
        if entry is None:
            raise UnknownNameError("model_type", as_, families.names(), where="--as")
    if entry is None and inner:
        return _language_part(data, inner, where, overrides, as_, allow_unknown)
    if entry is None and model_type in USUAL:
        hint = "its language model's config stands there, or its keys beside the model_type"
        raise DescriptionError(f"a {model_type} model without a text_config", where=where, hint=hint)
    if entry is None:
        raise UnknownNameError("model_type", model_type, families.names(), where=where, hint=_way_out(data))
    config = Config(_with_overrides(data, overrides, where), entry.model_type, where, frozenset(allow_unknown))
    try:
        architecture = marked(with_numbered_names(entry.read(config)), entry.model_type)
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
        "model_type": entry.model_type,
    }
    inputs |= {"dtype": data["dtype"] if "dtype" in data else data.get("torch_dtype")} if _has_dtype(data) else {}
    quantised = _quantised(data)
    inputs |= quantised
    return replace(
        architecture,
        name=inputs["model"],
        family=entry.model_type,
        inputs=inputs,
        layout=f"{layout}.bare" if config.head_kind() == "none" else layout,
        notes=(*architecture.notes, *_notes(data, quantised)),
        warnings=tuple(_warnings(config, model_type)),
        unmodelled=(*architecture.unmodelled, *config.unmodelled),
    )


def _quantised(data: Mapping[str, Any]) -> dict[str, Any]:
    """How the weights were quantised, if they were, and whether that concerns the language model within alone."""
    inner = language_model(data) or {}
    own, within = data.get("quantization_config"), inner.get("quantization_config")
    found = own if isinstance(own, dict) else within
    if not isinstance(found, dict):
        return {}
    more = {key: data[key] for key in ("expert_dtype", "transformers_version") if key in data}
    return {"quantization": {**found, **more}, "quantization_within": found is not own}


def _has_dtype(data: Mapping[str, Any]) -> bool:
    return any(isinstance(data.get(key), str) for key in ("dtype", "torch_dtype"))


def is_whole(model_type: str) -> bool:
    """Whether a family is read with the configs that stand within its own."""
    return any(key in Config({}, model_type, "").defaults for key in NESTED)


def _language_part(
    data: Mapping[str, Any],
    part: Mapping[str, Any],
    where: str,
    overrides: Sequence[str],
    as_: str | None,
    allow_unknown: Sequence[str],
) -> Architecture:
    """The language model alone of a larger model that is not understood as a whole; a note says so."""
    model_type, inner = data.get("model_type"), {**part, "architectures": None}
    if model_type in ENCODED:
        inner = _decoder(part)
    for key in ("quantization_config",) if model_type in ENCODED else ("tie_word_embeddings", "quantization_config"):
        if key in data:
            inner[key] = data[key]
    language = load_config(inner, where, overrides, as_, allow_unknown)
    left = towers(data)
    beside = f"; not counted: {', '.join(left)}" if left else ""
    note = f"{shown(model_type)} is not understood as a whole: its language model ({inner['model_type']}) alone{beside}"
    return replace(language, notes=(*language.notes, note), inputs={**language.inputs, "file": where})


def _decoder(part: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the decoder behind an encoder, without saying that it is one where all of its family are."""
    known = Config({}, str(part["model_type"]), "").defaults
    kept = {key: value for key, value in part.items() if key != "is_decoder" or key in known}
    return {**kept, "architectures": ["ForCausalLM"]}


def _way_out(data: Mapping[str, Any]) -> str:
    """What can be done about a type that is not known."""
    from .likeness import most_similar
    from .others import ENCODED_MODALITIES, modality

    if data.get("model_type") in ENCODED:
        return "Its language model is the decoder, whose config and model_type stand in the key decoder."
    other = modality(str(data.get("model_type")))
    if other:
        before = "; in front of a language model it is counted with it" if other in ENCODED_MODALITIES else ""
        return (
            f"It is a model of {other}, not of language{before}. "
            "The tensors of its checkpoint are counted as they are: llmcalc params FILE.safetensors."
        )
    like = most_similar(data)
    return f"Its keys are most like those of {like}: --as {like} reads it by the same rules, with a warning."


def _warnings(config: Config, model_type: str) -> Iterator[str]:
    """What is not known to be right: rules of another family, values that contradict each other, keys passed over."""
    if model_type != config.model_type:
        yield f"the config's own model_type is {shown(model_type)}; read as {config.model_type}, as was asked for"
    yield from config.warnings
    for key, value in config.ignored_unknown.items():
        yield f"the key {shown(key)} (its value is {shown(value)}) is not understood; passed over, as was asked for"


def _notes(data: Mapping[str, Any], quantised: Mapping[str, Any]) -> Iterator[str]:
    found = quantised.get("quantization")
    if found is not None:
        method = found.get("quant_method", "an unnamed method")
        yield f"published quantised ({shown(method)}): parameters are counted as logical elements, not as packed ones"
    inner = language_model(data) or {}
    for key in _PREDICTING:
        count = data.get(key, inner.get(key))
        if type(count) is int and count > 0:
            yield f"not counted: modules for multi-token prediction ({key} is {count}), which a checkpoint may have too"


# how configs say how many modules for multi-token prediction there are, which no class of the library builds
_PREDICTING = (
    "num_nextn_predict_layers",
    "num_mtp_layers",
    "mtp_num_hidden_layers",
    "num_mtp_modules",
    "mtp_num_layers",
)


def _with_overrides(data: Mapping[str, Any], overrides: Sequence[str], where: str) -> dict[str, Any]:
    from ...schema.overrides import check_type, split_override

    changed = dict(data)
    for text in overrides:
        key, value = split_override(text)
        if key not in changed:
            known = Config(data, str(data["model_type"]), where).known_keys()
            if key not in known:
                raise UnknownNameError("config key", key, known, where="--set")
        elif not isinstance(changed[key], (dict, list)):
            check_type(key, changed[key], value)
        else:
            raise DescriptionError(f"{key} is {shown(changed[key])} and cannot be set here", where="--set")
        changed[key] = value
    return changed
