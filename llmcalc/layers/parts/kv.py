"""Keys and values that are shared, reused, learned or changed after their projection."""

from __future__ import annotations

from ...core.part import Part
from ...core.record import record
from ...core.type_names import ClassVar


@record
class Kv(Part):
    """Options of keys and values.

    Attributes:
        reused: whether the layer has no cache and uses the keys and values of an earlier layer (Gemma 3n).
        values_are_keys: whether keys also serve as values, without a value projection.
        rope: whether values are also rotated (RoFormer).
        norm: whether each value head has an unweighted norm.
        norm_eps: epsilon of the norm of the values.
        exclusive: whether each head subtracts a learned fraction of its component along the token's value (NeoMME).
        prefix: number of learned key/value pairs that a ``prefix`` layer adds for every query.
    """

    reused: bool = False
    values_are_keys: bool = False
    rope: bool = False
    norm: bool = False
    norm_eps: float = 1e-6
    exclusive: bool = False
    prefix: int | None = None

    SHRINK: ClassVar[dict[str, str]] = {"prefix": "prefix"}
