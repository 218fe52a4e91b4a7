"""No kernel takes less time for a token, a sequence or a cached token more, on any accelerator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from llmcalc.data import table
from llmcalc.inputs.gpus import accelerators
from llmcalc.kernels import kernels
from llmcalc.kernels.efficiencies import efficiencies
from llmcalc.kernels.kernels import Device
from llmcalc.kernels.unified_attention import unified_attention_decode, unified_attention_prefill

SIZES, PEAK, NEAR = np.arange(1.0, 4999.0), 1e15, 1e-9
SHAPES = ((1280, 8192), (1536, 7168), (2112, 7168), (7168, 2048), (28672, 4096), (151_936, 2560))  # columns, inner
EXPERTS = ((8, 2, 1, 4096, 14_336), (256, 8, 8, 7168, 2048), (16, 1, 1, 5120, 8192), (64, 6, 4, 2048, 1408))
HEADS, FEW = ((32, 8), (64, 8), (8, 1), (40, 40)), (1, 3, 17, 127)
WINDOWS = (128, 1024, 4096)
Coefficients = Mapping[str, float]
Times = dict[str, np.ndarray]


def pairs_of(window: int) -> np.ndarray:
    """Return the visible pairs of prompts in a sliding window."""
    seen = np.minimum(SIZES, window)
    return seen * (seen + 1) / 2 + (SIZES - seen) * window


def gemm(device: Device, c: Coefficients) -> Times:
    return {f"{n} x {k}": kernels.gemm(SIZES, n, k, n * k, device, PEAK, c) for n, k in SHAPES}


def experts(device: Device, c: Coefficients) -> Times:
    def layer(number: int, chosen: int, ranks: int, width: int, inner: int) -> np.ndarray:
        rows, touched = kernels.busiest_rank(SIZES, chosen, number, ranks)
        own = 3 * width * inner
        return kernels.grouped_gemm(rows, touched, number / ranks, own, width, inner, 2 * own, device, PEAK, c)

    return {str(sizes): layer(*sizes) for sizes in EXPERTS}


def attention_decode(device: Device, c: Coefficients) -> Times:
    def decode(sequences: object, keys: object, heads: int, key_heads: int) -> np.ndarray:
        return kernels.attention_decode(sequences, keys, heads, key_heads, 128, 128, device, PEAK, c)  # type: ignore[arg-type]

    return {
        **{f"{heads}, {n} sequences": decode(n, 7 * SIZES, *heads) for heads in HEADS for n in FEW},
        **{f"{heads}, {n} keys": decode(SIZES, 977 * n, *heads) for heads in HEADS for n in FEW},
    }  # fmt: skip


def latent_attention_decode(device: Device, c: Coefficients) -> Times:
    def decode(sequences: object, keys: object, heads: int) -> np.ndarray:
        return kernels.latent_attention_decode(sequences, keys, heads, 512, 64, device, PEAK, c)  # type: ignore[arg-type]

    return {
        **{f"{heads}, {n} sequences": decode(n, 7 * SIZES, heads) for heads in (16, 128) for n in FEW},
        **{f"{heads}, {n} keys": decode(SIZES, 977 * n, heads) for heads in (16, 128) for n in FEW},
    }  # fmt: skip


def prefills(form: Callable[..., np.ndarray], device: Device, *rest: object) -> Times:
    """Return the times of prompts after cached tokens, and in sliding windows."""
    found: Times = {}
    for heads in HEADS:
        for n in FEW[:3]:
            for cached in (0, 997, 100_003):
                seen = SIZES * (SIZES + 1) / 2 + SIZES * cached
                found[f"{heads}, {n}, {cached}"] = form(n, SIZES, seen, SIZES + cached, *heads, 128, 128, device, *rest)
            for window in WINDOWS:
                longest = np.minimum(SIZES, window)
                found[f"{heads}, {n}, window {window}"] = form(
                    n, SIZES, pairs_of(window), longest, *heads, 128, 128, device, *rest
                )
    return found


def unified_decode(device: Device, c: Coefficients) -> Times:
    def decode(sequences: object, keys: object, heads: tuple[int, int], mixed: bool) -> np.ndarray:
        return unified_attention_decode(sequences, keys, *heads, 128, 128, device, c, mixed=mixed)  # type: ignore[arg-type]

    each = [(heads, n, mixed) for heads in HEADS for n in FEW for mixed in (False, True)]
    return {
        **{f"{heads}, {n} sequences, {mixed}": decode(n, 7 * SIZES, heads, mixed) for heads, n, mixed in each},
        **{f"{heads}, {n} keys, {mixed}": decode(SIZES, 977 * n, heads, mixed) for heads, n, mixed in each},
    }  # fmt: skip


FORMS: Mapping[str, Callable[[Device, Coefficients], Times]] = {
    "gemm": gemm, "experts": experts, "attention_decode": attention_decode,
    "latent_attention_decode": latent_attention_decode, "unified_attention_decode": unified_decode,
    "attention_prefill": lambda device, c: prefills(kernels.attention_prefill, device, PEAK, c),
    "latent_attention_prefill": lambda device, c: prefills(kernels.attention_prefill, device, PEAK, c),
    "unified_attention_prefill": lambda device, c: prefills(unified_attention_prefill, device, c),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMS)
def test_more_tokens_take_no_less_time(kind: str) -> None:
    known = {card.name: card for card in accelerators().values()}
    found = list[str]()
    for place, own in table(f"efficiency/{kind}")["coefficients"].items():
        device = efficiencies().device(known.get(place, known["h100-sxm"]))
        for kernel, c in own.items():
            for shape, times in FORMS[kind](device, c).items():
                shorter = times[1:] / times[:-1] - 1
                if shorter.min() < -NEAR:
                    found.append(f"{place} {kernel} {shape}: {shorter.min():.1%} at {SIZES[shorter.argmin() + 1]:g}")
    assert found == []
