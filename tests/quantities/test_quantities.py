"""Every quantity is complete: measured, explained, swept, aimed at and compared by what its file says."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llmcalc
from llmcalc.analysis.compare import compared
from llmcalc.analysis.quantity import Quantity, names, quantity, setting_names, targets, value_names, value_of
from llmcalc.cli.commands import load
from llmcalc.cli.memory_options import QUANTITY
from llmcalc.core.errors import InputError
from llmcalc.inputs.settings import NAMES

MODELS = ("gpt2", "gpt-oss-20b", "t5-small")
SETTINGS: dict[str, dict[str, Any]] = {"train": {"tokens": 10**9}, "latency": {"gpu": "h100"}}


def test_the_quantities_of_the_documentation_are_found() -> None:
    documented = {"params", "active", "flops", "state", "memory", "traffic", "communication", "train", "latency"}
    assert documented <= set(names())
    assert all(quantity(name).name == name for name in names())
    with pytest.raises(llmcalc.UnknownNameError, match="did you mean flops"):
        quantity("flop")


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("model", MODELS)
def test_a_quantity_is_complete(name: str, model: str) -> None:
    found, architecture = quantity(name), llmcalc.load(model)
    result = found.measure(architecture, {**SETTINGS.get(name, {})})
    json.dumps(result.to_dict(), default=str)
    assert result.summary.startswith(architecture.name)
    assert repr(result) == f"{type(result).__name__}({result.summary})"
    assert architecture.summary.startswith(f"{architecture.name}: {architecture.stacks[0].name}")
    tree = found.tree(result)
    assert tree.value == sum(child.value for child in tree.children)
    values = {part: getattr(result, part) for part in found.parts}
    kind = float if found.unit == "ns" else int  # times are not exact
    assert all(isinstance(value, kind) for value in values.values())
    assert all(found.parts.values())
    if found.target:
        assert isinstance(found.target(result), int)
    _check_forms(found, result, values)


def _check_forms(found: Quantity, result: Any, values: dict[str, int]) -> None:
    for part, value in values.items():
        form, divisor = found.form(result, part) or (None, 1)
        if form is not None:
            symbols = result.workload.values(result.architecture) if hasattr(result, "workload") else {}
            assert form(**symbols) == divisor * value, part


def test_functions_read_the_list() -> None:
    assert {name.partition(".")[0] for name in value_names()} == {name for name in names() if quantity(name).parts}
    values = llmcalc.compare("gpt2", "gpt2", tp=2, gpu="h100:2").costs[0].tables
    assert [{value_of(name).quantity.name for name in cost.values} for cost in values] == [
        {each.name} for each in compared()
    ]
    assert all(value_of(name).unit == cost.unit for cost in values for name in cost.values)
    assert "communication.sent" not in {
        name for cost in llmcalc.compare("gpt2", "gpt2").costs[0].tables for name in cost.values
    }
    for name in targets():
        limit: dict[str, Any] = {f"max_{name}": "1ns" if quantity(name).unit == "ns" else 1}
        of_target = {setting.name for setting in quantity(name).settings}
        size = {key: value for key, value in {"seq": 7, "gpu": "h100:2"}.items() if key in of_target}
        checked = llmcalc.check("gpt2", select=["HW005"], tp=2, **size, **limit)
        assert [each.kept for each in checked.limits] == [False], name
        negative: dict[str, Any] = {name: "-1"}
        with pytest.raises(llmcalc.InputError, match=name):
            llmcalc.design("llama3", **negative)


def test_every_setting_of_every_quantity_is_an_option() -> None:
    options = {name for option in QUANTITY for name in (option.name, *option.also)}
    assert options >= set(setting_names()) - {"mesh"}
    commands = {"compare": compared(), "design": targets().values(), "check": targets().values()}
    for command, quantities in commands.items():
        own = {name for option in load(command).options.values() for name in (option.name, *option.also)}
        assert own >= {setting.name for each in quantities for setting in each.settings} - {"mesh"}, command


def test_each_compared_quantity_is_that_of_its_function() -> None:
    mesh = llmcalc.Mesh(tp=2)
    step, trained = (
        llmcalc.compare("gpt2", "gpt2", seq=64, batch=3, mesh=mesh, **settings).costs[0].results
        for settings in ({"weights": "fp8", "mode": "decode", "context": 5}, {"training": True, "gradients": "fp32"})
    )
    served = llmcalc.traffic("gpt2", seq=64, batch=3, mode="decode", context=5, weights="fp8")
    assert step["traffic"].total == served.total
    assert (
        step["communication"].sent
        == llmcalc.communication("gpt2", seq=64, batch=3, mode="decode", context=5, tp=2).sent
    )
    assert trained["traffic"].total == llmcalc.traffic("gpt2", seq=64, batch=3, mode="train").total
    sent = llmcalc.communication("gpt2", seq=64, batch=3, mode="train", tp=2, gradients="fp32").sent
    assert trained["communication"].sent == sent
    adapted = llmcalc.compare("gpt2", "gpt2", training=True, weights="nf4", lora_rank=4, seq=64).costs[0].results
    assert adapted["traffic"].total == llmcalc.traffic("gpt2", seq=64, mode="train").total


def test_limits_apply_to_one_rank_and_take_settings() -> None:
    checked = llmcalc.check(
        "mixtral", tp=2, ep=4, max_memory=1, max_communication=1, max_state=1, seq=64, weights="fp8", select=["HW005"]
    )
    memory, sent, state = (limit.ours for limit in checked.limits)
    ranks = llmcalc.Mesh(tp=2, ep=4, dp=4)
    assert memory == llmcalc.memory("mixtral", seq=64, weights="fp8", mesh=ranks).peak
    assert sent == llmcalc.communication("mixtral", seq=64, mesh=ranks).sent
    assert state == llmcalc.state("mixtral", seq=64).bytes
    for mode in ("training", "inference"):
        is_training = mode == "training"
        limit = llmcalc.check("gpt2", pp=2, max_memory=1, seq=64, training=is_training, select=["HW005"]).limits[0]
        assert limit.ours == llmcalc.memory("gpt2", seq=64, mode=mode, mesh=llmcalc.Mesh(pp=2)).peak
    with pytest.raises(llmcalc.InputError, match="weights: has no effect on the limits"):
        llmcalc.check("gpt2", max_params="1B", weights="fp8")


def test_latency_is_a_limit_a_target_and_compared() -> None:
    given: dict[str, Any] = {"gpu": "h100", "mode": "decode", "context": 503}
    one, other = (llmcalc.latency(name, "h100", mode="decode", context=503) for name in ("gpt2", "llama3-8b"))
    tables = llmcalc.compare("gpt2", "llama3-8b", **given).costs
    for costs, result in zip(tables, (one, other), strict=True):
        (table,) = (each for each in costs.tables if each.unit == "s")
        assert table.values["latency.seconds"] == result.seconds
        assert table.values["latency.low"] < table.values["latency.seconds"] < table.values["latency.high"]
    assert "latency" not in llmcalc.compare("gpt2", "llama3-8b").costs[0].results
    most = 2e3 * one.seconds
    (limit,) = llmcalc.check("gpt2", max_latency=f"{most} ms", **given).limits
    assert (limit.ours, limit.kept) == (round(one.seconds * 1e9), True)
    assert not llmcalc.check("llama3-8b", max_latency=one.seconds, **given).limits[0].kept
    best = llmcalc.design("llama3", latency=f"{other.seconds * 1e6}us", tp=1, **given).candidates[0]
    assert best.value == pytest.approx(other.seconds * 1e9, rel=0.05)


@pytest.mark.parametrize("text", ["fast", "-3ms", "0", "5 minutes", "1e-12s", "nan"])
def test_a_limit_of_latency_must_be_a_time(text: str) -> None:
    with pytest.raises(InputError, match="must be a time"):
        llmcalc.check("gpt2", max_latency=text, gpu="h100")


def test_the_names_of_settings_are_known_below_the_quantities() -> None:
    assert set(setting_names()) == NAMES
