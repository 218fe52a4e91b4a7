"""What every layer kind is: a record that declares its equations.

A kind lives in ``llmcalc/layers/<kind>.py`` and is found by that name. Its fields are the language of presets; its
``declare()`` says what it is made of. Nothing else knows about a kind.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeGuard

from .declaration import Declaration
from .errors import DescriptionError, SizeError, short_repr
from .record import fields

LARGEST_SIZE = 10**15
MOST_LAYERS = 5_000


class Layer:
    """Base of all kinds.

    ``CHOICES`` lists the words that a text field may hold. Every integer field is a size and at least 1, unless
    ``ZERO_ALLOWED`` names it. The check runs at construction, whoever constructs. ``GIVEN`` explains the names that an
    equation may read beside the layer's tensors, its states and earlier results; a kind adds its own to them.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset()
    GIVEN: ClassVar[dict[str, str]] = {
        "x": "the layer's input",
        "src": "the encoder's output",
        "cq": "the latent that queries are made of",
        "ids": "what is looked up",
        "shifted": "the input, one token later",
        "earlier": "the stream before an earlier sub-layer of the block",
        "reused_k": "keys of an earlier layer",
        "reused_v": "values of an earlier layer",
        "shared": "the result of the shared experts",
        "mask": "which keys a query sees",
        "prefix_k": "keys of learned tokens that stand before all others",
        "prefix_v": "their values",
        "sinusoids": "sines and cosines of distances",
        "distances": "a row for the distance from each query to each key, of a table outside",
        "position_bias": "a bias that is computed from positions (ALiBi)",
        "decay": "products of decays, computed from dt",
        "window": "the decay of a long filter",
        "v": "one of Hyena's streams u",
        "qn": "the part of q without position",
        "qr": "the rotary part of q",
    }

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Check every field against its type.

        Raises:
            SizeError: a size that is no positive integer.
            DescriptionError: another type, or a word that is no choice.
        """
        for name, base, optional in _plan(type(self)):
            value = getattr(self, name)
            if value is None and optional:
                continue
            if base == "int":
                self._check_size(name, value)
            elif base == "bool" and type(value) is not bool:
                raise DescriptionError(f"{name} is {short_repr(value)}; it is true or false", where=self.kind())
            elif base == "float" and not (is_number(value)):
                raise DescriptionError(f"{name} is {short_repr(value)}; it is a finite number", where=self.kind())
            elif base == "str":
                choices = self.CHOICES.get(name)
                if not isinstance(value, str) or (choices and value not in choices):
                    allowed = f"one of {', '.join(choices)}" if choices else "a text"
                    raise DescriptionError(f"{name} is {short_repr(value)}; it is {allowed}", where=self.kind())

    def _check_size(self, name: str, value: object) -> None:
        least = 0 if name in self.ZERO_ALLOWED else 1
        if type(value) is not int or not least <= value <= LARGEST_SIZE:
            wanted = f"a whole number from {least} to {LARGEST_SIZE:.0e}"
            raise SizeError(f"{name} is {short_repr(value)}; a size is {wanted}", where=self.kind())

    @classmethod
    def kind(cls) -> str:
        """The kind's name: that of its file."""
        return cls.__module__.rpartition(".")[2]

    def declare(self) -> Declaration:
        """The axes, tensors, equations and state of this layer."""
        raise NotImplementedError

    def derive(self, **values: Any) -> None:
        """Fill in fields left out (``None``) from others, at construction."""
        for name, value in values.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def must_divide(self, divisor: str, dividend: str) -> None:
        """Raise a SizeError unless field ``divisor`` divides field ``dividend``."""
        small, large = getattr(self, divisor), getattr(self, dividend)
        if large % small:
            hint = f"{divisor} must divide {large}"
            raise SizeError(f"{divisor} ({small}) does not divide {dividend} ({large})", where=self.kind(), hint=hint)


_PLANS: dict[type, list[tuple[str, str, bool]]] = {}


def _plan(kind: type) -> list[tuple[str, str, bool]]:
    """(field, type, may be None) of every field, read once per kind."""
    if kind not in _PLANS:
        _PLANS[kind] = [
            (entry.name, str(entry.type).removesuffix(" | None"), str(entry.type).endswith(" | None"))
            for entry in fields(kind)
        ]
    return _PLANS[kind]


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number that a float can hold."""
    if type(value) is int:
        return abs(value) <= LARGEST_SIZE
    return type(value) is float and abs(value) < float("inf")
