"""The walk through changed settings, and the candidates that its providers propose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.memory.fit import Fit
from llmcalc.core.errors import InputError
from llmcalc.core.record import changed
from llmcalc.fitting.advice import Change, advice
from llmcalc.search.serving_changes import serving_changes
from llmcalc.search.serving_search import ServingSearch
from llmcalc.serving.result import ServingResult
from llmcalc.serving.running_changes import running_changes
from llmcalc.serving.start.changes import start_changes
from llmcalc.serving.start.layout_error import fewer_ranks
from llmcalc.serving.start.start import Start
from llmcalc.training.rl_changes import rl_changes

Tried = list[dict[str, Any]]


def walk(kinds: list[Tried], **more: Any) -> Tried:
    """Return the changes whose sum is more than 1."""

    def attempt(settings: dict[str, Any]) -> Change:
        if None in settings.values():
            raise InputError("not allowed")
        return Change(settings, sum(settings.values()))

    return [change.settings for change in advice(lambda _: kinds, attempt, lambda size: size > 1, **more)]


def test_the_cheapest_change_of_each_kind_that_helps_is_found() -> None:
    assert walk([[{"a": 1}, {"a": 2}, {"a": 3}], [{"b": 1}], [{"c": 2}]]) == [{"a": 2}, {"c": 2}]
    assert walk([[{"a": 2}, {"a": 3}]], choose=lambda changes: max(changes, key=lambda one: one.result)) == [{"a": 3}]
    assert walk([[{name: 2}] for name in "abcde"]) == [{"a": 2}, {"b": 2}, {"c": 2}]
    assert len(walk([[{name: 2}] for name in "abcde"], most=None)) == 5


def test_settings_that_are_not_allowed_do_not_help() -> None:
    assert walk([[{"a": None}, {"a": 2}], [{"b": None}]]) == [{"a": 2}]

    def broken() -> Iterator[dict[str, Any]]:
        yield {"a": 1}
        raise InputError("not allowed")

    assert walk([broken(), [{"b": 2}]]) == [{"b": 2}]  # type: ignore[list-item]


def test_no_change_contains_another_one() -> None:
    assert walk([[{"a": 2}], [{"a": 2, "b": 2}], [{"b": 2}]]) == [{"a": 2}, {"b": 2}]
    assert len(walk([[{"a": 2}], [{"a": 2, "b": 2}]], repeats=lambda *_: False)) == 2


def test_a_provider_knows_what_was_found() -> None:
    def kinds(found: Sequence[Change]) -> Iterator[Tried]:
        yield [{"a": 1}]
        assert not found
        yield [{"a": 2}]
        if not found:
            yield [{"b": 2}]

    changes = advice(kinds, lambda own: Change(own, sum(own.values())), lambda size: size > 1)
    assert [change.settings for change in changes] == [{"a": 2}]


def recorded(result: Any) -> tuple[Tried, Callable[[Any], Any]]:
    """Return a list, and a function that adds changed settings to it and returns the same result."""
    tried = Tried()

    def retry(change: Any) -> Any:
        tried.append(dict(change))
        return result

    return tried, retry


def candidates_of_fit(monkeypatch: pytest.MonkeyPatch, model: str, **settings: Any) -> Tried:
    """Return the candidates that are tried. None of them fits."""
    tried = Tried()

    def check(architecture: Any, **own: Any) -> Fit:
        if (own["batch"], own["seq"]) == (1, 1):  # the smallest workload
            return Fit(1, 0, 0, 1, None)
        tried.append(own)
        return Fit(0, 0, 1, 1, None)

    found = llmcalc.fit(model, "24GB", **settings, engine="none")
    monkeypatch.setattr("llmcalc.fitting.question.check_fit", check)
    assert not found.fits
    assert found.changes == ()
    names = ("step_tokens", "cache", "weights", "batch", "seq", "count", "loss", "recompute", "optimizer", "lora_rank")
    usual = {"batch": settings["batch"], "seq": settings["seq"], "count": 1}
    return [{name: own[name] for name in names if own.get(name) != usual.get(name)} for own in tried]


def test_what_is_tried_if_a_model_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = candidates_of_fit(monkeypatch, "llama3.1-8b", batch=4, seq=65_536)
    assert [own for own in tried if len(own) == 1] == [
        {"step_tokens": 2048}, {"step_tokens": 512}, {"cache": "fp8"}, {"weights": "fp8"}, {"weights": "q8_0"},
        {"weights": "q6_k"}, {"weights": "q5_k_m"}, {"weights": "q4_k_m"}, {"weights": "awq-int4-g128"},
        {"weights": "nvfp4"}, {"weights": "mxfp4"}, {"seq": 11_264}, {"count": 3}, {"weights": "q3_k_m"},
        {"weights": "iq3_m"}, {"weights": "q2_k"}, {"weights": "iq2_m"}, {"weights": "iq2_xxs"},
    ]  # fmt: skip
    assert [" ".join(kind) for kind in dict.fromkeys(tuple(own) for own in tried)] == [
        "step_tokens", "cache", "step_tokens cache", "weights", "seq", "count", "cache weights", "cache batch",
        "cache seq", "weights batch", "weights seq", "cache weights batch", "cache weights seq",
    ]  # fmt: skip
    assert [own["batch"] for own in tried if own.keys() == {"cache", "batch"}] == [2, 1]
    assert [own["seq"] for own in tried if own.keys() == {"cache", "seq"}] == [32_768, 16_384, 8192]
    files = {own["cache"] for own in tried if own.get("weights") in ("q8_0", "q4_k_m", "iq2_m") and "cache" in own}
    assert files == {"q8_0"}  # llama.cpp reads them


def test_what_is_tried_if_a_training_step_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = candidates_of_fit(monkeypatch, "llama3.2-1b", batch=4, seq=16_384, training=True)
    assert [own for own in tried if len(own) == 1] == [
        {"loss": "fused"}, {"recompute": "op"}, {"recompute": "full"}, {"optimizer": "adam-8bit"},
        {"lora_rank": 16}, {"weights": "nf4"},
    ]  # fmt: skip
    kinds = [set(kind) for kind in dict.fromkeys(tuple(own) for own in tried)]
    saved, both = {"recompute"}, {"loss", "recompute"}
    methods: list[set[str]] = [{"optimizer"}, {"lora_rank"}, {"weights"}, {"lora_rank", "weights"}]
    by_method = [kind for method in methods for kind in (method, method | saved, method | both)]
    smaller = [{name} | kind for kind in (saved, both) for name in ("batch", "seq")]
    assert kinds == [{"loss"}, saved, both, *by_method, *smaller]


def test_what_is_tried_if_an_engine_does_not_start() -> None:
    refused = llmcalc.serve(command="vllm serve Qwen/Qwen3-32B -tp 4", gpu="rtx4090:2")
    assert isinstance(refused, Start)
    tried, predict = recorded(refused)
    assert not [*start_changes(refused, predict)]
    steps = {"enforce_eager": True, "max_num_batched_tokens": 512}
    assert tried == [
        {"expert_parallel": True}, {"tp": 2}, {"tp": 1, "pp": 2}, {"tp": 1}, {"max_model_len": 25_600}, {"share": 0.95},
        {"cache": "fp8"}, {"max_num_seqs": 64}, {"max_num_seqs": 16}, {"enforce_eager": True},
        {"max_num_batched_tokens": 512}, steps, {**steps, "max_num_seqs": 16}, {"weights": "fp8"},
        {"weights": "fp8", "max_model_len": 32_768}, {"tp": 2, "pp": 2, "gpus": 4}, {"weights": "fp8", "gpus": 4},
    ]  # fmt: skip
    full = llmcalc.serve(command="vllm serve Qwen/Qwen3-32B -tp 2 --dtype bfloat16", gpu="t4:2")
    assert isinstance(full, Start)
    tried, predict = recorded(full)
    assert not [*start_changes(full, predict)]
    assert {"max_num_seqs": 64, "max_model_len": 8192, "dtype": "fp16"} in tried
    assert all(change["dtype"] == "fp16" for change in tried)


def test_fewer_ranks_are_divisors() -> None:
    refused = llmcalc.serve(command="vllm serve Qwen/Qwen3-32B -tp 4", gpu="rtx4090:2")
    tried, predict = recorded(refused)
    assert not fewer_ranks("tp", 12, predict)
    assert tried == [{"tp": 6}, {"tp": 4}, {"tp": 3}, {"tp": 2}, {"tp": 1}]


@pytest.mark.parametrize(
    ("model", "gpu", "settings", "cheap"),
    [
        ("qwen3-30b-a3b", "h100", {"concurrency": 997}, [{"concurrency": 16}, {"cache": "fp8"}, {"weights": "fp8"}]),
        ("llama3.3-70b", "rtx4090", {"concurrency": 7}, [
            {"cache": "fp8"}, {"weights": "fp8"}, {"weights": "awq-int4-g128"},
            {"engine": "llama.cpp", "weights": "q4_k_m"},
        ]),
    ],
)  # fmt: skip
def test_what_is_tried_if_requests_wait(model: str, gpu: str, settings: dict[str, Any], cheap: Tried) -> None:
    result = llmcalc.serve(model, gpu, isl=8000, osl=500, **settings)
    assert isinstance(result, ServingResult)
    tried, retry = recorded(result)
    assert not [*running_changes(changed(result, retry=retry))]
    assert [change for change in tried if "gpu" not in change] == cheap
    name, ranks, has_experts = result.accelerator.name, result.point.used, "qwen" in model
    larger = Tried()
    for count in (2 * ranks, 4 * ranks, 8 * ranks):
        own = {"gpu": f"{name}:{count}"}
        larger += [own, {**own, "tp": count}]
        larger += [{**own, "tp": 1, "dp": count, "ep": count}] if has_experts else []
    whole = [change for change in tried if "gpu" in change]
    assert whole[: len(larger)] == larger
    counts = [*dict.fromkeys(int(change["gpu"].partition(":")[2]) for change in whole)]
    assert sorted(counts) == [ranks << power for power in range(7)]
    dp = {(change.get("tp", 1), change.get("dp", 1), change.get("ep", 1)) for change in whole}
    four = {sizes for sizes in dp if sizes[0] * sizes[1] == 4}
    assert four == {(1, 4, 4 if has_experts else 1), (2, 2, 4 if has_experts else 1), (4, 1, 1)}


def test_the_smallest_layout_with_which_all_requests_run_is_enough() -> None:
    result = llmcalc.serve("llama3.3-70b", "rtx4090", isl=8000, osl=500, concurrency=7)
    enough = llmcalc.serve("llama3.2-1b", "rtx4090", isl=1000, osl=500, concurrency=7)
    assert isinstance(result, ServingResult)
    found = [*running_changes(changed(result, retry=lambda change: enough if change.get("dp", 1) > 1 else result))]
    assert [change.settings for change in found] == [{"gpu": "rtx-4090:2", "tp": 1, "dp": 2}]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_as_many_sequences_as_requests_are_tried(engine: str) -> None:
    run: dict[str, Any] = {"isl": 8000, "osl": 500, "concurrency": 97, "max_num_seqs": 8, "tp": 2}
    result = llmcalc.serve("qwen3-30b-a3b", "h100:2", engine=engine, **run)
    assert isinstance(result, ServingResult)
    tried, retry = recorded(result)
    assert not [*running_changes(changed(result, retry=retry))]
    assert {change["max_num_seqs"] for change in tried if "max_num_seqs" in change} == {97}


def test_what_is_tried_if_the_engine_limits_the_sequences() -> None:
    result = llmcalc.serve("qwen3-30b-a3b", "h100:2", isl=8000, osl=500, concurrency=97, max_num_seqs=8, tp=2)
    assert isinstance(result, ServingResult)
    tried, retry = recorded(result)
    assert not [*running_changes(changed(result, retry=retry))]
    wide, divided = {"max_num_seqs": 97}, {"tp": 1, "dp": 2, "ep": 2}
    assert tried[:5] == [{"concurrency": 8}, wide, wide, divided, {**divided, **wide}]


def test_what_is_tried_if_no_layout_is_within_limits() -> None:
    search = llmcalc.serve("llama3.1-8b", "h100", isl=2000, osl=500, concurrency=97, sla="tpot<2ms")
    assert isinstance(search, ServingSearch)
    tried, retry = recorded(search)
    assert not [*serving_changes(changed(search, retry=retry))]
    both, more = {"weights": "fp8", "cache": "fp8"}, ("2", "4", "8")
    other = ("h100-nvl", "gh200-96gb", "h200", "gh200-144gb", "gb200-192gb")
    assert tried == [
        {"concurrency": None}, {"weights": "fp8"}, {"cache": "fp8"}, both, {"weights": "awq-int4-g128"},
        *({"gpu": f"h100-sxm:{count}"} for count in more), *({"gpu": f"{name}:1"} for name in other),
        *({"gpu": f"{name}:{count}", **both} for name in ("h100-sxm", other[-1]) for count in more),
    ]  # fmt: skip
    tried.clear()
    assert not [*serving_changes(changed(search, retry=retry, is_fixed=True))]
    assert tried == [
        {"concurrency": None}, {"weights": "fp8"}, {"cache": "fp8"}, both, {"weights": "awq-int4-g128"},
    ]  # fmt: skip


def test_weights_of_four_bits_are_proposed_where_an_engine_runs_them() -> None:
    start = llmcalc.serve("llama3.3-70b", "rtx4090:2")
    assert isinstance(start, Start)
    four = [(change, one) for change, one in start.changes if change.get("weights") == "awq-int4-g128"]
    assert [(one.ranks, one.max_model_len < 131_072) for _, one in four] == [(2, True)]
    assert all("awq-int4-g128" in start.offer(change) and one.is_whole for change, one in four)
    search = llmcalc.serve("llama3.1-8b", "h100", isl=2000, osl=200, sla="tpot<5ms")
    assert isinstance(search, ServingSearch)
    assert {"weights": "awq-int4-g128"} in [change for change, _ in search.changes]
    old = llmcalc.serve("llama3.1-8b", "v100-sxm2-32gb", isl=2000, osl=200, sla="tpot<5ms")  # without kernels of AWQ
    assert isinstance(old, ServingSearch)
    assert all("awq" not in str(change) for change, _ in old.changes)


def test_what_is_tried_if_a_step_of_reinforcement_learning_does_not_fit() -> None:
    result = llmcalc.rl("qwen2.5-7b", "h100")
    tried, compute = recorded(result)
    assert not rl_changes(result, {}, compute)
    saved = {"sleep": 2, "loss": "fused", "recompute": "full", "offload": True, "micro_batch": 1}
    own: Tried = [{}, {"optimizer": "adam-8bit"}, {"lora_rank": 16}, {"lora_rank": 16, "weights": "nf4"}]
    counts = [{"gpu": f"h100-sxm:{2**power}"} for power in range(1, 11)]
    assert tried == [{**change, **saved} for change in (*own, *counts)]
    tried.clear()
    engine = llmcalc.rl("llama3.3-70b", "h100:4")
    tried, compute = recorded(engine)
    assert not rl_changes(engine, {}, compute)
    assert tried == [{"engine_tp": tp, "share": share} for share in (0.3, 0.5, 0.9) for tp in (1, 2, 4, 8)]


@pytest.mark.parametrize(
    ("model", "gpu", "more"), [("mamba2", "h100", {}), ("qwen2.5-7b", "h100:4", {}), ("gemma3-27b", "h100:8", {})]
)
def test_more_gpus_are_named_only_if_they_spare_a_setting(model: str, gpu: str, more: dict[str, Any]) -> None:
    changes = [change.settings for change in llmcalc.rl(model, gpu, **more).changes]
    assert changes
    for change in changes:
        assert not any(other.items() < change.items() for other in changes)


@pytest.mark.parametrize(("model", "n", "pp"), [("llama3.1-8b", 9, 3), ("phi-4", 6, 2), ("mamba2", 12, 2)])
def test_suggested_numbers_of_gpus_can_be_divided(model: str, n: int, pp: int) -> None:
    with pytest.raises(InputError, match="not possible") as caught:
        llmcalc.latency(model, f"h100:{n}", pp=pp)
    names = [word.strip("{},").partition("=")[2] for word in caught.value.hint.split() if "gpu=" in word]
    assert len(names) == 2
    for name in names:
        assert llmcalc.latency(model, name, pp=pp).seconds > 0
