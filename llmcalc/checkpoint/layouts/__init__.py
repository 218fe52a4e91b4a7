"""Names, fusion and orientation of checkpoint tensors.

Layouts are ``.layout`` files in this package and in the zoo, in the format described in ``reader``. A rule maps
one or more logical tensors to a stored tensor. Several logical tensors are concatenated::

    model.layers.{i}.self_attn.q_proj.weight <- attention.wq
    transformer.h.{i}.attn.c_attn.weight <- attention.wq attention.wk attention.wv | transposed

A logical tensor is identified by sub-layer, layer and tensor. The layer is omitted if it has the sub-layer's
name. Placeholders in a stored name are replaced by numbers and names:

- ``{i}``, ``{s}`` and ``{t}``: block number, sub-layer number, and number at the end of the sub-layer's name;
- ``{x}`` and ``{a}``: number of a separately stored expert, and number of an adapter of a shared layer;
- ``{side}``, ``{block}`` and ``{n}``: stack name, block name and branch name.

Words after ``|`` describe how a tensor is stored: ``transposed`` ([in, out]); ``row`` (leading dimension of
length 1) or ``column`` (trailing dimension of length 1); ``flat`` (single-row table as a vector); ``folded``
(experts stacked in one matrix); ``heads``, ``quarters`` or ``entries`` (interleaved by head, quarter or entry).
Other words are conditions: role or name of a stack; ``tied`` or ``untied``; ``gated`` or ``plain``; ``single``
or ``many`` (KV heads); ``alone`` or ``beside`` (only stack, or one of several); ``spare`` (unused biases).

Layouts have optional settings. ``prefix`` is removed from names in the bare model (default: first component of
block names). Multimodal encoders set the prefix of language model names in ``text_prefix`` (default:
``model.language_model.``). ``text_model`` selects the prefixed names: ``body`` (default: all except the head),
``whole`` (all), or ``headless`` (the model has no head). ``rename`` changes the beginning of all other names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from ...core.architecture import Architecture, Stack
from ...core.errors import UnknownNameError, UnsupportedError
from ...core.record import NamedTuple
from .reader import Include, find_section, rules_of, tidy

# Tensors that libraries store besides the weights but recompute, such as position tables and masks.
BUFFERS = (
    "position_ids", "token_type_ids", "inv_freq", "encoder_embedding.global_invstd", "encoder_embedding.global_mean",
    "attn.bias", "attn.masked_bias", "embed_scale", "embed_positions.weight", "summary_idxs", "act_fn.beta",
    "act_fn.eps",
    "slope_rate", "query_decay", "key_decay", "diagonal_decay",  # lightning attention
    "upsample.filter", "downsample.filter",  # activations computed at a higher sampling rate
    "num_batches_tracked",  # batch norms
    "_scaling_factor", "_integer", "x_min", "x_max", "ln.shift", "LayerNorm.shift",  # I-BERT
)  # fmt: skip
DIGITS = "0123456789"
_ALTERNATING = ("heads", "quarters", "entries")
_STORAGE = frozenset((*_ALTERNATING, "transposed", "row", "column", "folded", "flat"))


class Rule(NamedTuple):
    """A stored tensor, the logical tensors stored in it, and the conditions under which the rule applies."""

    stored: str
    parts: tuple[str, ...]
    transposed: bool
    row: int
    column: int
    conditions: frozenset[str]
    alternate: str = ""
    folded: bool = False
    flat: bool = False

    def name(self, numbered: str, **marks: object) -> str:
        """Return the stored name with all placeholders replaced except for experts. ``numbered`` provides ``{t}``."""
        name = self.stored
        if "{" not in name:
            return name
        for mark, value in {**marks, "t": numbered[len(numbered.rstrip(DIGITS)) :] or "0"}.items():
            name = name.replace(f"{{{mark}}}", str(value))
        return name


class Layout(NamedTuple):
    """Rules of a layout, indexed by logical tensor."""

    rules: Mapping[str, tuple[Rule, ...]]

    def rule(self, keys: Iterable[str], holds: frozenset[str]) -> Rule | None:
        """Return the first rule, trying ``keys`` in order, whose conditions are all in ``holds``."""
        for key in keys:
            for rule in self.rules.get(key, ()):
                if rule.conditions <= holds:
                    return rule
        return None


def conditions_of(layer: object, stack: Stack, alone: bool) -> frozenset[str]:
    """Return the conditions that a layer in a stack meets. ``alone`` means that the model has no other stack."""
    tied = "tied" if getattr(layer, "share", None) else "untied"
    gated = "gated" if getattr(layer, "gated", False) else "plain"
    heads = "single" if getattr(layer, "n_kv_heads", 0) == 1 else "many"
    biases = "spare" if getattr(layer, "unused_biases", 0) else "lone"
    return frozenset((stack.role, stack.name, tied, gated, heads, biases, "alone" if alone else "beside"))


def alternation(stack: Stack, sublayer: str) -> tuple[int, int]:
    """Return a sub-layer's index among the alternating shared sub-layers, and the number of these sub-layers."""
    stem = sublayer.rstrip(DIGITS)
    names = {part.name for run in stack.runs for part in run.block.sublayers if part.name.rstrip(DIGITS) == stem}
    return int(sublayer[len(stem) :] or 0), len(names)


def published_name(architecture: Architecture) -> str:
    """Return the layout name for an architecture's published checkpoints.

    The family of a config is the ``model_type``. Presets use the layout name because ``family`` is a display name.
    """
    file = architecture.layout.partition(".")[0]
    return f"{architecture.layout}@{architecture.family if 'model_type' in architecture.inputs else file}"


@cache
def find_layout(name: str) -> Layout:
    """Look up a layout by name. The name has one of these forms.

    - ``bert``: a section of the layout files; ``bert.bare``: the model without its head;
    - ``bert.bare+gpt2``: an encoder and a decoder;
    - ``clip>llama``: a vision or audio encoder, and its language model;
    - ``mixtral@mixtral``: the published checkpoints of a family;
    - ``gguf:llama``: GGUF files; ``gguf:llama+``: older GGUF files.
    """
    if name.startswith("gguf:"):
        is_older = name.endswith("+")
        return _layout(rules_of(name.removesuffix("+"), is_older) or rules_of("gguf", is_older) or ())
    name, _, family = name.partition("@")
    encoder, joined, decoder = name.partition("+")
    if joined:
        return _layout([*_within("encoder", _rules(encoder)), *_within("decoder", _rules(decoder))])
    return _layout([*(_published(_rules(name), family) if family else _rules(name)), *(rules_of("task_heads") or ())])


def _layout(texts: Iterable[str]) -> Layout:
    rules: dict[str, tuple[Rule, ...]] = {}
    for text in texts:
        stored, _, rest = text.partition(" <- ")
        parts, _, notes = rest.partition("|")
        words = notes.split()
        storage = ("transposed" in words, words.count("row"), words.count("column"))
        alternate = next((word for word in words if word in _ALTERNATING), "")
        conditions = frozenset(words) - _STORAGE
        rule = Rule(stored, tuple(parts.split()), *storage, conditions, alternate, "folded" in words, "flat" in words)
        for part in rule.parts:
            rules[part] = (*rules.get(part, ()), rule)
    return Layout(rules)


def _rules(name: str) -> list[str]:
    encoder, multimodal, language = name.partition(">")
    if multimodal:
        return _multimodal(encoder, language)
    name, _, bare = name.partition(".")
    section = name.replace("-", "_")
    rules = rules_of(section) if section else None
    if rules is None:
        text = "the names of the stored tensors are not known for this architecture"
        if not name:
            raise UnsupportedError(text, parameter="layout", hint="omit it")
        raise UnknownNameError("layout", name, [], hint=text)
    first = next((rule for rule in rules if "{i}" in rule), "").partition(".")[0]
    prefix = _setting(section, "prefix", f"{first}." if first and "{" not in first else "")
    return [rule.removeprefix(prefix) for rule in rules] if bare else list(rules)


def _setting(section: str, key: str, default: str) -> str:
    found = find_section(section)
    return (found.settings.get(key) or (default,))[0] if found else default


def _within(side: str, rules: Iterable[str]) -> list[str]:
    """Return the rules of a model that is used as the encoder or decoder of a larger model."""
    placed = []
    for rule in rules:
        names, _, conditions = rule.partition(" | ")
        words = [word for word in conditions.split() if word != "alone"]  # each model has its own tables
        placed += [] if "beside" in words else [tidy(f"{side}.{names}", " ".join((*words, side)))]
    joining = [f"enc_to_dec_proj.{stored} <- enc_to_dec_proj.{stored[0]}" for stored in ("weight", "bias")]
    return placed + (joining if side == "encoder" else [])


def _multimodal(encoder: str, language: str) -> list[str]:
    """Return the rules of an encoder and its language model, with prefixes from the encoder's settings."""
    own = _rules(encoder)
    place = _setting(encoder, "text_prefix", "model.language_model.")
    moved = _setting(encoder, "text_model", "body")
    name, _, bare = language.partition(".")
    whole, body = _rules(name), _rules(f"{name}.bare")
    if moved != "body":
        return own + [place + rule for rule in (body if bare or moved == "headless" else whole)]
    section = find_section(encoder)
    pairs = [pair.split(" => ") for pair in (section.settings.get("rename", ()) if section else ())]
    for rule, inner in zip(whole, body, strict=True):
        old, new = next((pair for pair in pairs if rule.startswith(pair[0])), ("", ""))
        own.append(place + inner if rule != inner else new + rule.removeprefix(old))
    return [rule.removeprefix("model.") for rule in own] if bare else own


def _published(rules: list[str], family: str) -> list[str]:
    """Return the rules of a layout with the tensor names of a family's published checkpoints."""
    for old, new in _replacements(f"@{family}"):
        rules = [changed for rule in rules for changed in _renamed(rule, old, new.split(", "))]
    first = next((rule for rule in rules if "layers.{i}" in rule or "layer.{i}" in rule), "")
    root = first[: max(first.find("encoder.layer"), 0) or max(first.find("layers.{i}"), 0)]
    return [rule.replace("{root}", root) for rule in rules_of(f"@{family}") or ()] + rules


def _replacements(name: str) -> Iterator[tuple[str, str]]:
    """Yield the name replacements of a section and all included sections."""
    section = find_section(name)
    for line in section.lines if section else ():
        if isinstance(line, Include):
            yield from _replacements(line.section)
        elif not isinstance(line, str):
            yield line


def _renamed(rule: str, old: str, new: list[str]) -> list[str]:
    """Return a rule with a new stored name, or one rule per logical tensor if there are several new names."""
    stored, _, rest = rule.partition(" <- ")
    parts, bar, words = rest.partition(" | ")
    names = parts.split()
    if old not in stored or ("{x}" in new[0] and "{x}" in stored) or len(new) not in (1, len(names)):
        return [rule]
    if len(new) == 1:
        return [f"{stored.replace(old, new[0])} <- {rest}"]
    return [f"{stored.replace(old, one)} <- {name}{bar}{words}" for one, name in zip(new, names, strict=True)]
