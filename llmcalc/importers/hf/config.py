"""A config that completes itself with the class's defaults and remembers what was read of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ...core.errors import DescriptionError, SizeError, UnknownNameError, shown
from ...core.layer import LARGEST_SIZE, MOST_LAYERS, is_number
from .irrelevant import IRRELEVANT, SWITCHED_OFF

_DATA = Path(__file__).parent.parent.parent / "data" / "hf"
MOST_LOOPED = 2_000

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_new",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "relu2": "relu2",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "linear": "identity",
    "xielu": "xielu",
}


class Config:
    """Typed access to the keys of a config; a key of another name (``hidden_size`` for ``d_model``) is understood.

    Every access counts as read; ``check_all_read`` then fails on a key that nobody asked for.
    """

    def __init__(
        self, data: Mapping[str, Any], model_type: str, where: str, allowed: Collection[str] = frozenset()
    ) -> None:
        self.model_type, self.where = model_type, where
        self.allowed, self.ignored_unknown = allowed, dict[str, Any]()
        self.defaults, self.aliases = _defaults(model_type)
        self.data: dict[str, Any] = {}
        for key, value in data.items():
            own = self.aliases.get(key, key)
            if own in self.data and self.data[own] != value:
                raise DescriptionError(f"{key} and {own} are one key with two values", where=where)
            self.data[own] = value
        self.read: set[str] = set()
        self.warnings: list[str] = []
        self.unmodelled: list[str] = []

    def nested(self, key: str, data: Mapping[str, Any], model_type: str) -> Config:
        """A config that stands at a key of this one, to be read as strictly."""
        inner = Config(data, model_type, f"{self.where}: {key}", self.allowed)
        inner.ignored_unknown, inner.warnings = self.ignored_unknown, self.warnings
        return inner

    def get(self, key: str, default: Any = None) -> Any:
        """The value, the class's default, or ``default``."""
        key = self.aliases.get(key, key)
        self.read.add(key)
        if key in self.data:
            return self.data[key]
        return self.defaults.get(key, default)

    def ignore(self, keys: str) -> None:
        """Mark keys, given as one text, as read: computed by the class, or without effect in it."""
        self.read.update(self.aliases.get(key, key) for key in keys.split())

    def unmodelled_unless(self, keys: str, neutral: object = None) -> None:
        """Mark keys, given as one text, as read that change results but no count: unless they hold the ``neutral``
        value (or nothing), the model is counted, but not run.
        """
        for key in keys.split():
            value = self.get(key)
            if value is not None and value != neutral:
                self.add_unmodelled(f"{key} is {shown(value)}, which the NumPy model does not know")

    def add_unmodelled(self, reason: str) -> None:
        """Note why the model is counted, but not run."""
        self.unmodelled.append(reason)

    def discard(self, keys: str) -> None:
        """Leave out keys, given as one text, that the class computes anew and whose values in a file nothing reads."""
        for key in keys.split():
            self.data.pop(self.aliases.get(key, key), None)

    def check_computed(self, key: str, value: object) -> None:
        """Mark a key as read that the class computes from others; another value than this is warned of."""
        given = self.get(key)
        if given is not None and given != value:
            self.warnings.append(f"{key} is {shown(given)}; the class computes it anew, as {shown(value)}")

    def override(self, key: str, value: Any) -> None:
        """Take a value that the class has whatever a file says."""
        self.data[self.aliases.get(key, key)] = value

    def read_legacy(self, old: str, new: str) -> None:
        """Take the value of an older key, which wins over today's."""
        value = self.get(old)
        if value is not None:
            self.data[self.aliases.get(new, new)] = value

    def size(self, key: str, default: int | None = None) -> int:
        """A positive integer."""
        value = self.optional_size(key)
        if value is None:
            value = default
        if value is None:
            raise DescriptionError(f"{key} is missing", where=self.where)
        return value

    def optional_size(self, key: str, zero_is_none: bool = False) -> int | None:
        """A positive integer or None."""
        value = self.get(key)
        if value is None or (zero_is_none and value == 0 and type(value) is int):
            return None
        return self.integer(value, key, 1)

    def integer(self, value: object, key: str, least: int) -> int:
        """A value as a whole number within bounds; a number of layers within those of a stack."""
        most = MOST_LAYERS if key.endswith(("layers", "layer")) else LARGEST_SIZE
        if type(value) is not int or not least <= value <= most:
            raise SizeError(f"{key} is {shown(value)}; it is a whole number from {least} to {most:,}", where=self.where)
        return value

    def count(self, key: str, default: int = 0) -> int:
        """An integer that may be 0; None counts as ``default``."""
        value = self.get(key, default)
        if value is None:
            return default
        return self.integer(value, key, 0)

    def check_layer_runs(self, runs: int) -> None:
        """Refuse layers of a loop that run more often than any model's: each run of theirs is listed for itself."""
        if runs > MOST_LOOPED:
            raise SizeError(f"layers run {runs:,} times in all, which is more than {MOST_LOOPED:,}", where=self.where)

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false; None counts as ``default``."""
        value = self.get(key, default)
        if value is None:
            return default
        if type(value) is not bool:
            raise DescriptionError(f"{key} is {shown(value)}; it is true or false", where=self.where)
        return value

    def number(self, key: str, default: float | None = None) -> float | None:
        """A finite number or None."""
        value = self.get(key, default)
        if value is None:
            return default
        return self.finite_number(value, key)

    def finite_number(self, value: object, key: str) -> float:
        """A value as a finite number."""
        if not is_number(value):
            raise DescriptionError(f"{key} is {shown(value)}; it is a finite number", where=self.where)
        return float(value)

    def positive_number(self, key: str) -> float:
        """A finite number above 0."""
        value = self.finite_number(self.get(key), key)
        if value <= 0:
            raise SizeError(f"{key} is {shown(value)}; it is a number above 0", where=self.where)
        return value

    def string(self, key: str, default: str = "") -> str:
        """A text."""
        value = self.get(key, default)
        if not isinstance(value, str):
            raise DescriptionError(f"{key} is {shown(value)}; it is a text", where=self.where)
        return value

    def one_of(self, key: str, *words: str) -> str:
        """A text, which is one of these."""
        value = self.string(key)
        if value not in words:
            raise DescriptionError(f"{key} is {shown(value)}; it is one of {', '.join(words)}", where=self.where)
        return value

    def strings(self, key: str, length: int | None = None) -> list[str] | None:
        """A list of texts or None, of the given length."""
        value = self.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise DescriptionError(f"{key} is {shown(value)}; it is a list of texts", where=self.where)
        if length is not None and len(value) != length:
            raise SizeError(f"{key} has {len(value)} entries for {length} layers", where=self.where)
        return value

    def layer_indices(self, key: str) -> list[int]:
        """A list of layer numbers; None counts as empty."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise DescriptionError(f"{key} is {shown(value)}; it is a list of layer numbers", where=self.where)
        return value

    def activation(self, key: str = "hidden_act") -> str:
        """An activation by this package's name."""
        return self.activation_name(self.string(key), key)

    def activation_name(self, name: str, key: str = "hidden_act") -> str:
        """The name that this package has for an activation."""
        if name not in ACTIVATIONS:
            raise UnknownNameError(f"activation ({key})", name, ACTIVATIONS, where=self.where)
        return ACTIVATIONS[name]

    def rope_theta(self, layer_type: str | None = None, default: float = 10000.0) -> float:
        """The base of the rotary frequencies, from the keys of this or an older version."""
        parameters = self.get("rope_parameters")
        if isinstance(parameters, dict):
            parameters = parameters.get(layer_type, parameters) if layer_type else parameters
            theta = parameters.get("rope_theta") if isinstance(parameters, dict) else None
            if theta is not None:
                return self.finite_number(theta, "rope_theta")
        return self.number("rope_theta", default) or default

    def partial_rotary(self, default: float = 1.0, layer_type: str | None = None) -> float:
        """The rotated share of a head, of one kind of layer if they differ by kind."""
        parameters = self.get("rope_parameters")
        if isinstance(parameters, dict) and layer_type and isinstance(parameters.get(layer_type), dict):
            parameters = parameters[layer_type]
        if isinstance(parameters, dict) and parameters.get("partial_rotary_factor") is not None:
            return self.finite_number(parameters["partial_rotary_factor"], "partial_rotary_factor")
        return self.number("partial_rotary_factor", default) or default

    def head_kind(self) -> str:
        """What the class adds to the bare model, from ``architectures``: ``causal``, ``mlm``, ``seq2seq`` or ``none``.

        Without ``architectures`` it is the family's language model.
        """
        named = self.get("architectures")
        if named is None:
            return ""
        if not isinstance(named, list) or len(named) != 1 or not isinstance(named[0], str):
            raise DescriptionError(f"architectures is {shown(named)}; it is a list of one class", where=self.where)
        for suffix, head in _HEADS.items():
            if named[0].endswith(suffix):
                return head
        known = ", ".join(f"...{suffix}" for suffix in _HEADS)
        raise UnknownNameError("kind of class", named[0], [], where=self.where, hint=f"understood: {known}")

    def class_name(self) -> str:
        """The class in ``architectures``, or nothing."""
        named = self.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else ""

    def known_keys(self) -> list[str]:
        """All keys that the class has."""
        return sorted({*self.defaults, *self.aliases})

    def check_all_read(self) -> None:
        """Fail on a key that was neither read, nor is irrelevant, nor holds the class's default."""
        for key, value in self.data.items():
            if key in self.read or key in IRRELEVANT:
                continue
            if key in self.defaults and self.defaults[key] == value:
                continue
            if key in SWITCHED_OFF and not value:
                continue
            if key not in self.defaults and value is None:  # nothing is said
                continue
            if key in self.allowed:
                self.ignored_unknown[key] = value
                continue
            hint = (
                f"its value is {shown(value)}; {self.model_type or 'this part'} is not known to have such a key "
                f"(--allow-unknown {key} passes over it)"
            )
            raise UnknownNameError(
                "config key", key, (self.read | set(self.defaults)) - {key}, where=self.where, hint=hint
            )


_HEADS = {
    "ForCausalLM": "causal",
    "LMHeadModel": "causal",
    "ForMaskedLM": "mlm",
    "ForConditionalGeneration": "seq2seq",
    "ForTextToText": "seq2seq",
    "MarianMTModel": "seq2seq",
    "EncoderDecoderModel": "seq2seq",
    "ForPreTraining": "pretraining",
    "ModelWithLMHead": "causal",
    "ModelWithProjection": "projection",
    "Model": "none",
    "GenerationDecoder": "causal",
    "GenerationEncoder": "none",
}


@cache
def _defaults(model_type: str) -> tuple[dict[str, Any], dict[str, str]]:
    import json

    file = _DATA / f"{model_type}.json"
    if not file.is_file():
        return {}, {}
    data = json.loads(file.read_text("utf-8"))
    aliases = data["aliases"]
    renamed = {own: data["defaults"][key] for key, own in aliases.items() if key in data["defaults"]}
    return renamed | {key: value for key, value in data["defaults"].items() if key not in aliases}, aliases
