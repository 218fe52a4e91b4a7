"""Helpers for recurrent kinds: short causal convolutions and the token axes of chunked scans."""

from __future__ import annotations

Axes = dict[str, int | str]
CONV_AXES: Axes = {"qc": "q", "qd": "q", "Kt": "K - 1"}  # rows convolved in prefill, in decode, and cached
TORCH_CONV_AXES: Axes = {"qc": "q + K - 1", "qd": "q + 1", "Kt": "K"}
CHUNK_AXES: Axes = {"qz": "q", "z": "min(q, Z)"}
TORCH_CHUNK_AXES: Axes = {"qz": "ceil(q, Z) * Z", "z": "Z"}
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
