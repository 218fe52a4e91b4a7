"""What recurrent kinds share: short causal convolutions, and the token axes and traits of chunked scans."""

from __future__ import annotations

from typing import ClassVar

from ..core.layer import Layer
from ..core.traits import ModuleTensors, Roles
from .mlp import PLAIN

Axes = dict[str, int | str]
CONV_AXES: Axes = {"qc": "q", "qd": "q", "Kt": "K - 1"}  # rows convolved in prefill, in decode, and cached
TORCH_CONV_AXES: Axes = {"qc": "q + K - 1", "qd": "q + 1", "Kt": "K"}
CHUNK_AXES: Axes = {"qz": "q", "z": "min(q, Z)"}
TORCH_CHUNK_AXES: Axes = {"qz": "ceil(q, Z) * Z", "z": "Z"}


class ChunkedRecurrence(Layer):
    """Base class of recurrences that run in chunks after a short convolution, with a gated norm of the output."""

    ROLES: ClassVar[Roles] = Roles(chunks="chunk")
    IS_RECURRENT: ClassVar[bool] = True
    MODULE_TENSORS: ClassVar[ModuleTensors] = ModuleTensors(output_gate="gz", output_norm="norm", decay="A_log")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"activation": PLAIN}
    SHRINK: ClassVar[dict[str, str]] = {"d_conv": "at most 4", "chunk": "always 5 3"}


_PHASES = (("qc", "prefill"), ("qd", "decode"))


def convolve(
    name: str, axes: str, kernel: str, *, result: str = "", bias: bool = False, activation: str = ""
) -> list[str]:
    """Return the equations of a short convolution of ``name``, optionally followed by a bias and an activation.

    The result replaces the tensor ``name``, unless ``result`` is the name of another tensor.
    """
    y = result or name
    lines = [f"{y}[b {q} {axes}] = {name}[b {q} {axes}] {kernel}[{axes} K] | {phase}" for q, phase in _PHASES]
    lines += [f"{y}[b q {axes}] = add({y}, {kernel}_b)"] if bias else []
    return lines + ([f"{y}[b q {axes}] = {activation}({y})"] if activation else [])
