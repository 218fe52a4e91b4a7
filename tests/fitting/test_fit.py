"""Fits, and the most that does: the answer fits, and one more does not."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.memory.fit import largest_fitting, read_size, smallest_fitting
from llmcalc.calc.sharding import Mesh
from llmcalc.core.errors import InputError, SizeError
from llmcalc.data import table
from llmcalc.fitting.check import check_fit
from llmcalc.fitting.formats import format_candidates
from llmcalc.fitting.layouts import divisors
from llmcalc.fitting.question import Question
from llmcalc.fitting.sizes import solve_gpus, solve_size
from llmcalc.report.fit import fit_document

GIB = 2**30
H100 = {"memory_bytes": 80 * 10**9, "reserve": GIB}


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_searches_are_exact(answer: int, limit: int) -> None:
    assert largest_fitting(lambda number: number <= answer, limit) == (min(answer, limit) or None)
    assert smallest_fitting(lambda number: number - answer - 1, limit) == (answer + 1 if answer < limit else None)


def test_any_number_of_gpus_takes_no_time() -> None:
    assert all(
        divisors(number) == [one for one in range(1, number + 1) if number % one == 0] for number in range(1, 99)
    )
    begin = time.process_time()
    prime = llmcalc.fit("mixtral", "h100", count=999_983, engine="none")
    assert (prime.fits, prime.result.mesh.ranks) == (True, 2)  # one of the GPUs is unused
    with pytest.raises(llmcalc.InputError, match=r"count: the GPU count must be at most 1,000,000, not 10,000,000,000"):
        llmcalc.fit("mixtral", "h100", count=10**10, engine="none")
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("name", ["seq", "batch"])
@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("llama3-8b", {"seq": 4096}),
        ("llama3-8b", {"seq": 4096, "weights": "q4_k_m", "cache": "fp8", "page": 16}),
        ("deepseek-v2", {"seq": 4096, "weights": "mxfp4", "prefill": 512}),
        ("mamba2-2.7b", {"seq": 4096, "prefill": 1024}),
        ("llama3.2-1b", {"seq": 1024, "mode": "training", "recompute": "full"}),
    ],
)
def test_the_largest_fits_and_one_more_does_not(name: str, model: str, arguments: dict[str, Any]) -> None:
    architecture = llmcalc.load(model)
    budget = {"memory_bytes": 160 * 10**9, "reserve": GIB} if model == "deepseek-v2" else H100
    found, checked = solve_size(name, architecture, budget, {"batch": 1, **arguments})
    assert found is not None
    assert checked.fits
    if found < 2**40:
        assert check_fit(architecture, **budget, **{"batch": 1, **arguments, name: found}).fits
        assert not check_fit(architecture, **budget, **{"batch": 1, **arguments, name: found + 1}).fits


def test_learned_positions_bound_the_context() -> None:
    model = llmcalc.load("gpt2")
    assert solve_size("seq", model, H100, {"batch": 1})[0] == 1024
    assert (solve_size("seq", model, H100, {"batch": 1, "extend": True})[0] or 0) > 100_000


def test_nothing_fits() -> None:
    model = llmcalc.load("gpt3")
    assert solve_size("seq", model, H100, {"batch": 1})[0] is None
    assert check_fit(model, **H100, seq=1).headroom < -200 * GIB


def test_the_best_format_is_the_first_that_fits() -> None:
    model = llmcalc.load("llama3-70b")
    tried = Question(model, "h100", None, H100, {"seq": 4096}).try_formats(format_candidates(model, "bf16"))
    bits = [one.bits for one in tried]
    assert bits == sorted(bits, reverse=True)
    fits = [one.fit.fits for one in tried]
    assert fits == sorted(fits)
    assert tried[0].name == "bf16"
    assert not fits[0]


@pytest.mark.parametrize(("model", "count"), [("llama3-8b", 1), ("llama3-70b", 2), ("gpt3", 5)])
def test_the_fewest_that_hold_a_model(model: str, count: int) -> None:
    architecture = llmcalc.load(model)
    found = solve_gpus(architecture, H100, {"seq": 2048})
    assert found is not None
    assert found[0] == count
    for fewer in range(1, count):
        with suppress(SizeError):  # ranks that do not divide its heads
            assert not check_fit(architecture, **H100, count=fewer, seq=2048).fits


def test_the_fewest_that_train_a_model() -> None:
    architecture = llmcalc.load("llama3-8b")
    arguments = {"mode": "training", "seq": 2048, "recompute": "full"}
    found = solve_gpus(architecture, H100, arguments)
    assert found is not None
    count = found[0]
    assert count > 1
    assert not check_fit(architecture, **H100, count=count - 1, **arguments).fits
    with_tensor = solve_gpus(architecture, H100, {**arguments, "mesh": Mesh(tp=2, zero=1)})
    assert with_tensor is not None
    assert with_tensor[1].result.mesh.tp == 2


def test_ranks_are_accelerators() -> None:
    with pytest.raises(SizeError, match="ranks, but there are 8 GPUs"):
        check_fit(llmcalc.load("gpt2"), **H100, count=8, mesh=Mesh(tp=3))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["llama3-8b", "gpt-oss-20b", "jamba"]), st.integers(1, 4000), st.integers(1, 8))
def test_memory_grows_with_every_size(model: str, seq: int, batch: int) -> None:
    architecture = llmcalc.load(model)
    needed = check_fit(architecture, **H100, seq=seq, batch=batch).needed
    assert check_fit(architecture, **H100, seq=seq + 1, batch=batch).needed >= needed
    assert check_fit(architecture, **H100, seq=seq, batch=batch + 1).needed >= needed


@pytest.mark.parametrize("tensor", [2, 4, 8])
@pytest.mark.parametrize("model", ["llama3-70b", "deepseek-v3", "mixtral-8x7b"])
def test_ranks_together_hold_the_whole(model: str, tensor: int) -> None:
    architecture = llmcalc.load(model)
    whole = llmcalc.memory(architecture, seq=512, weights="q4_k_m")
    ranks = llmcalc.memory(architecture, seq=512, weights="q4_k_m", mesh=Mesh(tp=tensor))
    assert whole.weights <= ranks.weights * tensor <= whole.weights * 1.05
    assert whole.state <= ranks.state * tensor <= whole.state * tensor  # a latent is replicated, heads are not
    if model != "deepseek-v3":
        assert ranks.state * tensor == whole.state


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GiB", GIB), ("1.5 gib", 3 * GIB // 2), ("800MB", 8 * 10**8), ("5%", 4 * 10**9), ("12B", 12)],
)
def test_sizes_with_units(text: str, size: int) -> None:
    assert read_size(text, "--reserve", 80 * 10**9) == size


@pytest.mark.parametrize("text", ["", "1", "GiB", "-1GiB", "1 TiBB", "500%", "1e9B"])
def test_a_size_without_a_unit_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="with its unit"):
        read_size(text, "--reserve", 80 * 10**9)


def test_paged_caches_hold_whole_blocks() -> None:
    model = llmcalc.load("llama3-8b")
    ideal = llmcalc.memory(model, seq=1000, batch=3).state
    paged = llmcalc.memory(model, seq=1000, batch=3, page=16).state
    assert paged * 1000 == ideal * 1008
    assert llmcalc.memory(model, seq=1000, batch=3, page=1).state == ideal
    with pytest.raises(InputError, match="has no KV cache"):
        llmcalc.memory("mamba2-2.7b", seq=1000, page=16)  # its state does not grow with tokens


def test_a_quantised_cache() -> None:
    model = llmcalc.load("llama3-8b")
    plain = llmcalc.memory(model, seq=1024).state
    assert llmcalc.memory(model, seq=1024, cache="q8_0").state * 16 == plain * 8.5
    per_head = llmcalc.memory(model, seq=1024, cache="int8-head").state  # 32 bits for each 128 numbers
    assert per_head * 16 == plain * 8.25


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("deepseek-v3", {"gpu": "h100", "count": 8, "seq": 32500, "batch": 16, "engine": "none"}),
        ("llama3-8b", {"gpu": "20GB", "batch": 2, "seq": 16384, "engine": "none"}),
        ("llama3-8b", {"gpu": 16 * GIB, "batch": 31, "engine": "none"}),
        ("llama3.2-1b", {"gpu": "12GB:2", "training": True, "mesh": Mesh(dp=2, zero=3)}),
    ],
)
def test_each_change_fits_with_its_settings(model: str, settings: dict[str, Any]) -> None:
    result = llmcalc.fit(model, **settings)
    assert not result.fits
    assert result.changes
    for change in result.changes:
        counted = {"gpu": result.accelerator.name if result.accelerator else settings["gpu"]}
        found = llmcalc.fit(
            model, **{**settings, **(counted if "gpu" not in change.settings else {}), **change.settings}
        )
        assert found.fits
        assert (found.needed, found.count) == (change.result.needed, change.result.count)


def test_changes_are_minimal_and_cheapest_first() -> None:
    result = llmcalc.fit("llama3.3-70b", "h100:2", weights="fp8", seq=131_072, batch=3, engine="none")
    assert [set(change.settings) for change in result.changes] == [{"cache"}, {"batch"}, {"seq"}]
    assert llmcalc.fit("llama3.3-70b", "h100:2", weights="fp8", engine="none").changes == ()
    assert llmcalc.fit("llama3-70b", "h100", solve="seq", engine="none").changes == ()


@pytest.mark.parametrize(
    ("model", "name", "own"),
    [
        ("llama3-8b", "seq", {}),
        ("gemma2-9b", "seq", {"batch": 7, "cache": "fp8"}),
        ("qwen3-8b", "seq", {"mode": "training", "lora_rank": 5, "mesh": Mesh()}),
        ("jamba", "seq", {"mesh": Mesh(tp=2, pp=2), "count": 4}),
    ],
)
def test_sizes_are_solved_with_few_checks(
    model: str, name: str, own: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Any] = []

    def counted(*args: Any, **words: Any) -> Any:
        checked.append(words[name])
        return check_fit(*args, **words)

    monkeypatch.setattr("llmcalc.fitting.sizes.check_fit", counted)
    settings = {"mode": "inference", "seq": 127, **own}
    budget = {**H100, "count": settings.pop("count", 1)}
    size, found = solve_size(name, llmcalc.load(model), budget, {**settings, "extend": True})
    assert size is not None
    assert len(checked) < 15  # bisection takes more, and those after the first evaluate a form
    assert found.fits
    assert not check_fit(llmcalc.load(model), **budget, **{**settings, "extend": True, name: size + 1}).fits


def test_the_largest_context_is_at_most_what_the_model_accepts() -> None:
    found = llmcalc.fit("llama3.1-8b", "h100", solve="seq", engine="none")
    assert found.solution is not None
    assert (found.solution.value, found.solution.in_memory) == (131_072, 511_457)
    assert (found.result.workload.seq, found.fits) == (131_072, True)
    document = fit_document(found)
    assert document.title == "✓ largest context in plain memory: 131,072 tokens, the most that the model accepts"
    longer = llmcalc.fit("llama3.1-8b", "h100", solve="seq", extend=True, engine="none").solution
    assert longer is not None
    assert (longer.value, longer.in_memory) == (511_457, None)
    small = llmcalc.fit("llama3.1-8b", "rtx3090", solve="seq", engine="none").solution
    assert small is not None
    assert small.in_memory is None
    assert small.value < 131_072


def test_a_context_beyond_the_model_has_a_warning() -> None:
    text = "requests of 204,800 tokens exceed the 131,072 that the model accepts"
    assert text in fit_document(llmcalc.fit("llama3.1-8b", "h100", seq=204_800, engine="none")).warnings
    assert not fit_document(llmcalc.fit("llama3.1-8b", "h100", seq=131_072, engine="none")).warnings


@pytest.mark.parametrize("solve", ["seq", "batch"])
@pytest.mark.parametrize(("model", "gpu"), [("llama3.3-70b", "h100"), ("qwen3-30b-a3b", "l40s")])
def test_more_gpus_hold_no_less(model: str, gpu: str, solve: str) -> None:
    own: dict[str, Any] = {"extend": True} if solve == "seq" else {"seq": 8192}
    before = 0
    for count in (2, 3, 4, 5, 6, 8, 12, 16):
        solution = llmcalc.fit(model, f"{gpu}:{count}", solve=solve, **own, engine="none").solution
        assert solution is not None
        size = int(solution.value or 0)
        assert size >= before
        assert not size or not llmcalc.fit(model, f"{gpu}:{count}", **{**own, solve: size + 1}, engine="none").fits
        before = size


@pytest.mark.parametrize(("gpu", "is_outside"), [("rtx4090", True), ("m4-16gb", True), ("gb10", False)])
def test_the_input_table_in_unified_memory_counts(gpu: str, is_outside: bool) -> None:
    """Metal leaves room for it beside what the GPU may use. A DGX Spark lends all of its memory to the GPU."""
    found, table = llmcalc.fit("qwen3-8b", gpu, weights="q4_k_m", engine="none"), 151936 * 4096 * 4.5 / 8
    assert found.result.host == (table if is_outside else 0)
    assert found.needed == found.result.peak - found.result.host


def test_little_room_beside_the_gpu_is_filled_first() -> None:
    """Of 16 GB that a Mac shares, 2.6 GiB remain for programs beside a GPU with 10.3 GiB, and 0.1 beside 12.8 GiB."""
    mac = llmcalc.fit("qwen3-8b", "m4-16gb", weights="q4_k_m", gpu_memory="12.8GiB", engine="none")
    assert mac.accelerator
    assert mac.result.host == mac.accelerator.shared_bytes - round(12.8 * 2**30)


def test_no_format_of_llama_cpp_with_more_bits_fits_than_the_best_one() -> None:
    found = llmcalc.fit("llama3.3-70b", gpu="rtx4090", solve="quant", engine="none").solution
    assert found is not None
    best, bits = str(found.value), {one.name: one.bits for one in found.candidates}
    finer = [name for name in table("mixtures") if "ud-" not in name and bits.get(name, 0) > bits[best]]
    assert not {"q4_1", "q5_0", "q5_1"} & set(bits)  # larger and less accurate than q4_k_m or q5_k_s
    assert {"iq2_m", "q2_k_s"} <= set(finer)
    assert not any(llmcalc.fit("llama3.3-70b", gpu="rtx4090", weights=name, engine="none").fits for name in finer)
    assert all(
        llmcalc.fit("llama3.3-70b", gpu="rtx4090", weights=name, engine="none").fits
        for name in ("iq2_s", "iq2_xs", best)
    )
