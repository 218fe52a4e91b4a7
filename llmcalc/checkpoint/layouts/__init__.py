"""How checkpoints store what the declarations describe: names, fused matrices, transposed ones. One file per layout.

A layout is a text of lines ``stored name <- logical tensors``; several logical tensors are stored as one, side by side.

    model.layers.{i}.self_attn.q_proj.weight <- attention.wq
    transformer.h.{i}.attn.c_attn.weight <- attention.wq attention.wk attention.wv | transposed

``{i}`` is the number of the block, ``{x}`` that of an expert stored on its own, ``{side}`` the stack's name. A logical
tensor is addressed by sub-layer, layer and tensor; the layer is left out where its name equals the sub-layer's. After
``|``: ``transposed`` (stored as [in, out]), ``row`` (a vector stored as [1, length]; ``row row``: as [1, 1, length]; ``column``: as [length, 1]), ``flat`` (a table of one row stored as a vector), ``heads`` (the parts alternate head by
head), ``quarters`` (in four parts) or ``entries`` (number by number) instead of lying side by side, ``folded`` (experts stored below each other in one
matrix), and conditions: ``encoder`` or
``decoder`` (that stack only), ``tied`` or ``untied``, ``gated`` or ``plain``, ``single`` or ``many`` (key and value heads: what the layer is), ``alone`` or ``beside``
(another stack), ``spare`` (there are biases beside the one that is used). ``{s}`` is the number of the sub-layer, ``{t}`` the number that ends its name, ``{n}`` the name of the
branch, ``{block}`` that of the block. ``{a}`` is the number of an adapter stored on its own: sub-layers ``shared0`` and ``shared1`` hold them in turn.

A layout called ``mixtral@mixtral`` is that of published checkpoints of a family (``published``); one called ``bert.bare`` is that of the bare model without a head, whose names lack the ``PREFIX`` of its file (by
default what stands before the blocks).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from ...core.architecture import Architecture
from ...core.errors import UnknownNameError
from .published import published

# What libraries store beside the weights and compute anew: tables of positions, masks.
BUFFERS = (
    "position_ids",
    "token_type_ids",
    "inv_freq",
    "encoder_embedding.global_invstd",
    "encoder_embedding.global_mean",
    "attn.bias",
    "attn.masked_bias",
    "embed_scale",
    "embed_positions.weight",
    "slope_rate",  # of lightning attention, as are those below
    "query_decay",
    "key_decay",
    "diagonal_decay",
    "summary_idxs",
    "upsample.filter",  # of an activation that is sampled more densely
    "downsample.filter",
    "num_batches_tracked",  # of norms over a batch
    "act_fn.beta",
    "act_fn.eps",
    "_scaling_factor",  # I-BERT's, as are those below
    "_integer",
    "x_min",
    "x_max",
    "ln.shift",
    "LayerNorm.shift",
)


class Rule(NamedTuple):
    """One stored tensor, the logical ones in it, and the conditions under which it is stored so."""

    stored: str
    parts: tuple[str, ...]
    transposed: bool
    row: int
    column: int
    conditions: frozenset[str]
    alternate: str = ""
    folded: bool = False
    flat: bool = False


class Layout(NamedTuple):
    """The rules of a layout, by the logical tensor that they place."""

    rules: Mapping[str, tuple[Rule, ...]]

    def rule(self, keys: Iterable[str], holds: frozenset[str]) -> Rule | None:
        """The rule that places a logical tensor: of the first of its keys that has one whose conditions all hold."""
        found = (rule for key in keys for rule in self.rules.get(key, ()))
        return next((rule for rule in found if rule.conditions <= holds), None)


def read_layout(text: str) -> Layout:
    """The layout that a text describes."""
    rules: dict[str, tuple[Rule, ...]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        stored, _, rest = line.partition("<-")
        parts, _, notes = rest.partition("|")
        words = set(notes.split())
        conditions = frozenset(
            words - {"transposed", "row", "column", "heads", "quarters", "entries", "folded", "flat"}
        )
        alternate = next(iter(words & {"heads", "quarters", "entries"}), "")
        rule = Rule(
            stored.strip(),
            tuple(parts.split()),
            "transposed" in words,
            notes.split().count("row"),
            notes.split().count("column"),
            conditions,
            alternate,
            "folded" in words,
            "flat" in words,
        )
        for part in rule.parts:
            rules[part] = (*rules.get(part, ()), rule)
    return Layout(rules)


def published_name(architecture: Architecture) -> str:
    """The name of the layout of an architecture's published checkpoints, by its ``model_type`` if it is of a config; a
    preset's ``family`` is a name of its maker's.
    """
    file = architecture.layout.partition(".")[0]
    return f"{architecture.layout}@{architecture.family if 'model_type' in architecture.inputs else file}"


@cache
def find_layout(name: str) -> Layout:
    """A layout by its name, which is that of its file; ``bert.bare+gpt2`` composes an encoder's and a decoder's,
    ``clip>llama`` a tower's and that of the language model behind it, ``mixtral@mixtral`` has the names of the checkpoints of a family, ``gguf:llama`` those of GGUF files (``gguf:llama+``:
    of older ones).

    Raises:
        UnknownNameError: no such layout.
    """
    if name.startswith("gguf:"):
        from .gguf import text

        return read_layout(text(name[5:].removesuffix("+"), name.endswith("+")))
    name, _, family = name.partition("@")
    sides = name.split("+")
    if len(sides) == 1:
        return read_layout(published(_text(name), family) if family else _text(name))
    return read_layout("\n".join(map(_within, ("encoder", "decoder"), map(_text, sides))))


def _within(side: str, text: str) -> str:
    """The rules of a model that is one side of a larger one."""
    lines = []
    for line in filter(None, map(str.strip, text.splitlines())):
        rule, _, notes = line.partition("|")
        words = [word for word in notes.split() if word != "alone"]  # beside another one, but with tables of its own
        lines += [] if "beside" in words else [f"{side}.{rule} | {' '.join([*words, side])}"]
    lines += (
        []
        if side == "decoder"
        else ["enc_to_dec_proj.weight <- enc_to_dec_proj.w", "enc_to_dec_proj.bias <- enc_to_dec_proj.b"]
    )
    return "\n".join(lines)


def _text(name: str) -> str:
    tower, behind, language = name.partition(">")
    if behind:
        return _behind(tower, language)
    file, _, bare = name.partition(".")
    try:
        module = import_module(f".{file.replace('-', '_') or 'none'}", __name__)
    except ModuleNotFoundError:
        hint = "the names of the stored tensors are not known for this architecture"
        raise UnknownNameError("layout", name, [], hint=hint) from None
    text: str = module.TEXT
    prefix: str = getattr(module, "PREFIX", _block_prefix(text))
    if bare and prefix:
        text = "\n".join(line.removeprefix(prefix) for line in text.splitlines())
    return text


def _behind(tower: str, language: str) -> str:
    """The rules of a language model behind a tower, each part under a name of its own in the bare model of both.

    ``BEHIND`` in the tower's file is that of the language model, or, with ``ALL``, of its class with the head, which
    ``WITHOUT_HEAD`` leaves out; ``RENAMED`` are beginnings of names beside it, old and new.
    """
    module = import_module(f".{tower}", __name__)
    place: str = getattr(module, "BEHIND", "model.language_model.")
    name, _, dotted = language.partition(".")
    whole, alone = (_lines(_text(form)) for form in (name, f"{name}.bare"))
    if getattr(module, "ALL", False):
        inner = alone if dotted or getattr(module, "WITHOUT_HEAD", False) else whole
        return "\n".join((module.TEXT, *(place + line for line in inner)))
    moved = (_renamed(bare, module) if line == bare else place + bare for line, bare in zip(whole, alone, strict=True))
    text = "\n".join((*_lines(module.TEXT), *moved))
    return "\n".join(line.removeprefix("model.") for line in _lines(text)) if dotted else text


def _renamed(line: str, module: ModuleType) -> str:
    pairs: tuple[tuple[str, str], ...] = getattr(module, "RENAMED", ())
    return next((new + line.removeprefix(old) for old, new in pairs if line.startswith(old)), line)


def _lines(text: str) -> list[str]:
    return [line for line in map(str.strip, text.splitlines()) if line]


def _block_prefix(text: str) -> str:
    """The attribute under which a class with a head keeps its blocks, such as ``model.``."""
    first = next((line for line in text.splitlines() if "{i}" in line), "").partition(".")[0]
    return f"{first}." if first and "{" not in first else ""
