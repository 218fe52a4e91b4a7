"""The state and the memory of serving never shrink when a sequence grows, for every preset."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

import llmcalc
from llmcalc.calc.kv_cache import state as count
from llmcalc.core.form import remainder, symbol, without_remainders
from llmcalc.schema import preset_files

PRESETS = sorted(file.stem for file in Path(preset_files.shipped_folder()).glob("*.yaml"))
LENGTHS = (1, 3, 4, 5, 127, 128, 129, 511, 512, 2047, 2048, 8191, 8192, 8193, 16384, 2**17)  # around chunks and windows


@pytest.mark.parametrize("name", PRESETS)
def test_longer_sequences_never_need_less(name: str) -> None:
    model = llmcalc.load(name)
    states = [llmcalc.state(model, seq=seq, extend=True).bytes for seq in LENGTHS]
    assert states == sorted(states)
    peaks = [llmcalc.memory(model, seq=seq, extend=True).peak for seq in LENGTHS]
    assert peaks == sorted(peaks)


@pytest.mark.parametrize("model", ["llama4", "deepseek-v4-flash"])
def test_a_buffer_has_the_size_of_its_largest_contents_so_far(model: str) -> None:
    overrides = {"llama4": ["chunk=8"]}.get(model, [])
    architecture = llmcalc.load(model, overrides=overrides)
    most: dict[int, int] = {}
    for seq in range(1, 40):
        exact = count(architecture, seq=seq, contents=True)
        for index, (tensor, size) in enumerate(exact.sizes):
            most[index] = max(most.get(index, 0), size)
            assert not tensor.is_refilled
        found = count(architecture, seq=seq)
        assert [size for _, size in found.sizes] == list(most.values())
    assert any(tensor.is_refilled for tensor in found.tensors)


def test_chunks_have_the_cache_of_transformers() -> None:
    """Its cache of a chunked layer keeps the last chunk - 1 tokens."""
    model = llmcalc.load("llama4", overrides=["chunk=8"])
    for seq in (7, 8, 9, 16, 17):
        assert llmcalc.state(model, seq=seq).elements == llmcalc.state(model, seq=seq, convention="torch").elements


@pytest.mark.parametrize(
    "form",
    [
        remainder(symbol("k"), 8),
        3 * remainder(symbol("k") - 1, 5) + 2 * symbol("k"),
        symbol("k") - remainder(symbol("k"), 4),  # grows only with its remainder
    ],
    ids=str,
)
def test_a_form_without_remainders_is_the_largest_value_so_far(form) -> None:
    values = [form(k=k) for k in range(1, 30)]
    found = [without_remainders(form)(k=k) for k in range(1, 30)]
    assert all(one <= other for one, other in pairwise(found))
    assert all(one <= other for one, other in zip(values, found, strict=True))
    if len(form.terms) == 1:
        assert found == [max(values[: place + 1]) for place in range(29)]
