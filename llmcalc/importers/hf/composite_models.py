"""Composite models, built from a language model, vision or audio encoders, and projectors.

Each ``CompositeModel`` is a row of a ``composite_models.yaml`` table. It specifies the language model, the
encoders (``encoders.py``) with their projectors (``projectors.py``), and type-specific properties.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ...core.architecture import Architecture, Named, Stack
from ...core.errors import UnknownNameError, short_repr
from ...core.layer import MOST_LAYERS
from ...core.record import NamedTuple
from ...layers import Embedding, Features, Head, Linear
from .class_defaults import class_keys
from .composite_configs import top_level_text_config
from .config import Config, Fields
from .encoders import check_encoder, find_encoder
from .family_table import find, find_function, find_row, names
from .projectors import Link, Projector

TIE = "tie_word_embeddings"
UNTIED = f"{TIE} is missing; the head is counted as stored, as in published checkpoints, although the class ties it"
IMAGE_AND_TEXT = "vision-encoder-decoder"
CROSS_NOTE = "stored but not counted in FLOPs: the cross-attention of the text to the image"
PADDING = 0.05  # largest difference between two sizes of one vocabulary, relative to its size
PARTS = {"vision": "vision_config", "audio": "audio_config"}
# keys of composite configs that change neither sizes nor computation
IGNORED = f"""
    {TIE} text_config spatial_pool_mode spatial_pool_stride vision_config audio_config ignore_index
    initializer_range pad_token_id use_cache image_token_id image_token_index image_start_token_id
    image_end_token_id image_seq_length image_seq_len image_grid_pinpoints video_token_id video_token_index
    video_start_token_id video_end_token_id video_seq_length video_placeholder vision_token_id vision_start_token_id
    vision_end_token_id vision_soft_tokens_per_image vision_feature_select_strategy vision_aspect_ratio
    use_image_newline_parameter use_unified_vision_chunk media_placeholder_token_id visual_indicator_token_ids
    merged_hidden_size mm_tokens_per_image boi_token_id boi_token_index eoi_token_id eoi_token_index audio_token_id
    audio_token_index audio_bos_token_id audio_eos_token_id boa_token_id eoa_token_id eoa_token_index
    timestamp_token_id audio_frame_step audio_length_per_tok audio_chunk_size default_num_delay_tokens
    token_classification_bias scale_embedding _pad_token_id hidden_size vocab_size projection_dim
"""


class Part(NamedTuple):
    """An encoder of a composite model.

    Attributes:
        key: config key of the encoder.
        encoder: ``model_type`` of the encoder if the config does not name a known type.
        projector: layers between encoder and language model (None if the encoder includes the projection).
        optional: whether the encoder is omitted if the config lacks the key.
    """

    key: str
    encoder: str
    projector: Projector | None = None
    optional: bool = False


class CompositeModel(NamedTuple):
    """A row in a table of composite models.

    Attributes:
        text: ``model_type`` of the language model if the config does not name one.
        parts: encoders in stack order.
        layout: tensor layout of the encoders (empty: named after the model, None: included in the family's layout).
        tie: option for tied embeddings (see ``text_model``).
        any_encoder: whether the transformers class accepts any encoder. If so, the encoder's layout applies, the
            config may select the blocks whose outputs are used, and unknown encoders are noted but not counted.
        in_place: whether each output vector replaces a placeholder token of the text.
        note: note about components that are not counted.
        ignored: config keys that have no effect.
        dropped: keys in the language model's config that have no effect.
        text_defaults: whether missing keys of the language model's config take the defaults of the outer class.
        adjust: function that modifies the language model.
    """

    text: str
    parts: tuple[Part, ...]
    layout: str | None = ""
    tie: str = ""
    any_encoder: bool = False
    in_place: bool = False
    note: str = ""
    ignored: str = ""
    dropped: str = ""
    text_defaults: bool = False
    adjust: Callable[[Config, Architecture], Architecture] | None = None


def composite_model(model_type: str) -> CompositeModel:
    """Return the table row for a model type."""
    fields = dict(find_row("composite_models", model_type))
    parts = []
    for name in [name for name in fields if name in PARTS or name.endswith("_config")]:
        encoder, *more = fields.pop(name).split()
        places = [word for word in more if word != "optional"]
        projector = find_function(places[0]) if places else None
        parts.append(Part(PARTS.get(name, name), encoder, projector, "optional" in more))
    if "adjust" in fields:
        fields["adjust"] = find_function(fields["adjust"])
    return CompositeModel(parts=tuple(parts), **fields)


def read_composite(config: Config) -> Architecture:
    """Build the language model, encoders and projectors. Unknown keys in any nested config raise an error."""
    row = composite_model(config.model_type)
    text = text_model(config, row.text, row.tie, _text_data(config, row))
    text = row.adjust(config, text) if row.adjust else text
    config.ignore(f"{IGNORED} {row.ignored}")
    if config.data.get("audio_config") and all(part.key == "vision_config" for part in row.parts):
        raise config.error(f"audio_config is not supported because {config.model_type} has no known audio encoder")
    notes = [*text.notes, *([row.note] if row.note else [])]
    stacks, layout = list(text.stacks), row.layout
    for part in row.parts:
        if part.optional and config.get(part.key) is None:
            continue
        if row.any_encoder:
            kind = str(config_at(config, part.key).get("model_type", part.encoder))
            kind = _known_type(config, kind, part.encoder, find_encoder)
            encoder = find_encoder(kind)
            if encoder is None:
                config.ignore(" ".join(config.defaults))
                domain = part.key.removesuffix("_config")
                notes.append(f"the unknown {domain} encoder {short_repr(kind)} is not counted")
                return replace(text, notes=tuple(notes))
            layout = encoder.layout
        stacks += encoder_stacks(config, part, text.main.d_model, notes, row.any_encoder)
    if row.in_place and stacks[-1].role == "tower":
        stacks[-1] = replace(stacks[-1], replaces_placeholder_tokens=True)
    joined = "" if layout is None else f"{layout or config.model_type}>{text.layout}"
    return replace(text, stacks=tuple(stacks), layout=joined, notes=tuple(notes))


def read_encoders(data: Mapping[str, Any], d_model: int) -> tuple[Stack, ...]:
    """Return the encoders and projectors of a composite config, for a language model of width ``d_model``."""
    vision = {"out_hidden_size": d_model, **data["vision_config"]}
    known = class_keys(str(vision.get("model_type") or f"{data['model_type']}_vision"))
    own = {key: value for key, value in vision.items() if key in known or key in data["vision_config"]}
    config = Config({**data, "vision_config": own}, str(data["model_type"]), "config")
    row = composite_model(config.model_type)
    parts = [part for part in row.parts if config.data.get(part.key) is not None]
    return tuple(
        stack for part in parts for stack in encoder_stacks(config, part, d_model, any_encoder=row.any_encoder)
    )


def _known_type(config: Config, kind: str, usual: str, search: Callable[[str], object]) -> str:
    """Return the type of a part, or the usual type if the original release has a type of its own for it.

    >>> _known_type(Config({}, "qwen3_asr", ""), "qwen3_asr_text", "qwen3", find)
    'qwen3'
    """
    return usual if kind.startswith(f"{config.model_type}_") and search(kind) is None else kind


def _check_copies(config: Config, text: Architecture) -> None:
    """Check top-level copies of the language model's sizes. A vocabulary may include padding or added tokens."""
    if "hidden_size" not in config.defaults:
        config.check_equal("hidden_size", text.main.d_model)
    given, tables = config.data.get("vocab_size"), (named.layer for named in text.main.inputs)
    rows = next((layer.rows for layer in tables if isinstance(layer, Embedding) and layer.table == "token"), None)
    if "vocab_size" not in config.defaults and rows and type(given) is int and abs(given - rows) > PADDING * rows:
        raise config.size_error(f"vocab_size is {given}, but the language model's vocabulary has {rows} tokens")


def encoder_stacks(
    config: Config, part: Part, d_model: int, notes: list[str] | None = None, any_encoder: bool = False
) -> list[Stack]:
    """Return the stacks of an encoder and its projector. ``d_model`` is the width of the language model.

    The config may name another encoder than the usual one, unless the class has an encoder of its own.
    """
    data = config_at(config, part.key)
    kind = str(data.get("model_type"))
    has_own = not any_encoder and part.encoder.startswith(re.split("[-_]", config.model_type)[0])
    kind = kind if not has_own and find_encoder(kind) else part.encoder
    encoder = find_encoder(kind)
    assert encoder is not None, f"no encoder {kind}"
    inner = config.nested(part.key, data, encoder.model_type)
    *stacks, last = encoder.read(inner)
    link = Link(config, inner, last.d_model, d_model, encoder.prefix, [] if notes is None else notes)
    behind = part.projector(link) if part.projector else ()
    last = _select_features(config, last, encoder.prefix) if any_encoder else last
    stacks.append(replace(last, outputs=(*last.outputs, *(entry for entry in behind if isinstance(entry, Named)))))
    check_encoder(inner)
    config.unmodelled += inner.unmodelled
    return [*stacks, *(entry for entry in behind if isinstance(entry, Stack))]


def _select_features(config: Config, stack: Stack, prefix: int | None) -> Stack:
    """Return the encoder with the block outputs selected by ``vision_feature_layer``. The final norm is marked
    unused.
    """
    if prefix is None and config.get("vision_feature_select_strategy") == "default":
        config.add_unmodelled("vision_feature_select_strategy drops the first patch as if it were a class token")
    given = config.get("vision_feature_layer")
    if given is None or (given == -1 and config.model_type == "internvl"):
        return stack
    blocks = [
        config.integer(one, "vision_feature_layer", -MOST_LAYERS) for one in (given if type(given) is list else [given])
    ]
    if any(not -stack.n_layers - 1 <= number <= stack.n_layers for number in blocks):
        said = f"vision_feature_layer is {short_repr(given)}, but the encoder has {stack.n_layers} layers"
        config.add_unmodelled(said)
    unused = tuple(Named(name, replace(layer, unused=True)) for name, layer in stack.outputs)  # type: ignore[type-var]
    return replace(stack, outputs=(*unused, Named("features", Features(stack.d_model, " ".join(map(str, blocks))))))


def text_model(config: Config, usual: str, tie: str = "", data: Mapping[str, Any] | None = None) -> Architecture:
    """Return the language model of a composite model.

    Args:
        config: config of the composite model.
        usual: ``model_type`` of the language model if its config does not name one.
        tie: option that decides whether embeddings are tied. ``""`` uses the outer config, or the inner config if
            the class ties by default and the key is missing. ``outer`` and ``inner`` use the named config.
            ``either`` ties if at least one config requests it, and ``unless_denied`` unless both configs deny it.
            ``if_stated`` ties only if the outer config requests it, and ``by_default`` unless the outer config
            denies it. ``never`` never ties.
        data: inner config if different from ``text_config``.
    """
    part = dict(text_config(config) if data is None else data)
    model_type = part.get("model_type", usual)
    entry = find(_known_type(config, model_type, usual, find)) if isinstance(model_type, str) else None
    if entry is None:
        raise UnknownNameError("text_config model_type", str(model_type), names(), where=config.where)
    is_assumed = _set_tie(config, part, tie, entry.model_type)
    part["architectures"] = ["Model"] if config.head_kind() == "none" else None
    inner = config.nested("text_config", part, entry.model_type)
    found = entry.read(inner)
    inner.check_all_read()
    _check_copies(config, found)
    config.unmodelled += inner.unmodelled
    notes = found.notes
    if is_assumed and any(isinstance(end.layer, Head) and end.layer.share is None for end in found.main.outputs):
        notes = (*notes, UNTIED)
    return replace(found, layout=found.layout or entry.layout, notes=notes)


# text models whose class ties by default although their composite checkpoints store a head
_UNTIED_UNLESS_STATED = ("qwen2_vl_text", "qwen2_5_vl_text", "glm4v_text", "glm4v_moe_text", "glm_ocr_text")


def _set_tie(config: Config, part: Fields, tie: str, model_type: str) -> bool:
    """Set ``tie_word_embeddings`` in the language model's config. Return whether the nested config decides although the
    class ties the embeddings.
    """
    if tie == "unless_denied" and part.get(TIE, True) is True:
        config.override(TIE, True)
    elif tie == "if_stated" and TIE not in config.data:
        config.override(TIE, False)
    elif tie == "never":
        part[TIE] = False
    elif tie == "by_default":
        part[TIE] = config.flag(TIE, True)
    ties = bool(config.defaults.get(TIE)) and TIE not in config.data and bool(config.data.get("text_config"))
    inner_decides = tie in ("inner", "never", "by_default") or (ties and tie != "outer")
    if tie == "either" and not config.flag(TIE):
        inner_decides = True
        if model_type in _UNTIED_UNLESS_STATED:
            part.setdefault(TIE, False)
    if not inner_decides:
        part[TIE] = config.flag(TIE, bool(part.get(TIE, False)))
    return ties and inner_decides


def _text_data(config: Config, row: CompositeModel) -> Fields:
    defaults = config.defaults.get("text_config") if row.text_defaults else None
    return {**(defaults or {}), **text_config(config, row.dropped)}


def text_config(config: Config, dropped: str = "") -> Fields:
    """Return the language model's config from ``text_config`` or the top level of the composite config."""
    found = top_level_text_config(config.data) if config.data.get("text_config") is None else None
    if found:
        config.ignore(" ".join(found))
    part = found or config_at(config, "text_config")
    return {key: value for key, value in part.items() if key not in dropped.split()}


def inherited_text_config(config: Config, outer: str) -> Fields:
    """Return the language model's keys from a config whose class inherits from that of the language model.

    ``outer`` names keys of the composite model that have no effect, in addition to the keys with defaults.
    """
    found = text_config(config)
    if "num_hidden_layers" not in found:
        raise config.error("num_hidden_layers is missing")
    config.ignore(outer)
    own = {*config.defaults, *outer.split()} - {TIE}
    return {key: value for key, value in found.items() if key not in own}


def config_at(config: Config, key: str) -> Fields:
    """Return the config at a key, or the class default. A missing ``model_type`` is also taken from the default.

    An empty object has the defaults of its own class instead, which may differ from those in the outer class.
    """
    usual = config.defaults.get(key) or {}
    found = usual if config.get(key) is None else config.mapping(key)
    kind = found.get("model_type", usual.get("model_type"))
    return {**found, "model_type": kind} if kind else found


def nested_config(config: Config, key: str, model_type: str) -> Config:
    """Return the config at a key, interpreted as a config of the given type."""
    return config.nested(key, config_at(config, key), model_type)


def with_image_encoder(data: Mapping[str, Any], decoder: Architecture, where: str) -> Architecture | None:
    """Return the decoder of a vision-encoder-decoder model with its image encoder, or None if that is not supported."""
    part, inner = data.get("encoder"), data.get("decoder")
    kind = part.get("model_type") if isinstance(part, Mapping) else None
    encoder = find_encoder(kind) if isinstance(kind, str) and data.get("model_type") == IMAGE_AND_TEXT else None
    if encoder is None or not isinstance(part, Mapping) or not isinstance(inner, Mapping):
        return None
    config = Config(part, encoder.model_type, f"{where}: encoder")
    *stacks, last = encoder.read(config)
    check_encoder(config)
    if config.unknown:
        return None
    width = decoder.main.d_model
    if last.d_model != width and not inner.get("cross_attention_hidden_size"):
        last = replace(last, outputs=(*last.outputs, Named("enc_to_dec_proj", Linear(last.d_model, width))))
    notes, unmodelled = (*decoder.notes, CROSS_NOTE), (*decoder.unmodelled, *config.unmodelled)
    return replace(decoder, stacks=(*decoder.stacks, *stacks, last), layout="", notes=notes, unmodelled=unmodelled)
