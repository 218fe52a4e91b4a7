"""Price, energy and break-even of served tokens, against sums by hand."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.estimate.prices import Price
from llmcalc.search.serving_search import ServingSearch
from llmcalc.serving.money import ApiPrice, Money, Power
from llmcalc.serving.terms import read_api_price

POWER = Power(500.0, 300.0, 0.25, "")


def money(**change: Any) -> Money:
    usual: dict[str, Any] = {
        "gpus": 7, "isl": 1009, "osl": 499, "requests_per_s": 13.0, "prefill_share": 0.31, "width": 1.5,
        "price": Price(2.0, 3.0, ""), "power": POWER, "api": ApiPrice(0.4, 1.1),
    }  # fmt: skip
    return Money(**{**usual, **change})


def test_all_cost_is_charged_to_the_tokens() -> None:
    own = money(width=1.0, price=Price(2.0, 2.0, ""))
    per_request = 7 * 2.0 / 3600 / 13.0
    prices = [own.usd_per_million(kind) for kind in ("input", "output")]
    assert prices[0] is not None
    assert prices[1] is not None
    assert (1009 * prices[0][0] + 499 * prices[1][0]) / 1e6 == pytest.approx(per_request)
    assert prices[0][0] * 1009 / 1e6 == pytest.approx(0.31 * per_request)


def test_energy_is_that_of_the_accelerators() -> None:
    own = money(width=1.0)
    energies = [own.wh_per_million(kind) for kind in ("input", "output")]
    assert energies[0] is not None
    assert energies[1] is not None
    joules = 3600 * (1009 * energies[0][1] + 499 * energies[1][1]) / 1e6
    assert joules == pytest.approx(7 / 13.0 * (0.31 * 500 + 0.69 * 300))
    assert energies[0][2] / energies[0][1] == pytest.approx(1.25)


def test_intervals_combine_prices_and_throughput() -> None:
    low, high = money().usd_per_million("output") or (0.0, 0.0)
    assert high / low == pytest.approx(1.5 * 1.5**2)
    assert money(price=None).usd_per_million("input") is None
    assert money(power=None).wh_per_million("input") is None


def test_at_the_break_even_both_cost_the_same() -> None:
    load = money().break_even_requests_per_s
    assert load is not None
    api = (1009 * 0.4 + 499 * 1.1) / 1e6
    assert load[0] * api == pytest.approx(7 * 2.0 / 3600)
    assert load[1] * api == pytest.approx(7 * 3.0 / 3600)
    assert money().break_even_utilisation == pytest.approx((load[0] / 13 / 1.5, load[1] / 13 * 1.5))
    assert money(api=None).break_even_utilisation is None


def search(**change: Any) -> ServingSearch:
    found = llmcalc.serve("llama3.1-8b", "h100:2", **{"isl": 1009, "osl": 499, "sla": "tpot<12ms", **change})
    assert isinstance(found, ServingSearch)
    return found


def test_layouts_have_prices_and_energies() -> None:
    found = search(price=2.5, api_price="0.2/0.6").to_dict()["layouts"][0]
    own = found["money"]
    assert own["api_price"] == {"input": 0.2, "output": 0.6}
    assert 0 < own["break_even_utilisation"][0] < own["break_even_utilisation"][1]
    together = own["usd_per_million_input_tokens"][1] * 1009 / 499 + own["usd_per_million_output_tokens"][1]
    assert together == pytest.approx(found["usd_per_million_output"][1])
    assert 0.15 * 700 < own["watts"]["decode"] < own["watts"]["prefill"] <= 0.95 * 700 * 1.0001
    assert search(watts=411).to_dict()["layouts"][0]["money"]["watts"]["decode"] == 411


def test_a_single_result_costs_as_much_as_in_the_search() -> None:
    found = search(price=2.5, watts=411, concurrency=37)
    layout = next(one for one in found.layouts if not one.prefill)
    own = llmcalc.serve(
        "llama3.1-8b", f"h100:{layout.mesh.tp}", isl=1009, osl=499, concurrency=37 / layout.replicas, price=2.5,
        watts=411, tp=layout.mesh.tp,
    ).to_dict()["money"]  # fmt: skip
    expected = layout.money.to_dict()
    for name in ("usd_per_million_input_tokens", "wh_per_million_output_tokens", "prefill_share"):
        assert own[name] == pytest.approx(expected[name])


def test_decode_steps_with_more_sequences_take_more_power() -> None:
    points = llmcalc.serving_front("llama3.1-8b", "h100", isl=1009, osl=499).points
    assert points[0].times.decode_power < points[-1].times.decode_power <= 1


@pytest.mark.parametrize("text", ["", "1", "0/0", "-1/2", "1/2/3", "a/b", "1e9/2"])
def test_a_wrong_price_of_an_api_is_named(text: str) -> None:
    with pytest.raises(InputError, match="api_price"):
        search(api_price=text)
    assert read_api_price("$0.50 / $1.5") == ApiPrice(0.5, 1.5)


def test_a_comparison_needs_the_price_of_the_gpu() -> None:
    with pytest.raises(InputError, match="no price of"):
        llmcalc.serve("gpt2", "gb200-192gb", isl=101, osl=53, sla="tpot<90ms", api_price="1/2")
