"""Helpers for recurrent kinds, such as short causal convolutions and the chunked gated delta rule."""

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


def delta_rule(keys: str, gate: str, *, decay_per_channel: bool) -> list[str]:
    """Return the equations of the gated delta rule, the norm, the output gate and the output projection."""
    shared = "" if keys == "vh" else f"{keys}:vh "
    inner, outer = (" elementwise", "") if decay_per_channel else ("", " elementwise")
    within = [f"ut[b qz vh z] = kb[b qz vh dk] k[b z {keys} dk] | {shared}prefill scan{inner}"]
    within += [] if decay_per_channel else ["ut[b qz vh z] = mul(ut, decay) | prefill scan"]
    within += [f"s[b qz vh z] = q[b qz {keys} dk] k[b z {keys} dk] | {shared}prefill scan{inner}"]
    within += [] if decay_per_channel else ["s[b qz vh z] = mul(s, decay) | prefill scan"]
    return [
        "vb[b q vh dv] = mul(v, beta) | prefill scan",
        "kb[b q vh dk] = mul(k, beta) | prefill scan",
        *within,
        f"u[b qz vh dv] = ut[b qz vh z] vb[b z vh dv] | prefill scan{outer}",
        f"w[b qz vh dk] = ut[b qz vh z] kb[b z vh dk] | prefill scan{outer}",
        "old[b qz vh dv] = w[b qz vh dk] S[b vh dk dv] | prefill scan",
        "u[b qz vh dv] = add(u, old) | prefill scan",
        f"o[b qz vh dv] = q[b qz {keys} dk] S[b vh dk dv] | {shared}prefill scan",
        "oi[b qz vh dv] = s[b qz vh z] u[b z vh dv] | prefill scan",
        "o[b qz vh dv] = add(o, oi) | prefill scan",
        f"S[b vh dk dv] = k[b qz {keys} dk] u[b qz vh dv] | {shared}prefill scan",
        "o[b q vh dv] = gated_delta(S[b vh dk dv], q, k) | decode",
        "o[b q vh dv] = rmsnorm(o, norm)",
        f"gz[b q vh dv] = {gate}(z)",
        "o[b q vh dv] = mul(o, gz)",
        "y[b q d] = o[b q vh dv] wo[vh dv d]",
    ]
