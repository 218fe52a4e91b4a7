"""FLOPs of Mamba-2 layers, compared with the shapes of the tensors that the published Triton kernels allocate.

The shapes are those of ``state-spaces/mamba`` (``mamba_ssm/ops/triton``: ``ssd_bmm``, ``ssd_chunk_state`` and
``ssd_chunk_scan``), and the sizes those of the configs, not of the presets.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import pytest

import llmcalc

BATCH, SEQ = 3, 2048


class Config(NamedTuple):
    """Sizes of the config of a model, with the number of its Mamba-2 layers."""

    layers: int
    d_model: int
    nheads: int
    headdim: int
    dstate: int
    ngroups: int
    chunk: int


CONFIGS = {
    "mamba2-2.7b": Config(64, 2560, 80, 64, 128, 1, 256),
    "nemotron-h-8b": Config(24, 4096, 128, 64, 128, 8, 128),
    "nemotron-h-56b": Config(54, 8192, 256, 64, 256, 8, 128),
    "nemotron-3-nano-30b-a3b": Config(23, 2688, 64, 64, 128, 8, 128),
    "zamba2-2.7b": Config(54, 2560, 80, 64, 64, 1, 256),
    "granite4-h-small": Config(36, 4096, 128, 64, 128, 1, 256),
    "bamba-9b": Config(29, 4096, 128, 64, 128, 1, 256),
}
CONV = 4  # taps of the short convolution of all of these models


def kernels(one: Config, groups: int) -> dict[str, int]:
    """FLOPs of each kernel for one layer: twice the size of its result, times the length of the sum."""
    nchunks, n_tokens = SEQ // one.chunk, BATCH * SEQ
    inner = one.nheads * one.headdim
    shapes = {  # of a result, and the number of products in each of its entries
        "in_proj": ((n_tokens, 2 * inner + 2 * one.ngroups * one.dstate + one.nheads), one.d_model),
        "causal_conv1d": ((n_tokens, inner + 2 * one.ngroups * one.dstate), CONV),
        "_bmm_chunk_fwd": ((BATCH, nchunks, groups, one.chunk, one.chunk), one.dstate),
        "_chunk_state_fwd": ((BATCH, nchunks, one.nheads, one.headdim, one.dstate), one.chunk),
        "_chunk_scan_fwd, C @ states": ((BATCH, SEQ, one.nheads, one.headdim), one.dstate),
        "_chunk_scan_fwd, CB @ x": ((BATCH, SEQ, one.nheads, one.headdim), one.chunk),
        "out_proj": ((n_tokens, one.d_model), inner),
    }
    return {name: 2 * prod(shape) * summed for name, (shape, summed) in shapes.items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_flops_are_those_of_the_shapes_of_published_kernels(name: str) -> None:
    one = CONFIGS[name]
    found = llmcalc.flops(name, batch=BATCH, seq=SEQ).by_component["mamba2"]
    assert found.forward == one.layers * sum(kernels(one, one.ngroups).values())


@pytest.mark.parametrize("name", CONFIGS)
def test_eager_code_multiplies_for_each_head(name: str) -> None:
    one = CONFIGS[name]

    def scores(convention: str | None) -> int:
        result = llmcalc.flops(name, batch=BATCH, seq=SEQ, convention=convention)
        works = [work for work in result.works if work.entry.layer.kind() == "mamba2" and work.equation.out.name == "s"]
        return result.of(works).forward

    assert scores(None) == one.layers * kernels(one, one.ngroups)["_bmm_chunk_fwd"]
    assert scores("torch") == one.layers * kernels(one, one.nheads)["_bmm_chunk_fwd"]
