"""Factors of a layer's projections, as in maximal update parametrisation [yang2022]."""

from __future__ import annotations

from ...core.part import Part
from ...core.record import record


@record
class Multipliers(Part):
    """Constant factors of attention.

    Attributes:
        input, output: factors of the layer's input and output (Falcon-H1).
        value: factor of the values (MiMo).
    """

    input: float = 1.0
    value: float = 1.0
    output: float = 1.0


@record
class MlpMultipliers(Part):
    """Factors of a feed-forward layer.

    Attributes:
        gate, output: constant factors of the gate before its activation and of the output (Falcon-H1).
        learned: whether the output also has a learned factor (Inkling).
    """

    gate: float = 1.0
    output: float = 1.0
    learned: bool = False


@record
class SsmMultipliers(Part):
    """Constant factors of a state-space layer (Falcon-H1).

    Attributes:
        input, output: factors of the layer's input and output.
        z, x, B, C, dt: factors of the projections.
    """

    input: float = 1.0
    output: float = 1.0
    z: float = 1.0
    x: float = 1.0
    B: float = 1.0
    C: float = 1.0
    dt: float = 1.0
