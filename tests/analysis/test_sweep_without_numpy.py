"""A sweep without NumPy has the same values, bit by bit."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.analysis import sweep
from llmcalc.inputs import grid

CASES = (
    ("gpt2", "flops.total", "seq=64,96,100000", {"extend": True}),
    ("llama3-8b", "flops.total state.bytes", "seq=1k..1M:x2 batch=1,3,7", {}),
    ("mixtral", "memory.peak memory.state", "batch=1..23:+1 seq=101,4099", {"training": True}),
    ("mixtral", "memory.peak", "weights=bf16,nf4 seq=101,211 tp=1,2", {}),
    ("gpt2", "traffic.total params.total", "seq=13,17 batch=2,3,5", {}),
    ("gpt2", "params.total", "n_layers=12,24", {}),
    ("t5-small", "flops.total", "seq=17,19 target_seq=3,5,7", {}),
    ("gemma2-2b", "flops.forward", "seq=1k,5k,9k", {}),
    ("gpt2", "flops.total", "context=1,2,30 batch=1,2", {"mode": "decode"}),
)


@pytest.mark.parametrize(("model", "quantities", "over", "settings"), CASES)
def test_values_are_equal(
    model: str, quantities: str, over: str, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = llmcalc.sweep(model, quantities.split(), over.split(), **settings)
    for module in (grid, sweep):
        monkeypatch.setattr(module, "numpy_module", lambda: None)
    found = llmcalc.sweep(model, quantities.split(), over.split(), **settings)
    assert all(isinstance(values, grid.Grid) for values in found.values.values())
    assert found.to_dict() == expected.to_dict()
    for name, values in found.values.items():
        assert values.shape == expected.values[name].shape
        assert values.ravel().tolist() == expected.values[name].ravel().tolist()


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]])
def test_a_grid_is_transposed_like_an_array(order: list[int]) -> None:
    import numpy

    values = [float(number) for number in range(2 * 3 * 5)]
    array = numpy.array(values).reshape(2, 3, 5)
    turned = grid.Grid((2, 3, 5), values).transpose(order)
    assert turned.shape == array.transpose(order).shape
    assert turned.tolist() == array.transpose(order).tolist()
