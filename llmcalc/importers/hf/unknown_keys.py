"""Classification of config keys that no reader interprets, by their effect on sizes.

The rules are phrases in ``data/unknown_keys.yaml``, so that they also apply to keys of later model versions. A key
without effect is skipped, a key that may have one is reported in a warning, and a structural key is an error.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from functools import cache

from ...core.errors import UnknownNameError, nearest, short_repr
from ...core.record import MISSING
from ...data import table
from .class_defaults import all_class_keys, is_foreign_key, is_irrelevant
from .config_keys import ConfigKeys, UnreadKey

MOST_NAMED = 25  # keys named in one message
MOST_SUGGESTED = 3  # keys for which a message suggests similar names
MOST_DEPTH = 8  # levels of nested objects searched for structural keys
MOST_WORDS = 3  # words of a phrase


class Effect(IntEnum):
    """Effect of an unknown key on sizes."""

    NONE = 0
    POSSIBLE = 1
    STRUCTURAL = 2


def effect_in(config: ConfigKeys, name: str, value: object) -> Effect:
    """Return the effect of an unread key of a config.

    A repeated value of a common key or of a part has no effect, nor has one that states what the class does. Disabling
    a feature that the class enables is structural. If the config names the class of its type, a key that no class has
    is not, nor is another name of a key that the config has.
    """
    single = value[0] if isinstance(value, list) and value and value.count(value[0]) == len(value) else value
    stated = table("unknown_keys")["stated"].get(config.model_type, {}).get(name, MISSING)
    repeated = any(name in names and single == _value(config, common) for common, names in _synonyms())
    has = (part for part in config.parts if name in part.read or name in part.defaults)
    repeated = repeated or any(value == _value(part, name) for part in has)
    if repeated or stated in ("any", single) or is_foreign_key(name, config.model_type):
        return Effect.NONE
    usual = config.defaults.get(name)
    disabled = is_off(value) and not is_off(usual)
    effect = effect_of(name, usual if disabled else value, _value(config, "num_hidden_layers"))
    if effect is Effect.STRUCTURAL and config.has_plain_class:
        passed = not _is_read_by_some_class(name) or _is_other_name(config, name)
        return Effect.POSSIBLE if passed else effect
    return effect


def _is_read_by_some_class(name: str) -> bool:
    """Return whether a class of transformers or a draft model has a key."""
    return name in all_class_keys() or name in table("config_keys")["draft_models"]["keys"]


def _is_other_name(config: ConfigKeys, name: str) -> bool:
    """Return whether the config also has a common key, or another of its names, that the class reads."""
    groups = ({common, *names} for common, names in _synonyms())
    return any(name in group and config.read & config.data.keys() & (group - {name}) for group in groups)


_RULES = (  # lists in data/unknown_keys.yaml; the first match decides
    ("sizes", Effect.STRUCTURAL),
    ("no_effect", Effect.NONE),
    ("arithmetic", Effect.POSSIBLE),
    ("arithmetic_unless_integer", Effect.POSSIBLE),
    ("structural", Effect.STRUCTURAL),
)


def effect_of(name: str, value: object, n_layers: object = None, depth: int = MOST_DEPTH) -> Effect:
    """Return the effect of an unknown key.

    A disabled or empty value has no effect, and the name of a function without parameters changes no size. An object
    has the effect of its keys, and a list with one entry per layer is structural.

    >>> [effect_of(*pair).name for pair in (("eod_token_id", 5), ("logit_softcap", 30.0), ("n_gates", 3))]
    ['NONE', 'POSSIBLE', 'STRUCTURAL']
    """
    phrases = _phrases_of(name)
    if is_off(value) or is_irrelevant(name):
        return Effect.NONE
    for rule, effect in _RULES:
        if phrases & _rule(rule) and not (rule.endswith("unless_integer") and type(value) is int):
            return Effect.POSSIBLE if rule == "structural" and _is_function(value, phrases) else effect
    if isinstance(value, list) and len(value) == n_layers:
        return Effect.STRUCTURAL
    if isinstance(value, Mapping):
        if depth == 0:
            return Effect.STRUCTURAL
        inner = (effect_of(str(key), entry, n_layers, depth - 1) for key, entry in value.items())
        return max(inner, default=Effect.NONE)
    return Effect.POSSIBLE


def _is_function(value: object, phrases: Collection[str]) -> bool:
    """Return whether a value names a function without parameters: an activation, or a way of pooling."""
    keys = table("config_keys")
    return isinstance(value, str) and (
        value in keys["activations"] or ("pooling" in phrases and value in keys["poolings"])
    )


def _value(config: ConfigKeys, key: str) -> object:
    """Return the value of a key without marking it as read."""
    own = config.aliases.get(key, key)
    value = config.data.get(own, config.defaults.get(own))
    if value is None and key == "head_dim":
        width, heads = _value(config, "hidden_size"), _value(config, "num_attention_heads")
        return width / heads if type(width) is int and type(heads) is int and heads else None
    return value


def _synonyms() -> list[tuple[str, list[str]]]:
    return list(table("unknown_keys")["synonyms"].items())


def is_off(value: object) -> bool:
    """Return whether a value disables a feature: null, false, zero, empty, or an object of such values."""
    if isinstance(value, Mapping):
        return all(is_off(entry) for entry in value.values())
    return value is None or (isinstance(value, bool | int | float | str | list) and not value)


def _phrases_of(name: str) -> frozenset[str]:
    """Return all phrases of up to three words in a name such as ``eodTokenId`` or ``eod_token_id``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\W_]+", " ", name[:200]).lower().split()
    spans = range(1, MOST_WORDS + 1)
    return frozenset("_".join(words[at : at + span]) for at in range(len(words)) for span in spans)


@cache
def _rule(name: str) -> frozenset[str]:
    found = table("unknown_keys")[name]
    groups = found.values() if isinstance(found, dict) else [found]
    return frozenset(phrase for group in groups for phrase in group)


def check_unknown(unread: Iterable[UnreadKey], where: str, strict: bool = False) -> list[str]:
    """Raise an error that names all unknown keys if one may change a size, and return warnings about all others.

    Args:
        unread: unread keys of a config and of all configs nested in it.
        where: location of the config.
        strict: whether every unknown key is an error.
    """
    keys: dict[Effect, list[UnreadKey]] = {effect: [] for effect in Effect}
    for key in unread:
        keys[Effect.STRUCTURAL if key.config.meant_keys(key.name) else effect_in(*key)].append(key)
    harmless, unsure, wrong = ([], [], [key for some in keys.values() for key in some]) if strict else keys.values()
    if not wrong:
        return [f"ignored unknown keys, which may change results: {_listed(unsure, where)}"] if unsure else []
    hints = [] if len(wrong) == 1 else [*map(_suggestion, wrong[:MOST_SUGGESTED])]
    hints.append(_reason(wrong, where))
    names = list(dict.fromkeys(key.name for key in wrong))[:MOST_NAMED]
    hints.append(f"Use {{allow_unknown={','.join(names)}}} to ignore {'them' if names[1:] else 'it'}.")
    for also, kind in ((unsure, "that may change results"), (harmless, "without effect on sizes")):
        hints += [f"Other unknown keys, {kind}: {_listed(also, where)}."] if also else []
    first, places = wrong[0], {key.config.where for key in wrong}
    known = _known(first) if len(wrong) == 1 else ()
    where = first.config.where if len(places) == 1 else where
    raise UnknownNameError(
        "config key", first.name, known, where=where, hint=" ".join(filter(None, hints)), others=names[1:]
    )


def _listed(keys: Sequence[UnreadKey], where: str) -> str:
    """Return the names, values and locations of keys."""
    more = [f"and {len(keys) - MOST_NAMED:,} more"] * (len(keys) > MOST_NAMED)
    return ", ".join([*(key.spelled(where) for key in keys[:MOST_NAMED]), *more])


def _reason(wrong: Sequence[UnreadKey], where: str) -> str:
    """Return why keys are not accepted."""
    if len(wrong) > 1:
        return f"No reader interprets {_listed(wrong, where)}."
    (key,) = wrong
    if key.name in key.config.defaults:
        return f"This value of a {key.config.model_type} config is not supported: {short_repr(key.value)}."
    return f"{key.config.model_type or 'These'} configs have no such key (its value is {short_repr(key.value)})."


def _known(key: UnreadKey) -> Collection[str]:
    return key.config.meant_keys(key.name) or (key.config.read | set(key.config.defaults)) - {key.name}


def _suggestion(key: UnreadKey) -> str:
    similar = nearest(key.name, _known(key), 1)
    return f"Did you mean {similar[0]} instead of {short_repr(key.name)}?" if similar else ""
