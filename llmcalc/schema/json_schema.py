"""The preset language as a JSON Schema, for editors: they complete, describe, and underline mistakes as they are made.

It is made from the layer kinds themselves, so it knows each kind, field and choice. It cannot know what only
calculation tells (that a size divides another, that a variable is used); reading the preset does.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from .. import layers
from ..core.layer import LARGEST_SIZE, MOST_LAYERS, Layer
from ..core.record import MISSING, Field, fields
from .build import BRANCH_NORMS, NORM_PLACES, ROLE_NAMES, STACK_FLAGS, STACK_KEYS
from .envelope import KEYS, STATUSES
from .facts import FACT_KEYS, FIGURE_KEYS, FIGURE_NEEDED, TRAINING_UNITS

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMMENT = "Made by `llmcalc schema`; not written by hand."
# A key that a base has is removed by null.
REMOVED: Schema = {"type": "null"}
EXPRESSION: Schema = {"$ref": "#/$defs/expression"}
TEXT: Schema = {"type": "string"}
NAME: Schema = {"type": ["string", "number"]}  # YAML reads `1e9` and `7` as numbers where they stand as keys or names
TYPES: dict[str, Schema] = {
    "int": {"type": "integer", "maximum": LARGEST_SIZE},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "str": TEXT,
}
_ENTRY = re.compile(r"^ {4}(\w[\w,\s]*?): (.*(?:\n {8,}.*)*)", re.MULTILINE)


def preset_schema() -> Schema:
    """The schema of a preset file, as plain data in JSON Schema's draft 2020-12."""
    return {
        "$schema": DIALECT,
        "$comment": COMMENT,
        "title": "llmcalc preset",
        **_mapping(_preset_keys(), "One family of models: the architecture once, and the variables of each size."),
        "required": ["name"],
        "$defs": {
            "expression": {"type": "string", "pattern": r"^\$", "description": "A calculation over the variables."},
            "variables": {"type": "object", "description": "Values that the architecture refers to as $name."},
            "figure": _figure(),
            "fact": _fact(),
            "stack": _stack(),
            "sublayer": _sublayer(),
            "layer": _layer(),
            "layers": _named("#/$defs/layer", "Layers by name, each {kind: {fields}}."),
            "norms": _mapping(
                dict.fromkeys(NORM_PLACES, _or_nothing({"$ref": "#/$defs/layer"})), "Norms around a sub-layer."
            ),
            "order": {"$ref": "#/$defs/order_item"},
            "order_item": _order(),
            "count": _any({"type": "integer", "minimum": 0, "maximum": MOST_LAYERS}, EXPRESSION),
            **{f"kind_{name}": _kind(name) for name in layers.kinds()},
        },
    }


def _preset_keys() -> dict[str, Schema]:
    found: dict[str, Schema] = {key: _or_nothing(NAME if kind == "a text" else {}) for key, kind in KEYS.items()}
    listed = _any(TEXT, {"type": "array", "items": TEXT})
    stacks = _named("#/$defs/stack", "Encoder, decoder, towers: in the order in which they run.")
    extras = _or_nothing(_named_by(_extra(), "What exists but is not counted."))
    found |= {
        "year": {"type": "integer"},
        "status": {"enum": list(STATUSES)},
        "aliases": {"type": "object", "description": "Other names, each for a size.", "additionalProperties": {}},
        "variables": {"$ref": "#/$defs/variables"},
        "architecture": _mapping(
            {"stacks": stacks, "extras": extras}, "The equations, with $variables where sizes differ."
        ),
        "sizes": _named("#/$defs/variables", "The variables of each size."),
        "expect": _named_by({"type": "array", "items": {"$ref": "#/$defs/figure"}}, "Published figures of each size."),
        "unmodelled": {
            "type": "array",
            "items": TEXT,
            "description": "What changes results but no count, and is not described; such a model is not run.",
        },
        "notes": _named_by(listed, "Lines that every result shows: for `all`, or for a size."),
        "facts": _named_by(
            {"type": "array", "items": {"$ref": "#/$defs/fact"}},
            "What is published of the training: of `all` sizes, or of one.",
        ),
    }
    return found


def _figure() -> Schema:
    keys: dict[str, Schema] = dict.fromkeys(FIGURE_KEYS, NAME)
    keys |= {"value": {"type": "number"}, "tolerance": _any({"type": "number", "minimum": 0}, {"pattern": "%$"})}
    return {**_mapping(keys, "A published figure, which the model must reproduce."), "required": sorted(FIGURE_NEEDED)}


def _fact() -> Schema:
    keys: dict[str, Schema] = dict.fromkeys(FACT_KEYS, NAME)
    keys |= {"quantity": {"enum": list(TRAINING_UNITS)}, "confirmed": {"type": "boolean"}}
    return {**_mapping(keys, "A published fact of a training run."), "required": sorted(FIGURE_NEEDED)}


def _stack() -> Schema:
    keys: dict[str, Schema] = {key: {} for key in STACK_KEYS}
    keys |= {
        "d_model": _any({"type": "integer", "minimum": 1}, EXPRESSION),
        "role": {"enum": list(ROLE_NAMES)},
        "patch": _any({"type": "integer", "minimum": 1}, EXPRESSION),
        "extra_patches": _any({"type": "integer", "minimum": 0}, EXPRESSION),
        **{key: {"type": "boolean"} for key in STACK_FLAGS},
        "tokens": {"type": "string", "description": "Of a tower that hears: the tokens it makes of a frames of sound."},
        "norms": _or_nothing({"$ref": "#/$defs/norms"}),
        "inputs": _or_nothing({"$ref": "#/$defs/layers"}),
        "outputs": _or_nothing({"$ref": "#/$defs/layers"}),
        "blocks": _or_nothing(_named_by(_named("#/$defs/sublayer", "A block: its sub-layers in order."), "Blocks.")),
        "order": _or_nothing({"$ref": "#/$defs/order"}),
    }
    return _mapping(keys, "Inputs, blocks in an order, and outputs, around a residual stream of one width.")


def _extra() -> Schema:
    return _mapping({"reason": TEXT, "stack": {"$ref": "#/$defs/stack"}}, "Layers that exist but are not counted.")


def _sublayer() -> Schema:
    own: dict[str, Schema] = {
        "norms": {"$ref": "#/$defs/norms"},
        "residual": {"type": "boolean", "description": "Whether the input is added to the result."},
        "residual_normed": {"type": "boolean", "description": "Whether it is added behind the norm in front."},
        "depth_scaled": {"type": "boolean", "description": "Whether the two weigh by how many sums came before."},
        "scale": {"type": "number", "description": "A factor on the result."},
        "residual_scale": {"type": "number", "description": "A factor on what the result is added to."},
        "share": {"type": "string", "description": "Sub-layers with the same name here are one."},
        "input_from": {"type": "string", "description": "It reads the stream before this sub-layer of the block."},
        "residual_from": {"type": "string", "description": "What it is added to: the stream before this sub-layer."},
        "concat_input": {"type": "boolean", "description": "It reads the stream beside what the first block gets."},
        "branches": _or_nothing(_named_by(_branch(), "Layers in parallel by name, in place of kinds.")),
    }
    about = "x = after(x + scale · post(Σ layer(pre(x)))): one layer kind, or several in parallel."
    return _mapping({**_kinds(), **own}, about)


def _branch() -> Schema:
    norm: Schema = _or_nothing({"$ref": "#/$defs/layer"})
    late: Schema = {"type": "string", "description": "The later sub-layer behind which its result joins the stream."}
    norms = dict.fromkeys(BRANCH_NORMS, norm)
    return _mapping({**_kinds(), **norms, "joins": late}, "One layer kind, and norms of its own.")


def _layer() -> Schema:
    one = {**_mapping(_kinds(), "One layer kind with its fields."), "minProperties": 1, "maxProperties": 1}
    return _any(one, EXPRESSION)


def _kinds() -> dict[str, Schema]:
    names = {**{kind: kind for kind in layers.kinds()}, **{alias: kind for alias, (kind, _) in layers.ALIASES.items()}}
    return {name: _any({"$ref": f"#/$defs/kind_{kind}"}, EXPRESSION, REMOVED) for name, kind in sorted(names.items())}


def _kind(name: str) -> Schema:
    """The fields of a kind. None is required: a base, or an alias, may give it."""
    found, _ = layers.find(name)
    meaning = field_descriptions(found)
    return _mapping(
        {entry.name: _field(found, entry, meaning.get(entry.name, "")) for entry in fields(found)}, summary(found)
    )


def _field(found: type[Layer], entry: Field, meaning: str) -> Schema:
    kind = str(entry.type).removesuffix(" | None")
    value = dict(TYPES[kind])
    if kind == "int":
        value["minimum"] = 0 if entry.name in found.ZERO_ALLOWED else 1
    if entry.name in found.CHOICES:
        value = {"enum": list(found.CHOICES[entry.name])}
    described: Schema = {"description": meaning.replace("``", "`")} if meaning else {}
    usual: Schema = {} if entry.default in (MISSING, None) else {"default": entry.default}
    return {**described, **usual, **_any(value, EXPRESSION, REMOVED)}


def _order() -> Schema:
    item: Schema = {"$ref": "#/$defs/order_item"}
    count: Schema = {"$ref": "#/$defs/count"}
    forms: list[Schema] = [
        {"type": "string", "description": "block * 12"},
        {"type": "array", "items": item},
        _form({"block": NAME, "times": count}, "So many equal blocks."),
        _form({"shared": NAME, "times": count}, "One block, applied so many times."),
        _form({"cycle": item, "length": count}, "A pattern, repeated and cut off."),
        _form({"pattern": TEXT, "legend": {"type": "object"}}, "A letter for each block."),
    ]
    return {"description": "The order of blocks.", "anyOf": forms}


def _form(keys: dict[str, Schema], about: str) -> Schema:
    """A form of an order; its first key tells it from others, and a base may give the rest."""
    return {**_mapping(keys, about), "required": [next(iter(keys))]}


def _mapping(keys: dict[str, Schema], about: str) -> Schema:
    return {"description": about, "type": "object", "properties": keys, "additionalProperties": False}


def _named(reference: str, about: str) -> Schema:
    return _named_by({"$ref": reference}, about)


def _named_by(value: Schema, about: str) -> Schema:
    return {"description": about, "type": "object", "additionalProperties": _or_nothing(value)}


def _or_nothing(value: Schema) -> Schema:
    return _any(value, REMOVED) if value else {}


def _any(*values: Schema) -> Schema:
    return {"anyOf": list(values)}


def summary(found: type) -> str:
    """The docstring of a class, up to its attributes."""
    return (inspect.getdoc(found) or "").partition("Attributes:")[0].strip()


def field_descriptions(found: type) -> dict[str, str]:
    """The meaning of each field that the docstring of a class describes.

    >>> from llmcalc.layers import find
    >>> field_descriptions(find("mlp")[0])["d_ff"]
    'hidden width.'
    """
    _, _, described = (inspect.getdoc(found) or "").partition("Attributes:")
    return {
        name: " ".join(match[2].split()) for match in _ENTRY.finditer(described) for name in re.split(r",\s+", match[1])
    }
