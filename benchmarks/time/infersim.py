"""Compare the closed forms of kernels with tables of GPUs that no coefficient is fitted to.

    git clone https://github.com/alibaba/InferSim
    python -m benchmarks.time.infersim InferSim/bench_data

Prints the mean and median absolute error and the mean ratio of the estimate to the measurement, for each kind of kernel
and GPU. InferSim (Apache-2.0) measured DeepGEMM, FlashInfer, FlashAttention-3 and FlashMLA on H20 and H800, whose
coefficients are those of their sibling H100.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from llmcalc.api.accelerators import accelerators
from llmcalc.api.efficiencies import efficiencies
from llmcalc.api.names import number_format
from llmcalc.core.form import pairs
from llmcalc.estimate.time import kernels

Line = dict[str, str]
MICRO = 1e-6
CACHE_BYTES = 2.0
DECODE = ("dtype", "kv_dtype", "batch_size", "kv_len", "latency_us", "mfu")  # of a table without names


class Gpu:
    """Figures and coefficients of a GPU."""

    def __init__(self, name: str) -> None:
        self.card, self.found = accelerators()[name], efficiencies()
        self.device = self.found.device(self.card)

    def coefficients(self, kind: str, kernel: str = "") -> dict[str, float]:
        """Return the coefficients that steps take."""
        return dict(self.found.coefficients(kind, self.card.name, kernel, frozenset()).values)

    def computing(self, name: str):
        """Return how the GPU computes with a number format."""
        return self.found.operands(self.card, number_format(name))


def gemm(gpu: Gpu, line: Line, _: Path) -> tuple[float, float]:
    """Return the estimated and the measured time of a product in fp8 with blocks of scales."""
    m, k, n = (float(line[name]) for name in "mkn")
    own = gpu.computing("fp8-block")
    time = kernels.gemm(m, n, k, n * k, gpu.device, own.peak, gpu.coefficients("gemm", own.kernel),
                        activation_bytes=own.activation_bytes, alone=True)  # fmt: skip
    return time, float(line["latency_us"]) * MICRO


def experts(gpu: Gpu, line: Line, _: Path) -> tuple[float, float]:
    """Return the times of both products of experts in fp8 with blocks of scales."""
    local, width, inner = (float(line[name]) for name in ("num_local_experts", "hidden_size", "intermediate_size"))
    rows, own = float(line["tokens_per_expert"]) * local, gpu.computing("fp8-block")
    elements = 3 * width * inner
    time = kernels.grouped_gemm(rows, local, local, elements, width, inner, elements, gpu.device, own.peak,
                                gpu.coefficients("experts", own.kernel), alone=True)  # fmt: skip
    return time, (float(line["up_proj_us"]) + float(line["down_proj_us"])) * MICRO


def decode(gpu: Gpu, line: Line, path: Path) -> tuple[float, float] | None:
    """Return the times of attention in a decode step."""
    if line.get("kv_dtype", "bf16") != "bf16":
        return None
    batch, keys = float(line["batch_size"]), float(line["kv_len"])
    first, second, third = (int(part) for part in path.stem.split("-"))
    peak = gpu.computing("bf16").peak
    if "mla" in path.parts:
        own = gpu.coefficients("latent_attention_decode", "bf16")
        time = kernels.latent_attention_decode(batch, keys, first, second, third, gpu.device, peak, own,
                                               cache_bytes=CACHE_BYTES, alone=True)  # fmt: skip
    else:
        own = gpu.coefficients("attention_decode", "bf16")
        time = kernels.attention_decode(batch, keys, first, second, third, third, gpu.device, peak, own,
                                        cache_bytes=CACHE_BYTES, alone=True)  # fmt: skip
    return time, float(line["latency_us"]) * MICRO


def prefill(gpu: Gpu, line: Line, path: Path) -> tuple[float, float]:
    """Return the times of attention of one prompt."""
    tokens, (heads, second, third) = float(line["seq_len"]), (int(part) for part in path.stem.split("-"))
    is_latent = "mla" in path.parts
    key_heads, key, value = (heads, second + third, second) if is_latent else (second, third, third)
    own = gpu.coefficients("latent_attention_prefill" if is_latent else "attention_prefill", "bf16")
    peak, n_pairs = gpu.computing("bf16").peak, pairs(tokens, tokens)
    time = kernels.attention_prefill(1.0, tokens, n_pairs, tokens, heads, key_heads, key, value, gpu.device, peak, own,
                                     cache_bytes=CACHE_BYTES, alone=True)  # fmt: skip
    return time, float(line["latency_us"]) * MICRO


KINDS: dict[str, tuple[str, Callable[..., tuple[float, float] | None]]] = {
    "GEMM in fp8": ("gemm/{gpu}/*.csv", gemm),
    "routed experts in fp8, decoding": ("grouped_gemm/decode/{gpu}/*.csv", experts),
    "routed experts in fp8, prefill": ("grouped_gemm/prefill/{gpu}/*.csv", experts),
    "attention in prefill": ("mha/prefill/{gpu}/*.csv", prefill),
    "attention in decoding": ("mha/decode/{gpu}/*.csv", decode),
    "latent attention in prefill": ("mla/prefill/{gpu}/*.csv", prefill),
    "latent attention in decoding": ("mla/decode/{gpu}/*.csv", decode),
}


def times(folder: Path, gpu: Gpu, pattern: str, form: Callable[..., tuple[float, float] | None]) -> Iterator:
    """Yield the estimated and the measured time of each row."""
    for path in sorted(folder.glob(pattern.format(gpu=gpu.card.name))):
        lines = path.read_text("utf-8").splitlines()
        names = DECODE if lines[0].startswith("bf16") else None
        for line in csv.DictReader(lines, names):
            found = form(gpu, line, path)
            if found:
                yield found


def main(folder: Path) -> None:
    """Print the errors of every kind of kernel."""
    for name, (pattern, form) in KINDS.items():
        for gpu in map(Gpu, ("h20", "h800")):
            found = np.array(list(times(folder, gpu, pattern, form)))
            if len(found):
                ratio = found[:, 0] / found[:, 1]
                error = 100 * np.abs(ratio - 1)
                mean = np.exp(np.log(ratio).mean())
                row = f"{len(found)}, {error.mean():.1f}, {np.median(error):.1f}"
                print(f'- ["{name}, {gpu.card.name}", {row}]  # ratio {mean:.2f}')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
