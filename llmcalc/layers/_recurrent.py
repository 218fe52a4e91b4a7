"""Helpers for recurrent kinds: short causal convolutions and the token axes of chunked scans."""

from __future__ import annotations

Axes = dict[str, int | str]
CONV_AXES: Axes = {"qc": "q", "qd": "q", "Kt": "K - 1"}  # rows convolved in prefill, in decode, and cached
TORCH_CONV_AXES: Axes = {"qc": "q + K - 1", "qd": "q + 1", "Kt": "K"}
CHUNK_AXES: Axes = {"qz": "q", "z": "min(q, Z)"}
TORCH_CHUNK_AXES: Axes = {"qz": "ceil(q, Z) * Z", "z": "Z"}


def convolve(name: str, axes: str, kernel: str, *, bias: bool = False, activation: str = "") -> list[str]:
    """Return the equations of a short convolution, optionally followed by a bias and an activation."""
    lines = [f"{name}[b qc {axes}] = {name}[b qc {axes}] {kernel}[{axes} K] | prefill"]
    lines += [f"{name}[b qd {axes}] = {name}[b qd {axes}] {kernel}[{axes} K] | decode"]
    lines += [f"{name}[b q {axes}] = add({name}, {kernel}_b)"] if bias else []
    return lines + ([f"{name}[b q {axes}] = {activation}({name})"] if activation else [])
