"""Accelerator-hours, prices, energy and emissions against published tables."""

from __future__ import annotations

import pytest

from llmcalc.api.machine import machine
from llmcalc.api.train import train
from llmcalc.core.errors import InputError
from llmcalc.data import table
from llmcalc.estimate.cost import Span, emission
from llmcalc.estimate.hardware import Accelerator
from llmcalc.estimate.prices import price_of
from llmcalc.inputs.gpus import accelerator, accelerators
from llmcalc.training.budget import budget
from llmcalc.training.run import emissions

# [touvron2023a, Table 15]: GPU-hours on A100-80GB of 400 W, MWh, t CO2e
LLAMA_TABLE_15 = """
OPT-175B    809472 356 137
BLOOM-175B 1082880 475 183
LLaMA-7B     82432  36  14
LLaMA-13B   135168  59  23
LLaMA-33B   530432 233  90
LLaMA-65B  1022362 449 173
"""


def one(hours: float) -> Span:
    return Span(hours, hours, hours)


@pytest.mark.parametrize("row", LLAMA_TABLE_15.strip().splitlines())
def test_llama_table_15(row: str) -> None:
    _, hours, mwh, tonnes = row.split()
    found = emission("llama1", table("energy")["llama1"], one(float(hours)), 400)
    assert found.mwh.mid == pytest.approx(float(mwh), rel=0.015)
    assert found.tonnes.mid == pytest.approx(float(tonnes), rel=0.015)


# [llama2card]: GPU-hours, W, t CO2e
@pytest.mark.parametrize(("hours", "tonnes"), [(184320, 31.22), (368640, 62.44), (1720320, 291.42)])
def test_llama_2_cards(hours: float, tonnes: float) -> None:
    found = emission("llama-card", table("energy")["llama-card"], one(hours), 400)
    assert found.tonnes.mid == pytest.approx(tonnes, rel=3e-4)


# model cards of Llama 3.1 and 3.2: GPU-hours on H100 of 700 W, t CO2e: the factor is not that of Llama 2
@pytest.mark.parametrize(("hours", "tonnes"), [(1.46e6, 420), (7e6, 2040), (30.84e6, 8930), (370e3, 107)])
def test_llama_3_cards(hours: float, tonnes: float) -> None:
    found = emission("llama-card", table("energy")["llama-card"], one(hours), 700)
    assert found.tonnes.mid == pytest.approx(tonnes, rel=0.035)
    assert found.tonnes.mid > tonnes


# [patterson2021, Table 4]: chips, days, measured W, PUE, kg/kWh, MWh as published, and as its own figures give it
PATTERSON = """
T5        512 20   310 1.12 0.545   85.7   85.3
Meena    1024 30   289 1.09 0.415  232    232.3
GShard   1024  3.1 288 1.09 0.177   24.1   23.9
Switch   1024 27   245 1.10 0.330  179    178.8
GPT-3   10000 14.8 330 1.10 0.429 1287   1289.4
"""


@pytest.mark.parametrize("row", PATTERSON.strip().splitlines())
def test_patterson_table_4(row: str) -> None:
    _, chips, days, watts, pue, carbon, published, own = row.split()
    hours = one(float(chips) * float(days) * 24)
    found = emissions(accelerator("tpu-v4"), hours, float(watts), float(pue), float(carbon))[-1]
    assert found.name == "given"
    assert round(found.mwh.mid, 1) == float(own)
    assert found.mwh.mid == pytest.approx(float(published), rel=0.01)


def test_gpt3_by_pattersons_convention() -> None:
    found = {
        entry.name: entry for entry in emissions(accelerator("v100-sxm2-32gb"), one(10000 * 355.2), 330, None, None)
    }
    assert found["patterson2021"].tonnes.mid == pytest.approx(552.1, rel=3e-3)
    assert {entry.watts for entry in found.values()} == {330}
    assert found["llama1"].mwh.mid == pytest.approx(10000 * 355.2 * 330 * 1.1 / 1e6)
    assert {entry.watts for entry in emissions(accelerator("v100-sxm2-32gb"), one(7), None, None, None)} == {300}
    assert "given" not in found


def test_measured_power_stands_in_for_a_rating_that_is_unknown() -> None:
    unrated = next(each for each in accelerators().values() if each.power is None)
    assert emissions(unrated, one(7), None, 1.1, 0.4) == ()
    assert [entry.watts for entry in emissions(unrated, one(7), 213, 1.1, 0.4)] == [213] * 4


def test_every_convention_has_its_own_figures() -> None:
    assert set(table("energy")) == {"llama1", "llama-card", "patterson2021"}
    for entry in table("energy").values():
        assert entry["pue"] >= 1
        assert 0 < entry["kg_per_kwh"] < 1
        assert entry["power"] in ("rated", "measured")


def test_deepseek_v3_hours_and_cost() -> None:
    """[deepseek2024v3, Table 1]: 180K H800 hours for 1T tokens, 2.664M for 14.8T, 5.328M dollars at 2 an hour."""
    trillion, run = (train("deepseek-v3", tokens, gpu="h800:2048", price=2.0) for tokens in ("1T", None))
    assert trillion.other_hours
    assert run.other_hours
    assert trillion.other_hours.mid == pytest.approx(180e3, rel=2e-4)
    assert run.other_hours.mid == pytest.approx(2.664e6, rel=2e-4)
    assert run.spending(run.other_hours).cost == pytest.approx((5.328e6, 5.328e6), rel=2e-4)


def test_published_utilisation_is_an_assumption_with_its_source() -> None:
    working = machine("h100-sxm", 512)
    assert working.mfu == Span(0.38, 0.41, 0.47)
    assert "grattafiori2024" in working.mfu_source
    assert machine("h100", mfu=0.5).mfu == Span(0.5, 0.5, 0.5)
    assert machine("v100-sxm2-32gb").number_format == "fp16"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"name": "l4"}, "no published utilisation"),
        ({"name": "h100", "precision": "fp4"}, "fp32, tf32"),
        ({"name": "h100", "mfu": 1.2}, "at most 1"),
        ({"name": "h100", "mfu": 0.0}, "above 0"),
        ({"name": "h100", "count": 0}, "count: must be an integer"),
    ],
)
def test_what_is_not_known_is_asked_for(words: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        machine(**words)  # type: ignore[arg-type]


def test_utilisation_names_accelerators_and_formats_that_exist() -> None:
    for key, formats in table("utilisation").items():
        found = [one for name, one in accelerators().items() if name.startswith(key)]
        assert found, key
        for number_format, entry in formats.items():
            assert all(number_format in one.peak for one in found), (key, number_format)
            low, mid, high = entry.get("low", entry["mid"]), entry["mid"], entry.get("high", entry["mid"])
            assert 0 < low <= mid <= high < 1
            assert entry["of"]
            assert entry["source"]


def quoted_prices(one: Accelerator) -> tuple[float, float] | None:
    """The range of the quoted prices."""
    found = price_of(one)
    return found and (found.low, found.high)


def test_quoted_prices_are_read() -> None:
    assert quoted_prices(accelerator("h100")) == (2.30, 12.29)
    assert quoted_prices(accelerator("h800")) == (2.00, 3.42)
    assert quoted_prices(accelerator("tpu-v4")) == (3.22, 3.22)
    assert quoted_prices(accelerator("trainium1")) == (1.34375, 1.34375)  # of an instance; the other is not confirmed
    assert quoted_prices(accelerator("m1-8gb")) is None
    for one in accelerators().values():
        found = quoted_prices(one)
        assert found is None or 0.05 < found[0] <= found[1] < 20, one.name


def test_budgets_in_every_unit() -> None:
    working = machine("h100", 512, mfu=0.4)
    by_days = budget(working, days=30, price=2.5)
    assert by_days.hours.mid == 512 * 30 * 24
    assert by_days.flops.mid == pytest.approx(512 * 30 * 86400 * 989.4e12 * 0.4)
    assert by_days.cost == pytest.approx((921600.0, 921600.0))
    for same in ({"hours": 368640.0}, {"dollars": 921600.0}, {"compute": by_days.flops.mid}):
        found = budget(working, price=2.5, **same)
        assert found.flops.mid == pytest.approx(by_days.flops.mid)
        assert found.hours.mid == pytest.approx(by_days.hours.mid)
    with pytest.raises(InputError, match="cannot be combined"):
        budget(working, days=1, hours=1)
    with pytest.raises(InputError, match="price"):
        budget(working, dollars=1e6)
