"""Base class of layer kinds. A layer kind is a record that declares equations.

Each kind is defined in ``llmcalc/layers/<kind>.py`` and looked up by file name. Presets set its fields, and
``declare()`` returns its axes, tensors, equations and state.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard

from .declaration import Declaration
from .errors import DescriptionError, SizeError, short_repr
from .record import fields
from .traits import Traits

if TYPE_CHECKING:
    from typing import Self

    from .shrink import Sizes

LARGEST_SIZE = 10**15
MOST_LAYERS = 5_000


class Layer(Traits):
    """Base class of all layer kinds. Fields are validated at construction.

    ``CHOICES`` lists the allowed values of string fields. Integer fields are sizes of at least 1, or at least 0 if
    listed in ``ZERO_ALLOWED``. ``EXTERNAL_TENSORS`` describes tensors that equations read but do not compute.

    ``SHRINK`` gives the small sizes of fields for tests (see ``core/shrink.py``). Fields that are not listed become new
    primes. ``INPUT_WIDTH`` and ``OUTPUT_WIDTH`` name the fields for the widths of the input and of a different output.
    """

    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {}
    ZERO_ALLOWED: ClassVar[frozenset[str]] = frozenset()
    EXTERNAL_TENSORS: ClassVar[dict[str, str]] = {
        "x": "the layer's input",
        "src": "the encoder's output",
        "cq": "the query latent",
        "ids": "the indices to look up",
        "shifted": "the input, shifted by one token",
        "earlier": "the residual stream before an earlier sub-layer of the block",
        "reused_k": "keys of an earlier layer",
        "reused_v": "values of an earlier layer",
        "shared": "the output of the shared experts",
        "mask": "the attention mask",
        "prefix_k": "keys of a learned prefix",
        "prefix_v": "values of a learned prefix",
        "sinusoids": "sines and cosines of relative positions",
        "distances": "a table row for the relative position of each query and key",
        "position_bias": "a bias computed from positions (ALiBi)",
        "decay": "cumulative decays, computed from dt",
        "window": "the decay of a long filter",
        "v": "one of the streams u of a Hyena operator",
        "qn": "the non-rotary part of q",
        "qr": "the rotary part of q",
    }

    SHRINK: ClassVar[dict[str, str]] = {"d_model": "width"}
    INPUT_WIDTH: ClassVar[str] = "d_model"
    OUTPUT_WIDTH: ClassVar[str] = ""
    WIDTH_MULTIPLE: ClassVar[int] = 1  # the kind splits the stream into equal parts, whose number divides this number
    READS_EARLIER_LAYERS: ClassVar[bool] = False  # whether the kind attends to the outputs of all earlier layers
    NEEDS_SQUARE_IMAGE: ClassVar[bool] = False
    merge: int = 1  # number of positions merged into one

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Validate the type and value of every field."""
        own = self.__dict__
        for name, base, optional, default in _plan(type(self)):  # type: ignore[arg-type]
            value = own[name]
            if value is default or (optional and value is None):
                continue
            if wanted := self._wanted(name, base, value):
                error = SizeError if base == "int" else DescriptionError
                raise error(f"{name} must be {wanted}, not {short_repr(value)}", where=self.kind(), field=name)

    def _wanted(self, name: str, base: str, value: object) -> str:
        """Return the requirement that a field's value violates, or an empty string if the value is valid."""
        if base == "int":
            least = 0 if name in self.ZERO_ALLOWED else 1
            is_size = type(value) is int and least <= value <= LARGEST_SIZE
            return "" if is_size else f"an integer from {least} to {LARGEST_SIZE:.0e}"
        if base == "bool":
            return "" if type(value) is bool else "true or false"
        if base == "float":
            return "" if is_number(value) else "a finite number"
        choices = self.CHOICES.get(name)
        if base != "str" or (isinstance(value, str) and (not choices or value in choices)):
            return ""
        return f"one of {', '.join(choices)}" if choices else "a text"

    @classmethod
    def signature(cls) -> str:
        """Return the text that identifies the kind in a fingerprint."""
        return cls.__name__

    def declare(self) -> Declaration:
        """Return the axes, tensors, equations and state of this layer."""
        raise NotImplementedError

    def derive(self, **values: Any) -> None:
        """Set fields that are still ``None``. This method must only be called during construction."""
        for name, value in values.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def must_divide(self, divisor: str, dividend: str) -> None:
        """Raise a SizeError unless the field ``divisor`` divides the field ``dividend``."""
        small, large = getattr(self, divisor), getattr(self, dividend)
        if large % small:
            text, hint = f"({small}) does not divide {dividend} ({large})", f"{divisor} must divide {large}"
            raise self.size_error(divisor, text, hint=hint, divides=dividend)

    def must_not_exceed(self, field: str, limit: str) -> None:
        """Raise a SizeError if ``field`` is greater than the field ``limit``."""
        value, most = getattr(self, field), getattr(self, limit)
        if value > most:
            raise self.size_error(field, f"({value}) must not exceed {limit} ({most})", at_most=limit)

    def size_error(self, field: str, problem: str, **details: str) -> SizeError:
        """Return a SizeError for a field. The message is the field name, followed by ``problem``."""
        return SizeError(f"{field} {problem}", where=self.kind(), field=field, **details)

    def shrink_field(self, field: str, sizes: Sizes) -> int | None:
        """Return the small size of a field whose rule depends on other fields, or None to apply its rule."""
        return None

    def shrink_related(self, sizes: Sizes, small: dict[str, int]) -> dict[str, Any]:
        """Return small values of fields that must match other fields. ``small`` has the sizes from the rules."""
        return {}

    def reserve_sizes(self, sizes: Sizes, stream: int) -> None:
        """Set small widths that other layers must use. ``stream`` is the width of the residual stream."""

    def concatenated_width(self) -> int:
        """Return the width that an input layer concatenates to the residual stream."""
        return 0

    def n_concatenated_streams(self) -> int:
        """Return the number of residual streams that an output layer concatenates, or 0 for none."""
        return 0

    def n_prefix_tokens(self) -> int:
        """Return the number of tokens that an input layer inserts before the patches."""
        return 0

    def fit_patches(self, rows: int, columns: int, n_prefix: int) -> Layer:
        """Return this input layer of a vision encoder for an image of ``rows`` times ``columns`` patches."""
        return self

    def shrink_output(self, small: Self) -> Self:
        """Return the small version of an output layer of a vision encoder, given the small version in other places."""
        return small


@cache
def _plan(kind: type) -> list[tuple[str, str, bool, Any]]:
    """Return a tuple (name, type, whether None is allowed) for every field."""
    found = [(entry.name, str(entry.type), entry.default) for entry in fields(kind)]
    return [(name, text.removesuffix(" | None"), text.endswith(" | None"), default) for name, text, default in found]


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite number."""
    if type(value) is int:
        return abs(value) <= LARGEST_SIZE
    return type(value) is float and abs(value) < float("inf")
