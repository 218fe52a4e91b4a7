"""Access to ``config.json`` keys, with the defaults of the transformers class and tracking of unread keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, Self

from ...core.errors import DescriptionError, SizeError, UnknownNameError, is_one_edit, short_repr
from ...core.layer import LARGEST_SIZE, MOST_LAYERS, is_number
from ...core.record import MISSING, NamedTuple
from ...data import table
from .class_defaults import class_defaults, ignored_keys, irrelevant_keys, released_keys, size_keys
from .contradictions import check_values

MOST_LOOPED = 2_000
MOST_REPEATS = 128
DECODER_HEADS = ("causal", "none")  # kinds of heads that a decoder may have


class ConfigKeys:
    """Typed access to the keys of a config, including alternative names (``d_model`` for ``hidden_size``).

    Each access marks a key as read. ``check_all_read`` adds the keys that were never read to ``unknown``.
    ``has_plain_class`` states that the file names the class of its type, which reads no other keys. ``parts`` are the
    configs nested in this one.
    """

    def __init__(
        self, data: Mapping[str, Any], model_type: str, where: str, allowed: Collection[str] = frozenset()
    ) -> None:
        self.model_type, self.where = model_type, where
        self.allowed, self.ignored_unknown = allowed, dict[str, Any]()
        self.unknown: dict[tuple[str, str], UnreadKey] = {}
        self.defaults, self.aliases, required = class_defaults(model_type)
        self.data: dict[str, Any] = {}
        for key, value in data.items():
            own = self.aliases.get(key, key)
            if own in self.data and self.data[own] != value:
                raise DescriptionError(f"{key} and {own} are aliases but have different values", where=where)
            if value is None and own in required and key not in allowed:
                usual = short_repr(self.defaults[own])
                raise DescriptionError(f"{key} must not be null", where=where, hint=f"The default is {usual}.")
            self.data[own] = value
        self.ignored = ignored_keys(model_type)
        self.read: set[str] = set()
        self.skipped: set[str] = set()
        self.defaulted: dict[str, int] = {}
        self.warnings: list[str] = []
        self.unknown_class = ""
        self.outer_class = ""
        self.has_plain_class = False
        self.unmodelled: list[str] = []
        self.parts: list[ConfigKeys] = []

    def nested(self, key: str, data: Mapping[str, Any], model_type: str) -> Self:
        """Return the config ``data`` nested under a key. The keys of nested configs are checked in the same way."""
        inner = type(self)(data, model_type, f"{self.where}: {key}", self.allowed)
        inner.ignored_unknown, inner.warnings = self.ignored_unknown, self.warnings
        inner.unknown, inner.defaulted = self.unknown, self.defaulted
        inner.has_plain_class = self.has_plain_class
        self.parts.append(inner)
        return inner

    def error(self, message: str, hint: str = "") -> DescriptionError:
        """Create an error about this config."""
        return DescriptionError(message, where=self.where, hint=hint)

    def invalid(self, key: str, wanted: str, value: object = MISSING) -> DescriptionError:
        """Create an error about ``value`` (default: the key's value). ``wanted`` describes valid values."""
        return self.error(f"{key} must be {wanted}, not {short_repr(self.get(key) if value is MISSING else value)}")

    def invalid_size(self, key: str, wanted: str, value: object = MISSING) -> SizeError:
        """Create an error about an invalid size. ``wanted`` describes valid sizes."""
        return self.size_error(self.invalid(key, wanted, value).message)

    def size_error(self, message: str, hint: str = "") -> SizeError:
        """Create an error about a size in this config."""
        return SizeError(message, where=self.where, hint=hint)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key from the config, the class defaults or ``default``, in that order."""
        key = self.aliases.get(key, key)
        if key in self.ignored:  # the class ignores this key of other classes
            return default
        self.read.add(key)
        return self.data.get(key, self.defaults.get(key, default))

    def ignore(self, keys: str) -> None:
        """Skip keys (separated by spaces) because the transformers class computes or ignores them."""
        self.skipped.update(self.aliases.get(key, key) for key in keys.split())

    def unmodelled_unless(self, keys: str, neutral: object = None) -> None:
        """Mark as read the keys that affect the model's output but not its counts.

        If a value is neither None nor ``neutral``, the model cannot be run, but its costs can still be computed.
        """
        for key in keys.split():
            value = self.get(key)
            if value is not None and value != neutral:
                self.add_unmodelled(f"the NumPy model does not support {key} = {short_repr(value)}")

    def add_unmodelled(self, reason: str) -> None:
        """Add a reason why the model's costs can be computed but the model cannot be run."""
        self.unmodelled.append(reason)

    def discard(self, keys: str) -> None:
        """Drop keys that the transformers class ignores because it computes their values."""
        for key in keys.split():
            self.data.pop(self.aliases.get(key, key), None)

    def check_computed(self, key: str, value: object) -> None:
        """Mark a key as read and warn if the file contradicts the value that the transformers class computes."""
        given = self.get(key)
        if given is not None and given != value:
            ignored, used = short_repr(given), short_repr(value)
            self.warnings.append(f"the model class ignores {key} = {ignored} and uses the computed value {used}")

    def check_equal(self, key: str, value: object) -> None:
        """Mark a key as read, and raise an error unless it is missing or has the value that other keys imply."""
        given = self.get(key)
        if given is not None and given != value:
            raise self.size_error(f"{key} is {short_repr(given)}, but other keys imply {short_repr(value)}")

    def override(self, key: str, value: Any) -> None:
        """Set a key to the value that the transformers class always uses."""
        self.data[self.aliases.get(key, key)] = value

    def read_legacy(self, old: str, new: str) -> None:
        """Copy the value of an older key, if present, to the current key."""
        value = self.get(old)
        if value is not None:
            self.data[self.aliases.get(new, new)] = value

    def size(self, key: str, default: int | None = None) -> int:
        """Return the positive integer at a key. If the value is None, return ``default`` or raise an error."""
        value = self.get(key)
        if value is not None:
            return self.integer(value, key, 1)
        if default is None:
            raise self.error(f"{key} is missing")
        return default

    def optional_size(self, key: str, zero_is_none: bool = False) -> int | None:
        """Return the positive integer at a key, or None."""
        value = self.get(key)
        is_none = value is None or (zero_is_none and value == 0 and type(value) is int)
        return None if is_none else self.integer(value, key, 1)

    def integer(self, value: object, key: str, least: int) -> int:
        """Check that a value is an integer from ``least`` to the maximum for the key, and return the value."""
        if type(value) is int and least <= value <= MOST_LAYERS:
            return value
        most = MOST_LAYERS if key.endswith(("layers", "layer")) else LARGEST_SIZE
        if type(value) is not int or not least <= value <= most:
            raise self.size_error(f"{key} must be an integer from {least} to {most:,}, not {short_repr(value)}")
        return value

    def count(self, key: str, default: int = 0) -> int:
        """Return a non-negative integer, or ``default`` if the value is None."""
        value = self.get(key, default)
        return default if value is None else self.integer(value, key, 0)

    def repeats(self, key: str, least: int = 1) -> int:
        """Return how many equal modules a model has besides its layers, an integer of at most ``MOST_REPEATS``."""
        found = self.count(key) if least == 0 else self.size(key)
        if found > MOST_REPEATS:
            raise self.size_error(f"{key} must be at most {MOST_REPEATS:,}, not {found:,}")
        return found

    def check_layer_runs(self, runs: int) -> None:
        """Raise an error if the total number of layer executions in a looped model exceeds the limit."""
        if runs > MOST_LOOPED:
            raise self.size_error(f"layers run {runs:,} times in total, more than the limit of {MOST_LOOPED:,}")

    def flag(self, key: str, default: bool = False) -> bool:
        """Return True or False. The ``default`` replaces a missing flag, and a null one if the class default is null
        too. Any other null flag is False.
        """
        value = self.get(key, default)
        if value is None:
            own = self.aliases.get(key, key)
            is_off = own in self.data and bool(self.defaults) and self.defaults.get(own, True) is not None
            return default and not is_off
        if type(value) is not bool:
            raise self.error(f"{key} must be true or false, not {short_repr(value)}")
        return value

    def check_known(self, what: str, names: Iterable[str], known: Iterable[str]) -> None:
        """Raise an error about the first name that is not known."""
        for name in names:
            if name not in known:
                raise UnknownNameError(what, name, known, where=self.where)

    def check_flags(self, **wanted: bool) -> None:
        """Raise an error if a flag does not have the only value that is supported."""
        for key, value in wanted.items():
            if self.flag(key) != value:
                raise self.error(f"only {key}: {str(value).lower()} is supported")

    def number(self, key: str, default: float | None = None) -> float | None:
        """Return a finite number, or ``default`` if the value is None."""
        value = self.get(key, default)
        return default if value is None else self.finite_number(value, key)

    def finite_number(self, value: object, key: str) -> float:
        """Convert a value to a float, or raise an error if the value is not a finite number."""
        if not is_number(value):
            raise self.error(f"{key} must be a finite number, not {short_repr(value)}")
        return float(value)

    def positive_number(self, key: str) -> float:
        """Return a positive finite number."""
        value = self.finite_number(self.get(key), key)
        if value <= 0:
            raise self.size_error(f"{key} must be positive, not {short_repr(value)}")
        return value

    def string(self, key: str, default: str = "") -> str:
        """Return the string at a key."""
        value = self.get(key, default)
        if not isinstance(value, str):
            raise self.error(f"{key} must be a string, not {short_repr(value)}")
        return value

    def one_of(self, key: str, *words: str) -> str:
        """Return the string at a key after checking that it is one of ``words``."""
        value = self.string(key)
        if value not in words:
            raise self.error(f"{key} must be one of {', '.join(words)}, not {short_repr(value)}")
        return value

    def strings(self, key: str, length: int | None = None) -> list[str] | None:
        """Return a list of strings or None. If ``length`` is given, the list must have one entry per layer."""
        found = self._list_of(str, "strings", key)
        return found if found is None or length is None else self.one_per_layer(key, found, length)

    def _list_of(self, kind: type, kinds: str, key: str) -> list[Any] | None:
        """Return a list of values of one type, whose plural is ``kinds``, or None."""
        value = self.get(key)
        if value is not None and not (isinstance(value, list) and all(type(item) is kind for item in value)):
            raise self.error(f"{key} must be a list of {kinds}, not {short_repr(value)}")
        return value

    def one_per_layer(self, key: str, values: list[Any], layers: int) -> list[Any]:
        """Check that the list at a key has one entry per layer, and return the list."""
        if len(values) != layers:
            raise self.size_error(f"{key} must have one entry per layer ({layers}), not {len(values)}")
        return values

    def mapping(self, key: str) -> dict[str, Any]:
        """Return a nested object, or an empty dictionary if the value is None."""
        value = self.get(key)
        if not isinstance(value, dict | None):
            raise self.error(f"{key} must be an object, not {short_repr(value)}")
        return value or {}

    def layer_indices(self, key: str) -> list[int]:
        """Return a list of integers such as layer indices, or an empty list if the value is None."""
        return self._list_of(int, "integers", key) or []

    def sizes(self, key: str) -> list[int]:
        """Return the non-empty list of positive integers at a key."""
        values = self.layer_indices(key)
        if not values:
            raise self.size_error(f"{key} must be a list of sizes, not {short_repr(self.get(key))}")
        return [self.integer(value, key, 1) for value in values]

    def activation(self, key: str = "hidden_act") -> str:
        """Return llmcalc's name for the activation function at a key."""
        return self.activation_name(self.string(key), key)

    def activation_name(self, name: str, key: str = "hidden_act") -> str:
        """Return llmcalc's name for an activation function."""
        activations: dict[str, str] = table("config_keys")["activations"]
        if name not in activations:
            raise UnknownNameError(f"activation ({key})", name, activations, where=self.where)
        return activations[name]

    def rope_theta(self, layer_type: str | None = None, default: float = 10000.0) -> float:
        """Return the base of the rotary frequencies, read from the current or an older transformers key."""
        parameters = self.get("rope_parameters")
        if isinstance(parameters, dict):
            parameters = parameters.get(layer_type, parameters) if layer_type else parameters
            theta = parameters.get("rope_theta") if isinstance(parameters, dict) else None
            if theta is not None:
                return self.finite_number(theta, "rope_theta")
        return self.number("rope_theta", default) or default

    def partial_rotary(self, default: float = 1.0, layer_type: str | None = None) -> float:
        """Return the rotated fraction of each head, optionally for a specific layer type."""
        parameters = self.get("rope_parameters")
        if isinstance(parameters, dict) and layer_type and isinstance(parameters.get(layer_type), dict):
            parameters = parameters[layer_type]
        if isinstance(parameters, dict) and parameters.get("partial_rotary_factor") is not None:
            return self.finite_number(parameters["partial_rotary_factor"], "partial_rotary_factor")
        return self.number("partial_rotary_factor", default) or default

    def head_kind(self, *supported: str) -> str:
        """Return the kind of head named in ``architectures``, such as ``causal``, ``mlm`` or ``none`` (bare model).

        The default is the first of the ``supported`` kinds, also for classes with an unknown name. Unsupported kinds
        raise an error. A head for a task such as classification counts as none. The class of a multimodal model has the
        head of the decoder that it contains.
        """
        kind = self._head_kind() or "".join(supported[:1])
        kind = "none" if kind == "task" else kind
        if kind == "seq2seq" and supported == DECODER_HEADS:
            kind, self.outer_class = "causal", self.class_name()
        if supported and kind not in supported:
            raise self.error(f"{self.model_type} models with a {short_repr(kind)} head are not supported")
        return kind

    def task(self) -> str:
        """Return the class name in ``architectures`` if its head is for a task such as classification, or ""."""
        return self.class_name() if self._head_kind() == "task" else ""

    def _head_kind(self) -> str:
        named = self.get("architectures")
        if named is None or named == []:
            return ""
        if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
            raise self.error(f"architectures must be a list with one class name, not {short_repr(named)}")
        kind = _kind_of_class(named[0])
        if kind:
            return kind
        self.unknown_class = named[0]
        if is_draft_class(named[0]):
            raise self.unknown_class_error()
        return ""

    def unknown_class_error(self) -> UnknownNameError:
        """Create an error about the class name in ``architectures``."""
        hint = f"Supported class names end in {', '.join(table('config_keys')['heads'])}."
        return UnknownNameError("model class", self.unknown_class, [], where=self.where, hint=hint)

    def class_name(self) -> str:
        """Return the class name in ``architectures``, or an empty string."""
        named = self.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else ""

    def known_keys(self) -> list[str]:
        """Return all keys of the transformers class, including aliases."""
        return sorted({*self.defaults, *self.aliases})

    def meant_keys(self, name: str) -> list[str]:
        """Return the keys of which a key that no released class reads is a misspelling by one letter."""
        known = {*self.known_keys(), *self.read, *self.skipped, *irrelevant_keys()[0]}
        similar = sorted(key for key in known if is_one_edit(name, key))
        return [] if not similar or name in released_keys() else similar

    def check_all_read(self) -> None:
        """Add each unread key to the unknown keys, unless the key is irrelevant or has its default value.

        Sizes that were read although the config lacks them are added to ``defaulted``.
        """
        check_values(self)
        irrelevant, irrelevant_if_off = irrelevant_keys()
        for key, value in self.data.items():
            if key in self.read or key in self.skipped or key in irrelevant:
                continue
            if value == self.defaults[key] if key in self.defaults else value is None and not self.meant_keys(key):
                continue
            if key in irrelevant_if_off and not value and not self.defaults.get(key):
                continue
            if key in self.allowed:
                self.ignored_unknown[key] = value
                continue
            if self.ignored.get(key, MISSING) == value:
                continue  # the class has this value whatever the config states
            if key == "head_dim" and value == self.get("hidden_size") / self.get("num_attention_heads"):
                continue  # the class ignores the key, and computes the same value
            self.unknown[self.where, key] = UnreadKey(self, key, value)
        for key in (self.read & size_keys(self.model_type)).difference(self.data):
            self.defaulted.setdefault(key, self.defaults[key])


class UnreadKey(NamedTuple):
    """A key that no reader interprets, its value, and the config that contains it."""

    config: ConfigKeys
    name: str
    value: Any

    def spelled(self, root: str) -> str:
        """Return the key and its value, after the location if that is a config nested in ``root``."""
        nested = self.config.where.removeprefix(root).removeprefix(": ")
        return f"{nested}{': ' * bool(nested)}{short_repr(self.name)} ({short_repr(self.value, 40)})"


@cache
def _kind_of_class(name: str) -> str:
    """Return the kind of head that a class adds to the base model, or an empty string if the class is unknown."""
    heads: dict[str, str] = table("config_keys")["heads"]
    return next((head for suffix, head in heads.items() if name.endswith(suffix)), "")


def is_draft_class(name: str) -> bool:
    """Return whether a class is that of a draft model for speculative decoding."""
    return any(word in name.lower() for word in table("config_keys")["draft_models"]["classes"])
