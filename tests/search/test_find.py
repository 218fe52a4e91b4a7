"""What fits: every answer agrees with a fit check, and a smaller or larger one does not fit."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.memory.fit import largest_within
from llmcalc.cli.main import main
from llmcalc.core.architecture import Architecture
from llmcalc.core.workload import positions
from llmcalc.estimate.prices import price_of
from llmcalc.fitting.context import largest_context
from llmcalc.fitting.formats import weight_bits
from llmcalc.fitting.memory import serving_stages
from llmcalc.inputs.gpus import accelerator
from llmcalc.schema.preset_files import sized_files
from llmcalc.search.gpus import COUNTS
from llmcalc.search.models import FORMATS, MOST_CONTEXT, unused_bytes

GIB = 2**30


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 60), st.integers(1, 5))
def test_the_largest_number_within_an_amount_is_exact(steps: list[int], available: int, first: int) -> None:
    amounts = [sum(steps[: number + 1]) for number in range(len(steps))]
    limit = first + len(steps) - 1
    fitting = [first + number for number, amount in enumerate(amounts) if amount <= available]
    found = largest_within(lambda number: amounts[number - first], available, limit, first)
    assert found == (fitting[-1] if fitting else 0)


# activations that depend on the context (expanded latents, relative positions, an encoder), windows and recurrences
@pytest.mark.parametrize("model", ["deepseek-v2-lite", "gopher-7.1b", "t5-large", "gemma3-4b", "jamba", "bert", "gpt2"])
@pytest.mark.parametrize("weights", ["bf16", "q4_k_m"])
def test_the_context_is_the_largest(model: str, weights: str) -> None:
    architecture = llmcalc.load(model)
    stages = serving_stages(architecture, seq=1, weights=weights)
    limit = min(positions(architecture) or 300_000, 300_000)
    whole = serving_stages(architecture, seq=limit // 3, weights=weights)[0]
    available = whole.peak - whole.host + 12345
    found = largest_context(stages, available, limit)
    assert limit // 3 <= found <= limit

    def needed(seq: int) -> int:
        (stage,) = serving_stages(architecture, seq=seq, weights=weights)
        return stage.peak - stage.host

    assert needed(found) <= available
    assert found == limit or needed(found + 1) > available


@pytest.mark.parametrize(("gpu", "settings"), [
    ("rtx4090", {}), ("8GiB", {"seq": 8192, "cache": "fp8"}), ("l4", {"weights": "q6_k", "batch": 3, "page": 48}),
    ("h100:2", {"seq": 32768, "batch": 3}),
])  # fmt: skip
def test_every_model_that_fits_agrees_with_a_fit_check(gpu: str, settings: dict[str, Any]) -> None:
    found = llmcalc.find_models(gpu, **settings)
    assert found.models
    assert found.n_tried == len(list(sized_files()))
    order = [(one.year or 0, one.parameters) for one in found.models]
    assert order == sorted(order, reverse=True)
    least = settings.get("seq")
    for one in found.models[::23]:
        model, own = llmcalc.load(one.name), {**settings, "weights": one.format}
        own.pop("seq", None)
        if "kv" not in llmcalc.state(model, seq=9).by_role:
            own = {name: value for name, value in own.items() if name not in ("cache", "page")}
        weights = None if one.format == "bf16" and "weights" not in settings else one.format
        budget = {"memory_bytes": found.memory, "count": found.count}
        own["reserve"] = found.reserve + unused_bytes(model, weights, budget, found.accelerator)
        solved = llmcalc.fit(model, gpu, solve="seq", **own, engine="none").solution
        assert solved is not None
        most = MOST_CONTEXT if solved.is_unlimited and solved.value is None else int(solved.value or 0)
        assert one.context == min(most, MOST_CONTEXT), one.name
        assert llmcalc.fit(model, gpu, **own, **({"seq": least} if least else {}), engine="none").fits
        assert one.parameters == llmcalc.params(model).total
        own_bits, most = _bits(model, one.format), weight_bits(model, None, "bf16").bits  # larger formats are not tried
        better = [name for name in FORMATS if own_bits < weight_bits(model, name, "bf16").bits < most]
        for name in better if "weights" not in settings and ":" not in gpu else ():
            longest = llmcalc.fit(model, gpu, solve="seq", **{**own, "weights": name}, engine="none").solution
            assert longest is None or (longest.value or 0) < (least or 2048), (one.name, name)


def _bits(model: llmcalc.Architecture, name: str) -> int:
    """Bits of the weights. The published format is the first choice."""
    published = weight_bits(model, None, "bf16").bits
    return published if name in ("bf16", "checkpoint") else weight_bits(model, name, "bf16").bits


def test_models_that_are_not_listed_do_not_fit() -> None:
    found = llmcalc.find_models("rtx4090", weights="q4_k_m", seq=4096)
    names = {one.name for one in found.models}
    assert {"gemma3-27b", "qwen3-32b"} <= names
    assert llmcalc.load("gpt2").name not in names  # 1024 positions
    for model in ("llama3-70b", "mixtral", "deepseek-v3"):
        assert llmcalc.load(model).name not in names
        assert not llmcalc.fit(model, "rtx4090", weights="q4_k_m", seq=4096, engine="none").fits


@pytest.mark.parametrize(("model", "settings"), [
    ("llama3-70b", {}), ("deepseek-v3", {"seq": 32768, "reserve": "5%"}), ("qwen3-32b", {"weights": "q4_k_m"}),
    ("llama3-8b", {"training": True, "recompute": "full"}),
])  # fmt: skip
def test_every_gpu_agrees_with_a_fit_check(model: str, settings: dict[str, Any]) -> None:
    found = llmcalc.find_gpus(model, **settings)
    for one in found.gpus:
        name, count = one.accelerator.name, one.count
        if any(each is one for each in found.gpus[::5]):
            assert llmcalc.fit(model, f"{name}:{count}", **settings, engine="none").headroom == one.fit.headroom, name
        assert count <= one.accelerator.node
        assert one.instance is None or (one.instance.gpu, one.instance.count) == (name, count)
        smaller = () if one.instance else COUNTS[: COUNTS.index(count)][-1:]
        for fewer in smaller:
            assert not llmcalc.fit(model, f"{name}:{fewer}", **settings, engine="none").fits, name
    for card in found.too_small[::5]:
        assert not llmcalc.fit(model, f"{card.name}:{min(card.node, 8)}", **settings, engine="none").fits, card.name


def test_gpus_with_a_price_come_first_and_the_cheapest_is_the_first() -> None:
    gpus = llmcalc.find_gpus("llama3-8b").gpus
    prices = [one.price[0] for one in gpus if one.price]
    assert prices == sorted(prices)
    assert [one.price is None for one in gpus] == sorted(one.price is None for one in gpus)
    others = [one.fit.memory * one.count for one in gpus if one.price is None]
    assert others == sorted(others)
    assert accelerator("m1-8gb") in llmcalc.find_gpus("llama3-8b").too_small  # one chip per computer
    pair = next(one for one in llmcalc.find_gpus("llama3-70b").gpus if one.accelerator.name == "a100-sxm-80gb")
    assert (pair.count, pair.price, pair.dated) == (2, (3.14, 2 * 5.0688), "2025-03")
    assert "4.00 OCI (2025-03)" in pair.quotes
    for one in gpus:  # serve, train and scale use the same prices
        price = price_of(one.accelerator)
        if one.instance is None:
            assert one.price == (price and (price.low * one.count, price.high * one.count))


def test_spot_prices_count_only_without_others() -> None:
    h100, pro = (price_of(accelerator(name)) for name in ("h100-sxm", "rtx-pro-6000"))
    assert h100
    assert h100.low == 2.30
    assert pro
    assert (pro.low, pro.high, pro.source) == (0.89, 0.89, "quoted: 0.89 RunPod, spot (2026-03)")


def test_the_cheapest_instance_of_each_cloud_is_a_price_of_its_accelerator() -> None:
    one = accelerator("h200")
    assert [(offer.seller, round(offer.usd * 8, 3)) for offer in one.offers] == [
        ("RunPod", 28.72), ("Crusoe", 34.32), ("DigitalOcean", 35.76), ("Nebius", 36.0), ("Oracle", 80.0),
        ("AWS p5en.48xlarge", 63.296), ("Google a3-ultragpu-8g", 84.807),
    ]  # fmt: skip


def test_instances_are_found_by_price_and_by_name() -> None:
    gpus = llmcalc.find_gpus("llama3-70b").gpus
    found = {one.instance.name: one for one in gpus if one.instance}
    assert found["p4d.24xlarge"].price == (21.957642, 21.957642)
    assert found["p4d.24xlarge"].dated == "2026-07"
    assert "a2-highgpu-8g" not in found  # 4 GPUs of the same cloud are enough
    assert found["a2-highgpu-4g"].count == 4
    named = llmcalc.fit("llama3-70b", "p4d.24xlarge", engine="none")
    assert (named.count, named.headroom) == (8, found["p4d.24xlarge"].fit.headroom)


@pytest.mark.parametrize(("model", "gpu", "settings"), [
    ("llama3-8b", "rtx4090", {}), ("llama3-8b", "h100:4", {"seq": 4096, "batch": 2}),
    ("gpt2", "4GiB", {"lora_rank": 8}),
    ("mamba2-2.7b", "24GB", {}), ("deepseek-v2-lite", "h100", {"lora_targets": ["wo"]}),
])  # fmt: skip
def test_every_recipe_agrees_with_a_fit_check(model: str, gpu: str, settings: dict[str, Any]) -> None:
    found = llmcalc.find_recipes(model, gpu, **settings)
    assert len(found.recipes) == 15
    sizes = {name: value for name, value in settings.items() if name in ("seq", "batch")}
    for one in found.recipes:
        own = {**sizes, **one.settings, "training": True}
        checked = llmcalc.fit(model, gpu, **own, engine="none")
        assert one.needed == checked.needed - one.host
        assert one.host == (checked.result.optimizer if "CPU" in one.method else 0)
        assert one.fits == (one.needed <= checked.usable) == (one.batch >= own.get("batch", 1))
        if one.fits:
            most, more = (
                llmcalc.fit(model, gpu, **{**own, "batch": one.batch + extra}, engine="none") for extra in (0, 1)
            )
            assert most.needed - one.host <= most.usable < more.needed - one.host
    fitting = [one for one in found.recipes if one.fits]
    assert found.best == (fitting[0] if fitting else None)


def test_recipes_need_less_and_less() -> None:
    found = llmcalc.find_recipes("llama3-8b", "rtx4090")
    assert found.best is not None
    assert (found.best.name, found.best.batch) == ("LoRA, recomputation", 1)
    by_saving = {one.name: one.needed for one in found.recipes}
    assert by_saving["LoRA"] > by_saving["LoRA, recomputation"] > by_saving["QLoRA, recomputation"]
    full = [by_saving[name] for name in ("full fine-tuning", "full, 8-bit optimizer", "full, optimizer on the CPU")]
    assert full == sorted(full, reverse=True)
    # 16 bytes per parameter: weights and gradients, and 12 of the optimizer in host memory
    parameters = llmcalc.params("llama3-8b").total
    offloaded = next(one for one in found.recipes if one.host)
    assert offloaded.host == 12 * parameters
    assert llmcalc.find_recipes("llama3-8b", "6GiB").best is None


def test_training_without_a_recipe_asks_for_the_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    answers = []
    for line in ("--training --seq 1k", "--solve recipe --seq 1k"):
        assert main(["fit", "llama3-8b", "rtx4090", *line.split(), "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out)["result"])
    assert answers[0] == answers[1]
    assert next(one["name"] for one in answers[0]["recipes"] if one["fits"]) == "LoRA, recomputation"
    for line in ("--optimizer adamw", "--recompute none"):
        assert main(["fit", "llama3-8b", "rtx4090", "--training", *line.split(), "--json"]) == 1, line
        checked = json.loads(capsys.readouterr().out)["result"]
        changes = [one["change"] for one in checked["fits_with"]]
        assert "lora-rank 16" in changes[0], line
        assert all("rtx-4090" in one for one in changes[2:])  # more GPUs come last


def test_the_command_of_a_recipe_fits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "llama3-8b", "rtx4090", "--solve", "recipe", "--seq", "1k", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    commands = [result["commands"][one["name"]] for one in result["recipes"] if one["fits"] and not one["host"]]
    assert len(commands) >= 4
    for command in commands:
        assert main(command.split()[1:]) == 0, command
        assert "✓ fits" in capsys.readouterr().out
    assert main(["fit", "llama3-8b", "6GiB", "--solve", "recipe"]) == 1
    assert capsys.readouterr().out.startswith("✗ no recipe fits")


def test_a_search_tries_few_formats_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    module, tried = import_module("llmcalc.search.models"), list[str]()
    plain = module._stages

    def counted(architecture: Architecture, *rest: Any) -> Any:
        tried.append(architecture.name)
        return plain(architecture, *rest)

    monkeypatch.setattr(module, "_stages", counted)
    found = llmcalc.find_models("rtx4090")
    assert len(found.models) < len(tried) < 2 * found.n_tried


def test_the_newest_models_are_the_first_of_all_models() -> None:
    newest, every = (llmcalc.find_models("3GiB", most=most) for most in (5, None))
    assert newest.models == every.models[:5]
    assert (newest.is_cut, every.is_cut) == (True, False)
    assert newest.n_tried < every.n_tried
    assert llmcalc.find_models("1100MiB", most=10**6).summary == llmcalc.find_models("1100MiB").summary


def test_a_search_for_the_newest_models_names_an_invalid_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    module, name = import_module("llmcalc.schema.preset"), llmcalc.find_models("3GiB", most=1).models[0].name
    plain = module.load_file

    def load_file(*place: Any) -> Architecture:
        found: Architecture = plain(*place)
        if found.name == name:
            raise llmcalc.InputError("has a mistake")
        return found

    monkeypatch.setattr(module, "load_file", load_file)
    assert llmcalc.find_models("3GiB", most=1).errors == ("has a mistake",)


@pytest.mark.parametrize("count", [65, 1_000_000])
def test_a_list_of_models_is_for_few_gpus(count: int) -> None:
    with pytest.raises(llmcalc.InputError, match="limited to 64 GPUs"):
        llmcalc.find_models("h100", count=count)


def test_recipes_name_their_gpus() -> None:
    assert llmcalc.find_recipes("gpt2", "4GiB").gpus == "1 × GPU"
    assert llmcalc.find_recipes("gpt2", "h100:2").gpus == "2 × NVIDIA H100 SXM5 80GB"
