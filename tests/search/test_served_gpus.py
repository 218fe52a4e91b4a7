"""GPUs for requests are ordered by the price of their tokens, and every one is what serve says of it alone."""

from __future__ import annotations

import json
from statistics import median_low
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.errors import InputError
from llmcalc.core.record import changed
from llmcalc.estimate.prices import price_quotes
from llmcalc.inputs.gpus import accelerators
from llmcalc.search.served_gpus import ServedGpus
from llmcalc.search.serving_gpus import ServingGpus
from llmcalc.search.serving_search import ServingSearch

MODEL = llmcalc.load("llama3.1-8b")
REQUESTS: dict[str, Any] = {"isl": 6000, "osl": 130}


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print every line whole."""
    monkeypatch.setenv("COLUMNS", "400")


def search(gpu: str = "all", **change: Any) -> ServingGpus:
    found: Any = llmcalc.serve(MODEL, gpu, **{**REQUESTS, "concurrency": 24, **change})
    assert isinstance(found, ServingGpus)
    return found


@pytest.fixture(scope="module", name="whole")
def _whole() -> ServingGpus:
    """The search over all GPUs."""
    return search()


def price(result: Any, usd: float) -> float:
    """US dollars per million tokens at a price of a GPU-hour."""
    per_hour = float(result.time.requests_per_s) * (result.requests.mean("isl") + result.requests.mean("osl")) * 3600
    return result.point.used * usd / per_hour * 1e6


def median(one: ServedGpus) -> float:
    return median_low(quote.usd for quote in price_quotes(accelerators()[one.accelerator.name]))


def test_every_price_is_that_of_serve_on_these_gpus_alone(whole: ServingGpus) -> None:
    found = whole
    assert len(found.gpus) > 15
    for one in found.gpus[::4]:
        alone: Any = llmcalc.serve(MODEL, f"{one.accelerator.name}:{one.count}", **REQUESTS, concurrency=24)
        assert alone.all_run
        assert one.usd_per_million == pytest.approx(price(alone, median(one)), rel=1e-9)
        assert (one.tpot_s, one.ttft_s) == (alone.tpot_s, alone.ttft_s)
        assert one.usd_per_million_range == pytest.approx(alone.usd_per_million, rel=1e-9)


def test_the_cheapest_gpus_and_the_cheapest_number_of_each_kind_are_first(whole: ServingGpus) -> None:
    found = whole
    prices = [one.usd_per_million for one in found.gpus]
    assert prices == sorted(prices, key=lambda each: each or 0.0)
    kind = next(one for one in found.gpus if one.accelerator.name == "l4")
    tried: list[tuple[float, int]] = []
    for count in (1, 2, 4, 8):
        alone: Any = llmcalc.serve(MODEL, f"l4:{count}", **REQUESTS, concurrency=24)
        if alone.all_run:
            tried.append((price(alone, median(kind)), count))
    assert min(tried)[1] == kind.count > 1  # 24 requests do not run on one


def test_every_other_kind_is_named_with_the_reason() -> None:
    found = search(isl=100_000, concurrency=64)
    left = [name for names in found.left_out.values() for name in names]
    assert sorted([*left, *(one.accelerator.name for one in found.gpus)]) == sorted(accelerators())
    assert {"no price is known", "the requests do not run at once"} <= set(found.left_out)
    assert not [one for one in found.gpus if not price_quotes(one.accelerator)]


def test_gpus_within_the_limits_are_first_and_the_others_follow_by_their_excess() -> None:
    found = search("l4:4,h100:2,a100-80gb-pcie:4", sla="tpot<13ms", concurrency=None)
    assert [one.keeps_limits for one in found.gpus] == [True, True, False]
    assert found.gpus[2].accelerator.name == "l4"
    assert found.best is found.gpus[0]
    for one in found.gpus[:2]:
        alone: Any = llmcalc.serve(MODEL, f"{one.accelerator.name}:{one.count}", **REQUESTS, sla="tpot<13ms")
        assert isinstance(alone, ServingSearch)
        assert one.tpot_s == alone.layouts[0].tpot_s < 0.013
        assert one.point is not None
        assert one.point.concurrency == alone.layouts[0].concurrency
    none = search("l4:4,t4:4", sla="tpot<1ms", concurrency=24)
    assert none.best is None
    assert [one.accelerator.name for one in none.gpus] == ["l4", "t4"]  # the slower one is further off


def test_given_gpus_are_all_listed_even_if_the_requests_do_not_run_there(capsys: pytest.CaptureFixture[str]) -> None:
    line = "serve llama3.1-8b --gpu h100:2 --gpu l4 --isl 6000 --osl 130 --concurrency 24"
    assert main(line.split()) == 0
    text = capsys.readouterr().out
    assert text.startswith("✓ Cheapest: 2 × NVIDIA H100")
    assert "1 × NVIDIA L4 24GB: Only" in text
    assert [one.runs for one in search("h100:2,l4").gpus] == [True, False]


@pytest.mark.parametrize("options", ["", " --sla tpot=30ms"])
def test_the_second_line_starts_the_engine_on_the_first_gpus(options: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"serve llama3.1-8b --gpu h100:2,l4:8 --isl 6000 --osl 130 --concurrency 24{options}".split()) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("✓ Cheapest")
    assert second.startswith("vllm serve meta-llama/Llama-3.1-8B")


def test_nothing_within_the_limits_is_a_no_with_a_command_that_meets_them(capsys: pytest.CaptureFixture[str]) -> None:
    line = "serve llama3.1-8b --gpu l4:2 --gpu l40s --isl 6000 --osl 130 --concurrency 24 --sla tpot=20ms"
    assert main(line.split()) == 1
    lines = capsys.readouterr().out.replace(" \\\n", " ").splitlines()
    assert lines[0].startswith("✗ No GPUs meet the limits. The closest is 1 × NVIDIA L40S")
    command = next(line for line in lines if line.startswith("llmcalc serve"))
    assert main(command.removeprefix("llmcalc ").split()) == 0


@pytest.mark.parametrize("gpu", ["all", "h100,l4"])
@pytest.mark.parametrize("sla", [None, "tpot=30ms"])
def test_a_length_that_the_model_does_not_allow_is_the_reason(gpu: str, sla: str | None) -> None:
    found: Any = llmcalc.serve("gpt2", gpu, isl=2000, osl=5, sla=sla)
    assert found.best is None
    assert found.summary.startswith(
        "Requests of 2,005 tokens exceed the 1,024 learned positions of the model. The longest"
    )
    assert search("h100,l4").refusal == ""


def test_a_layout_that_does_not_divide_the_model_is_named() -> None:
    with pytest.raises(InputError, match=r"tp \(3\) does not divide n_heads"):
        search(tp=3)


def test_formats_of_results() -> None:
    found = search("h100,l40s", concurrency=3)
    data = json.loads(json.dumps(found.to_dict()))
    assert [one["gpu"] for one in data["gpus"]] == [one.accelerator.name for one in found.gpus]
    first = data["gpus"][0]
    assert first["usd_per_million_range"][0] < first["usd_per_million"] < first["usd_per_million_range"][1]
    assert first["commands"]["serve"].startswith("vllm serve")
    assert first["quote"]
    assert first["usd_per_gpu_hour"][0] > 0


def test_csv_has_every_kind(whole: ServingGpus, capsys: pytest.CaptureFixture[str]) -> None:
    line = "serve llama3.1-8b --gpu all --isl 6000 --osl 130 --concurrency 24 --format csv"
    assert main(line.split()) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(whole.gpus)


def test_an_encoder_has_a_price_without_times_of_tokens() -> None:
    found: Any = llmcalc.serve("bert", "l4,h100", isl=128, concurrency=16)
    alone: Any = llmcalc.serve("bert", "l4", isl=128, concurrency=16)
    own = next(one for one in found.gpus if one.accelerator.name == "l4")
    assert (own.tpot_s, own.tokens_per_s) == (None, pytest.approx(alone.tokens_per_s))
    assert own.usd_per_million_range == pytest.approx(alone.usd_per_million)


def test_one_price_holds_for_one_kind() -> None:
    found = search("h100:1,h100:2", price=3.0)
    assert {one.price and one.price.low for one in found.gpus} == {3.0}
    with pytest.raises(InputError, match="several kinds"):
        search("h100,l40s", price=3.0)


@pytest.mark.parametrize(
    ("gpu", "change", "message"),
    [
        ("all", {"isl": None, "osl": None, "concurrency": None}, "price of the tokens"),
        ("all", {"pareto": True}, "one group of GPUs"),
        ("h100,l4", {"prefill_pool": "1x"}, "one group of GPUs"),
        ("all", {"weights": "fp7"}, "fp7"),
        ("all", {"isl": 10, "osl": None}, "missing number of tokens"),
        ("h100,24GiB", {}, "not only on its memory"),
        ("h100,warp9", {}, "unknown accelerator"),
        ("all", {"gpu_memory": "80GiB"}, "not modelled"),
        ("all", {"sla": "tpot<10"}, "invalid limit"),
    ],
)
def test_settings_that_do_not_hold_for_several_gpus(gpu: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        search(gpu, **change)


def test_a_command_line_runs_on_each_of_the_given_gpus() -> None:
    command = "vllm serve meta-llama/Llama-3.1-8B-Instruct -tp 2"
    found: Any = llmcalc.serve(gpu="h100:2,l40s:2", command=command, **REQUESTS, concurrency=4)
    assert {one.layout["tp"] for one in found.gpus} == {2}
    every: Any = llmcalc.serve(gpu="all", command=command, **REQUESTS, concurrency=4)
    assert {one.count for one in every.gpus} == {2}  # more would be unused


def test_a_change_that_keeps_all_requests_is_named_before_fewer_requests() -> None:
    found = search("l4,a10", sla="tpot=100ms,ttft=3s")
    assert found.best is None
    assert found.change is not None
    one, change = found.change
    assert isinstance(one.result, ServingSearch)
    fewer, more = (each for each, _ in one.result.changes)
    assert [*fewer] == ["concurrency"]
    assert change == more == {"gpu": "l4:8"}


def test_rates_are_those_of_serve(whole: ServingGpus) -> None:
    own = whole.gpus[0]
    alone: Any = llmcalc.serve(MODEL, f"{own.accelerator.name}:{own.count}", **REQUESTS, concurrency=24)
    assert own.tokens_per_s == pytest.approx(130 * alone.time.requests_per_s)
    assert f"{own.tokens_per_s:,.0f} tokens/s" in changed(whole, gpus=(own,)).summary


def test_only_requests_that_run_on_gpus_with_a_price_have_one() -> None:
    found = search("mi250x,h100,l4")
    assert [one.accelerator.name for one in found.gpus] == ["h100-sxm", "mi250x", "l4"]
    assert [one.price is not None for one in found.gpus] == [True, False, True]
    assert [one.runs for one in found.gpus] == [True, True, False]
    for name in ("usd_per_million", "usd_per_million_range"):
        assert [getattr(one, name) is not None for one in found.gpus] == [True, False, False]
