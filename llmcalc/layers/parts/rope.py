"""Rotary position embeddings [su2021] and their context extension methods."""

from __future__ import annotations

from ...core.part import Part
from ...core.record import changed, record
from ...core.type_names import Any, ClassVar


@record
class Scaling(Part):
    """Base class of the methods of context extension.

    Attributes:
        factor: scaling factor.
    """

    factor: float = 1.0


@record
class LengthScaling(Scaling):
    """Base class of methods that depend on the training context.

    Attributes:
        length: training context length in tokens, before scaling.
    """

    length: int | None = None

    POSITIONS: ClassVar[frozenset[str]] = frozenset({"length"})
    SHRINK: ClassVar[dict[str, str]] = {"length": "rope_length 8"}


@record
class Linear(Scaling):
    """Position interpolation, which divides all frequencies by the same factor.

    Attributes:
        factor: scaling factor.
    """


@record
class Dynamic(LengthScaling):
    """Dynamic NTK scaling, which increases the frequency base for sequences longer than the training context.

    Attributes:
        factor: scaling factor.
        length: training context length in tokens, before scaling.
    """


@record
class Llama3(LengthScaling):
    """Llama 3.1 scaling, which divides low frequencies by a factor and leaves high frequencies unchanged.

    Attributes:
        factor: scaling factor.
        length: training context length in tokens, before scaling.
        low_factor, high_factor: ``length`` divided by the longest and shortest wavelengths of the transition.
    """

    low_factor: float = 1.0
    high_factor: float = 4.0


@record
class Yarn(LengthScaling):
    """YaRN scaling [peng2023yarn], which divides low frequencies by a factor and leaves high frequencies unchanged.

    Attributes:
        factor: scaling factor.
        length: training context length in tokens, before scaling.
        fast, slow: bounds of the transition, as numbers of rotations within ``length`` tokens.
        truncate: whether the bounds are rounded to whole pairs.
        attention: scaling factor for sines and cosines.
    """

    fast: float = 32.0
    slow: float = 1.0
    truncate: bool = True
    attention: float = 1.0


@record
class LongRope(LengthScaling):
    """LongRoPE [ding2024] with a separate scaling factor for each rotated pair.

    Attributes:
        factor: scaling factor of the context length.
        length: training context length in tokens, before scaling.
        attention: scaling factor for sines and cosines.
        factors: one factor per pair for sequences up to ``length``, then ``|`` and one per pair for longer ones.
    """

    attention: float = 1.0
    factors: str = ""


@record
class Proportional(Scaling):
    """Rotation of only the first pairs, at the same frequencies as in a fully rotated head (Gemma 4).

    Attributes:
        factor: scaling factor.
    """


@record
class Other(LengthScaling):
    """Context extension method that the NumPy models do not implement.

    Attributes:
        factor: scaling factor.
        length: training context length in tokens, before scaling.
    """


@record
class Rope(Part):
    """Rotary positions of queries and keys.

    Attributes:
        theta: base of the frequencies.
        dim: number of rotated channels per head (default: all).
        interleaved: whether rotated pairs are (0, 1), (2, 3), ... instead of (0, r/2), (1, r/2 + 1), ...
        reversed: whether the rotation angles are negated (nanochat).
        grid: mapping of rotated pairs to patch rows and columns: ``halves`` (equal frequencies),
            ``alternate`` (alternating frequencies), ``other`` (unmodelled), or ``none`` (one dimension).
        scaling: context extension method.
    """

    theta: float = 10000.0
    dim: int | None = None
    interleaved: bool = False
    reversed: bool = False
    grid: str = "none"
    scaling: Scaling | None = None

    SHRINK: ClassVar[dict[str, str]] = {"dim": "related"}
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"grid": ("none", "halves", "alternate", "other")}
    PARTS: ClassVar[dict[str, tuple[type[Part], ...]]] = {
        "scaling": (Linear, Dynamic, Llama3, Yarn, LongRope, Proportional, Other)
    }


def fit_rope(layer: Any, *widths: str) -> None:
    """Set an unset rotary ``dim`` to the first of ``widths``, and check that ``dim`` does not exceed any width."""
    if not layer.rope:
        return
    dim = layer.rope.dim or getattr(layer, widths[0])
    for width in widths:
        if dim > getattr(layer, width):
            text = f"({dim}) must not exceed {width} ({getattr(layer, width)})"
            raise layer.size_error("rope.dim", text).under(("rope", "dim"))
    _check_factors(layer, dim // 2)
    if dim != layer.rope.dim:
        object.__setattr__(layer, "rope", changed(layer.rope, dim=dim))


def check_rope(layer: Any, width: str) -> None:
    """Check a layer that always rotates ``width`` channels: an even number, ``dim`` unset, and LongRoPE factors."""
    if layer.rope and layer.rope.dim is not None:
        text = f"is not available for {layer.kind()}, which rotates {width} channels"
        raise layer.size_error("rope.dim", text).under(("rope", "dim"))
    if layer.rope:
        rotated = getattr(layer, width)
        if rotated % 2:
            raise layer.size_error(width, f"must be even, because pairs of channels are rotated, not {rotated}")
        _check_factors(layer, rotated // 2)


def _check_factors(layer: Any, pairs: int) -> None:
    """Raise a SizeError unless ``longrope`` has two lists, each with one positive factor per pair."""
    if not isinstance(layer.rope.scaling, LongRope):
        return
    factors, path = layer.rope.scaling.factors, ("rope", "scaling", "longrope", "factors")
    parts = [part.split() for part in factors.split("|")]
    if len(parts) != 2 or any(len(part) != pairs for part in parts):
        counts = " | ".join(str(len(part)) for part in parts)
        text = f"has {counts} numbers; it must have {pairs} | {pairs}, one per rotated pair"
        raise layer.size_error("rope.scaling.longrope.factors", text).under(path)
    if not all(_is_positive(number) for part in parts for number in part):
        raise layer.size_error("rope.scaling.longrope.factors", "must contain only positive numbers").under(path)


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
