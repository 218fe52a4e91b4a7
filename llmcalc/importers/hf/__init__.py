"""Importer for Hugging Face ``config.json`` files, with one short function per model family.

Each family function (in ``families/``) reads the keys that it supports. Any other key that may change a size raises
an error, and other keys that may change the computation add a warning to every result (see ``unknown_keys.py``). Two
options override this check: ``as_`` reads an unknown model type as a known family, and ``allow_unknown`` ignores keys.
Both add a warning to every result. ``strict`` makes every unknown key an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...core.architecture import PREDICTION_LAYERS, Architecture
from ...core.errors import DescriptionError, InputError, UnknownNameError, short_repr
from ...core.record import NamedTuple, changed
from ...data import table
from .block_names import with_numbered_names
from .class_defaults import class_keys
from .class_names import adapted_language_model, family_of_class, names_own_class, variant_of
from .composite_configs import (
    ENCODED,
    NESTED,
    check_has_text,
    is_adapted,
    is_foreign,
    language_model,
    other_parts,
    text_models,
    unwrapped,
)
from .config import Config, Fields
from .contradictions import valid_values
from .family_table import Family, find, names
from .mlx_quantisation import MLX, mlx_weights
from .positions import stated_length
from .rope import stated_scaling
from .task_heads import has_known_head, with_task_head

MOST_NAMED = 12  # sizes named in a note
CORE_SIZES = """
    hidden_size d_model n_embd dim emb_dim num_hidden_layers num_layers n_layer n_layers encoder_layers decoder_layers
    vocab_size num_attention_heads num_heads n_head n_heads encoder_attention_heads decoder_attention_heads
"""
MAIN_SIZES = f"{CORE_SIZES} intermediate_size d_ff ffn_dim n_inner num_experts n_routed_experts num_local_experts"
CROSS = "add_cross_attention"
DECODER_KEYS = ("is_decoder", CROSS)  # saved for every decoder of an encoder-decoder model


def load_config(
    data: Mapping[str, Any],
    where: str = "config",
    overrides: Sequence[str] = (),
    as_: str | None = None,
    allow_unknown: Sequence[str] = (),
    strict: bool = False,
) -> Architecture:
    """Build an architecture from the contents of a ``config.json`` file.

    Args:
        data: contents of ``config.json``. Missing keys take the defaults of the transformers class.
        where: name of the config in messages.
        overrides: changes to config keys, each as ``key=value``.
        as_: ``model_type`` of the family used to read the config.
        allow_unknown: unknown keys to ignore.
        strict: whether every unknown key is an error.

    Raises:
        UnknownNameError: if the ``model_type`` or a key is not supported.
        DescriptionError: if a value has the wrong type.
    """
    model_type = _stated_type(data, where, as_, strict)
    data = {"model_type": model_type, **data}
    described = variant_of(data, model_type) or model_type
    entry = find(described)
    inner = language_model(data)
    if as_ and (inner is None or is_composite(as_)):
        data, entry = {**data, "model_type": as_}, find(as_)
        inner = language_model(data)
        if entry is None:
            raise UnknownNameError("model_type", as_, names(), parameter="as_")
    options = _Options(where, overrides, as_, allow_unknown, strict)
    if is_adapted(data):
        inner = adapted_language_model(data, as_) or inner
        if inner:
            return _language_part(data, inner, options)
    if entry is not None and inner:
        known = class_keys(entry.model_type)
        data = unwrapped(data, known)
        entry = None if is_foreign(data, known) else entry
    if entry is None and inner:
        check_has_text(data, where)
        return _language_part(data, inner, options)
    entry = entry or _entry_of_class(data, model_type, where, strict)
    config = Config(_with_overrides(data, overrides, where), entry.model_type, where, frozenset(allow_unknown))
    config.has_plain_class = names_own_class(data, entry.model_type)
    architecture, unsure = _read(config, entry, data, model_type, options)
    inputs = _inputs(config, data, inner or {}, architecture, options) | {"model": _name(data) or model_type}
    layout = architecture.layout or entry.layout
    return changed(
        architecture,
        name=inputs["model"],
        family=entry.model_type,
        inputs=inputs,
        layout=f"{layout}.bare" if config.head_kind() == "none" and not config.task() else layout,
        notes=(*_defaulted(config.defaulted), *architecture.notes, *_notes(config, data, inner or {}, inputs)),
        warnings=(*_warnings(config, model_type if as_ else described, as_), *unsure),
        unmodelled=(*architecture.unmodelled, *config.unmodelled),
    )


class _Options(NamedTuple):
    """How a config is read, as described in ``load_config``."""

    where: str
    overrides: Sequence[str]
    as_: str | None
    allow_unknown: Sequence[str]
    strict: bool


def _stated_type(data: Mapping[str, Any], where: str, as_: str | None, strict: bool) -> str:
    """Return the ``model_type`` of a config. Unless the config states it, its format or its class implies it."""
    model_type = data.get("model_type", as_ or _original_type(data) or (not strict and family_of_class(data)) or None)
    if isinstance(model_type, str):
        return model_type
    if "peft_type" in data:
        raise _adapter_error(data, where)
    hint = "Add a model_type to the config, or name one with {as_=TYPE}."
    raise DescriptionError("has no model_type", where=where, hint=hint)


def _entry_of_class(data: Mapping[str, Any], model_type: str, where: str, strict: bool) -> Family:
    """Return the family of a config's class, for an unknown ``model_type``."""
    if model_type in text_models():
        hint = "Add the language model's config under text_config, or its keys at the top level."
        raise DescriptionError(f"a {model_type} config must have a text_config", where=where, hint=hint)
    entry = None if strict else find(family_of_class(data))
    if entry is not None:
        return entry
    from .unknown_types import advice, draft_model_error

    draft = draft_model_error(data, where)
    raise draft or UnknownNameError("model_type", model_type, names(), where=where, hint=advice(data))


def _read(
    config: Config, entry: Family, data: Mapping[str, Any], model_type: str, options: _Options
) -> tuple[Architecture, list[str]]:
    """Return the architecture of a config, and warnings about keys that no reader interprets."""
    unsure: list[str] = []
    with valid_values(f"the {model_type} config", options.where):
        try:
            architecture = with_task_head(config, with_numbered_names(entry.read(config)))
            config.check_all_read()
            if options.strict and config.unknown_class:
                raise config.unknown_class_error()
            if config.unknown:
                from .unknown_keys import check_unknown

                unsure = check_unknown(config.unknown.values(), config.where, options.strict)
            _check_overrides(config, options.overrides, data)
        except InputError as error:
            from .unknown_types import draft_model_error

            raise draft_model_error(data, options.where) or error.at(options.where) from None
    return architecture, unsure


def _name(data: Mapping[str, Any]) -> str:
    """Return the name of the model that a config states, or an empty string."""
    name = data.get("_name_or_path")
    return name if isinstance(name, str) else ""


def _inputs(
    config: Config, data: Mapping[str, Any], inner: Mapping[str, Any], architecture: Architecture, options: _Options
) -> Fields:
    """Return what results and engines read of a config besides the architecture."""
    inputs: Fields = {
        "model": _name(data), "file": options.where, "overrides": list(options.overrides),
        "model_type": config.model_type,
    }  # fmt: skip
    if any(isinstance(data.get(key), str) for key in ("dtype", "torch_dtype")):
        inputs["dtype"] = data.get("dtype", data.get("torch_dtype"))
    inputs |= _quantised(data, inner) | _dropout(config) | _router_noise(config) | _eager_code(data, inner)
    inputs |= _positions(data, inner, architecture, config.model_type) | _prediction(config, data, inner)
    return inputs | ({"encoder": encoder} if (encoder := _encoder(data)) else {})


def _adapter_error(data: Mapping[str, Any], where: str) -> DescriptionError:
    """Return the error for the config of an adapter, which is not one of a model."""
    base = data.get("base_model_name_or_path")
    named = f" {short_repr(base)}" if isinstance(base, str) and base else ""
    hint = f"Load its base model{named}. For adapters, llmcalc memory and train take their rank."
    return DescriptionError("is the config of an adapter and not of a model", where=where, hint=hint)


def _encoder(data: Mapping[str, Any]) -> Fields:
    """Return the keys of a multimodal config that describe its image encoder and processor, or nothing."""
    ignored = ("text_config", "quantization_config", "audio_config")
    return {key: value for key, value in data.items() if key not in ignored} if data.get("vision_config") else {}


def _check_overrides(config: Config, overrides: Sequence[str], data: Mapping[str, Any]) -> None:
    """Raise an error for a changed key that does not affect the architecture."""
    from ...schema.overrides import split_override

    for key, value in map(split_override, overrides):
        if config.aliases.get(key, key) in config.read or value == data.get(key, config.defaults.get(key)):
            continue
        hint = f"add {{as_={value}}} instead" if key == "model_type" else "omit it"
        raise InputError(f"{key} has no effect on a {config.model_type} model", parameter="overrides", hint=hint)


def _quantised(data: Mapping[str, Any], inner: Mapping[str, Any]) -> Fields:
    """Return the weight quantisation, if any, and whether it applies only to the nested language model."""
    own, within = (mlx_weights(part) or part.get("quantization_config") for part in (data, inner))
    found = own if isinstance(own, dict) else within
    if not isinstance(found, dict):
        return {}
    more = {key: data[key] for key in ("expert_dtype", "transformers_version") if key in data}
    return {"quantization": {**found, **more}, "quantization_within": found is not own}


def _positions(data: Mapping[str, Any], inner: Mapping[str, Any], model: Architecture, model_type: str) -> Fields:
    """Return the longest sequence and the scaling of positions, to which engines limit requests."""
    found = stated_length(data, inner, model_type, model.is_encoder_decoder)
    scaling = next(filter(None, map(stated_scaling, (data, inner))), None)
    return ({"max_position_embeddings": found} if found else {}) | ({"rope_scaling": scaling} if scaling else {})


def _prediction(config: Config, data: Mapping[str, Any], inner: Mapping[str, Any]) -> Fields:
    """Return the number of layers for multi-token prediction that a config or its class states, or nothing if none."""
    parts = [part for part in (data, inner, data.get("text_config")) if isinstance(part, Mapping)]
    if any(part.get("use_mtp") is False for part in parts):
        return {}
    keys = table("config_keys")["multi_token_prediction"]
    stated = [part[key] for key in keys for part in parts if key in part] or [config.defaults.get(key) for key in keys]
    most = max((number for number in stated if type(number) is int), default=0)
    return {PREDICTION_LAYERS: most} if most > 0 else {}


def _dropout(config: Config) -> Fields:
    """Return the dropout rates of the attention weights and of the residual stream, if the config has any rate.

    ``invalid`` describes a value that is not a rate. It is an error only for a result that depends on the rates.
    """
    rates: Fields = {}
    for site, keys in table("config_keys")["dropout"].items():
        given = {key: config.get(key) for key in keys if key in config.defaults or key in config.data}
        for key, value in given.items():
            if type(value) in (int, float) and 0 <= value <= 1:
                rates[site] = max(rates.get(site, 0.0), float(value))
            elif value is not None:
                rates["invalid"] = f"{key} must be a dropout rate from 0 to 1, not {short_repr(value)}"
    return {"dropout": {"attention": 0.0, "residual": 0.0} | rates} if rates else {}


def _router_noise(config: Config) -> Fields:
    """Return whether training multiplies the inputs of routers by random factors."""
    for part in (config, *config.parts):
        known = (key for key in table("config_keys")["router_noise"] if key in part.defaults or key in part.data)
        value = part.get(next(known, ""))
        if type(value) in (int, float) and value > 0:
            return {"router_noise": True}
    return {}


def _eager_code(data: Mapping[str, Any], inner: Mapping[str, Any]) -> Fields:
    """Return the type of a nested language model and the implementation of experts, if the config has them."""
    experts = {**inner, **data}.get("experts_implementation")
    values = {"text_model_type": inner.get("model_type"), "experts_implementation": experts}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def is_composite(model_type: str) -> bool:
    """Return whether configs of a model type contain nested model configs."""
    return any(key in Config({}, model_type, "").defaults for key in NESTED)


def _language_part(data: Mapping[str, Any], part: Mapping[str, Any], options: _Options) -> Architecture:
    """Return only the language model of a partially supported multimodal model, with a note."""
    model_type, inner = data.get("model_type"), {**part, "architectures": None}
    if model_type in ENCODED:
        inner = _decoder(part)
    for key in ("quantization_config",) if model_type in ENCODED else ("tie_word_embeddings", "quantization_config"):
        if key in data:
            inner[key] = data[key]
    language = load_config(inner, *options)
    left = other_parts(data)
    rest = f"; not counted: {', '.join(left)}" if left else ""
    language_type = inner["model_type"]
    counted = f"only its language model ({language_type}) is counted{rest}"
    notes = (*language.notes, f"{short_repr(model_type)} is not fully supported; {counted}")
    inputs = {**language.inputs, "file": options.where}
    if model_type in ENCODED and not options.as_:
        from .composite_models import with_image_encoder

        with valid_values("the encoder's config", options.where):
            whole = with_image_encoder(data, language, options.where)
        language, notes = (whole, whole.notes) if whole else (language, notes)
    missing = part.get(CROSS) and CROSS not in inner and model_type in ENCODED
    more = [f"the config sets {CROSS}, but the class of {language_type} has no cross-attention"] * bool(missing)
    return changed(language, notes=notes, warnings=(*language.warnings, *more), inputs=inputs)


def _decoder(part: Mapping[str, Any]) -> Fields:
    """Return the decoder config of an encoder-decoder model without the keys of a decoder that its class lacks."""
    known = class_keys(str(part["model_type"]))
    kept = {key: value for key, value in part.items() if key not in DECODER_KEYS or key in known}
    return {**kept, "architectures": ["ForCausalLM"]}


def _original_type(data: Mapping[str, Any]) -> str | None:
    """Return the ``model_type`` for a config in the original format of the model's authors, or None for other formats.

    The format is identified by the keys of the config.
    """
    formats: dict[str, list[str]] = table("config_keys")["original_formats"]
    return next((name for name, keys in formats.items() if data.keys() >= set(keys)), None)


def _warnings(config: Config, model_type: str, as_: str | None) -> Iterator[str]:
    """Yield warnings about a substituted model type, contradictory values and ignored keys."""
    if model_type != config.model_type:
        reason = "as requested" if as_ else "as its other keys imply"
        yield f"the config has model_type {short_repr(model_type)} but is read as {config.model_type}, {reason}"
    if config.unknown_class:
        yield f"the class {short_repr(config.unknown_class)} is unknown; it is read as a {config.model_type} model"
    yield from config.warnings
    for key, value in config.ignored_unknown.items():
        yield f"ignored the unknown key {short_repr(key)} (its value is {short_repr(value)}), as requested"
    core = [f"{key} = {size}" for key, size in sorted(config.defaulted.items()) if key in CORE_SIZES.split()]
    if core:
        yield f"the config lacks sizes, for which the class has a default: {', '.join(core)}"


def _notes(
    config: Config, data: Mapping[str, Any], inner: Mapping[str, Any], inputs: Mapping[str, Any]
) -> Iterator[str]:
    if "invalid" in inputs.get("dropout", {}):
        yield f"{inputs['dropout']['invalid']}; training memory with dropout cannot be computed"
    if config.outer_class:
        yield f"only the language model is counted; {short_repr(config.outer_class)} is the class of a multimodal model"
    if config.task() and not has_known_head(config):
        yield f"not counted: the head that {short_repr(config.class_name())} adds to the base model for its task"
    found = inputs.get("quantization")
    if found is not None:
        method = found.get("quant_method", "an unnamed method")
        yield f"quantised checkpoint ({short_repr(method)}): parameters count logical elements, not packed ones"
        if method == MLX:
            yield "only MLX reads these weights: for other engines, give the format of the weights that they read"
    for key in table("config_keys")["multi_token_prediction"]:
        count = data.get(key, inner.get(key))
        if type(count) is int and count > 0:
            yield f"not counted: modules for multi-token prediction ({key} is {count}), which checkpoints may have"


def _defaulted(sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield a note about other sizes from class defaults if the config lacks a main size."""
    if sizes.keys() & set(MAIN_SIZES.split()):
        named = sorted((key, size) for key, size in sizes.items() if key not in CORE_SIZES.split())
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        listed = ", ".join(f"{key} = {size}" for key, size in named[:MOST_NAMED])
        yield from [f"sizes from class defaults, because the config lacks them: {listed}{more}"] * bool(named)


def _with_overrides(data: Mapping[str, Any], overrides: Sequence[str], where: str) -> Fields:
    from ...schema.overrides import check_type, split_override

    found = dict(data)
    for text in overrides:
        key, value = split_override(text)
        if key not in found:
            known = Config(data, str(data["model_type"]), where).known_keys()
            if key not in known:
                raise UnknownNameError("config key", key, known, parameter="overrides")
        elif not isinstance(found[key], (dict, list)):
            check_type(key, found[key], value)
        else:
            text = f"{key} cannot be overridden because it is a nested value ({short_repr(found[key])})"
            raise DescriptionError(text, parameter="overrides")
        found[key] = value
    return found
