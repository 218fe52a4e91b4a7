"""The observer counts the operations that NumPy executes."""

from __future__ import annotations

import numpy as np

import llmcalc
from llmcalc.twins.observer import Observer


def test_matmul_flops_are_two_per_multiply_accumulate() -> None:
    observer = Observer()
    _ = observer.watch(np.ones((2, 3))) @ np.ones((3, 5))
    assert observer.matmul_flops == 2 * 2 * 3 * 5
    _ = np.einsum("bij,jk->bik", np.ones((7, 2, 3)), observer.watch(np.ones((3, 5))))
    assert observer.matmul_flops == 2 * 2 * 3 * 5 * (1 + 7)


def test_elementwise_work_and_bytes() -> None:
    observer = Observer()
    x = observer.watch(np.ones((2, 3)))
    _ = np.exp(x + 1.0)
    assert observer.elementwise == 2 * 2 * 3
    assert observer.bytes == 4 * 2 * 3 * 8
    assert observer.matmul_flops == 0


def test_contractions_move_their_operands_and_results() -> None:
    observer = Observer()
    x = observer.watch(np.ones((2, 3)))
    _ = x @ np.ones((3, 5))
    assert observer.matmul_elements == 2 * 3 + 3 * 5 + 2 * 5
    _ = np.exp(x)
    _ = np.einsum("ij,jk->ik", x[:0], np.ones((3, 5)))  # without rows, nothing is read
    assert observer.matmul_elements == 2 * 3 + 3 * 5 + 2 * 5


def test_selected_rows_of_weights_are_counted() -> None:
    model = llmcalc.twin(llmcalc.load("gpt2").shrink())
    name, weight = next(iter(model.tensors.items()))
    with Observer().weights_of(model) as observer:
        _ = (
            model.tensors[name][1],
            model.tensors[name][np.array([[0, 1, 1]])],
            model.tensors[name][:1],
            model.tensors[name].T[0],
        )
    assert observer.n_reads == {name: 1 + 3}
    assert model.tensors[name] is weight


def test_results_of_watched_arrays_are_watched() -> None:
    observer = Observer()
    x = observer.watch(np.ones((2, 3)))
    for moved in (
        x.T,
        x[0],
        x.reshape(3, 2),
        np.concatenate([x, x]),
        np.stack([np.ones((2, 3)), x]),
        np.where(x > 0, x, 0.0),
    ):
        assert getattr(moved, "observer", None) is observer


def test_observing_does_not_change_results() -> None:
    model = llmcalc.twin(llmcalc.load("llama3").shrink())
    ids = np.arange(3, 12)[None]
    plain = model.forward(ids)
    with Observer().weights_of(model) as observer:
        watched = model.forward(ids)
    assert np.array_equal(plain, np.asarray(watched))
    assert observer.elementwise > 0
    assert type(next(iter(model.tensors.values()))) is np.ndarray


def test_cache_size_is_the_sum_of_its_arrays() -> None:
    model = llmcalc.twin(llmcalc.load("llama3").shrink())
    _, cache = model.prefill(np.arange(3, 12)[None])
    assert cache.bytes == 8 * cache.elements
    assert cache.length == 9
