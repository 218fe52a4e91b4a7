"""Kinds that add to attention."""

from __future__ import annotations

from typing import TypeVar

from ..core.errors import SizeError
from .attention import Attention

Kind = TypeVar("Kind", bound=type[Attention])


def with_its_fields(kind: Kind) -> Kind:
    """A kind that adds to attention, with attention's fields described in its own docstring."""
    text, _, own = (kind.__doc__ or "").strip().partition("\n\n    Attributes:")
    kind.__doc__ = f"{text}\n\n    {(Attention.__doc__ or '').partition('over heads.')[2].strip()}{own}"
    return kind


def must_see_both_ways(layer: Attention) -> None:
    """Raise a SizeError for a kind that is defined for an encoder's tokens alone, if it is said to be another's."""
    for name in ("causal", "cross", "window", "chunk", "prompt", "prefix"):
        if getattr(layer, name):
            raise SizeError(f"{name} goes with attention of a decoder", where=layer.kind())
