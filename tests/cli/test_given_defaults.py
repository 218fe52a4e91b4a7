"""A setting that is given counts as given, also if its value is the default: all doors answer for this value."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.cli.main import main
from llmcalc.core.setting import Setting
from llmcalc.fitting.fit import SETTINGS
from llmcalc.inputs.serving_settings import LATENCY, SERVE
from llmcalc.inputs.settings import RANKS

DENSE, SPARSE, GPUS = "llama3-8b", "gpt-oss-20b", "h100:8"
LOAD: dict[str, Any] = {"isl": 97, "osl": 11, "concurrency": 3}
LAYOUTS = [
    {name: size for name, size in zip(("tp", "pp", "dp"), sizes, strict=True) if size}
    for sizes in product((None, 1, 2), repeat=3) if any(sizes)
]  # fmt: skip
CONSTANTS = [
    (each.name, value) for each in SETTINGS
    for value in (each.usual if each.default is None else each.default,)
    if value not in (None, ()) and each.name not in ("mode", "dtype", *RANKS)
]  # fmt: skip


def sizes_of(settings: Any) -> tuple[int, ...]:
    found = settings if isinstance(settings, dict) else vars(settings)
    return tuple(found.get(name, 1) for name in ("tp", "pp", "dp"))


def layouts(model: str, **given: int) -> dict[str, tuple[int, ...]]:
    """Return the layout with which each door answers: tensor-parallel ranks, stages and data-parallel ranks."""
    fit = llmcalc.fit(model, GPUS, **given)
    solved = llmcalc.fit(model, GPUS, solve="seq", **given)
    assert fit.start is not None
    assert solved.start is not None
    return {
        "start": sizes_of(dict(llmcalc.serve(model, GPUS, **given).settings)),
        "times": sizes_of(llmcalc.serve(model, GPUS, **LOAD, **given).mesh),
        "latency": sizes_of(llmcalc.latency(model, GPUS, **given).model.mesh),
        "fit": sizes_of(dict(fit.start.settings)), "solve": sizes_of(dict(solved.start.settings)),
    }  # fmt: skip


@pytest.mark.parametrize("given", LAYOUTS, ids=str)
def test_all_doors_answer_for_the_layout_that_is_given(given: dict[str, int]) -> None:
    found = layouts(SPARSE, **given)
    assert len(set(found.values())) == 1, found
    sizes = dict(zip(("tp", "pp", "dp"), found["fit"], strict=True))
    assert sizes | given == sizes
    if "tp" not in given:
        assert sizes["tp"] == 8 // (sizes["pp"] * sizes["dp"])


def test_one_tensor_parallel_rank_is_a_layout() -> None:
    assert layouts(DENSE, tp=1) == dict.fromkeys(("start", "times", "latency", "fit", "solve"), (1, 1, 1))
    one, two = (llmcalc.fit("gpt-oss-120b", "h100:2", tp=tp) for tp in (1, 2))
    assert one.to_dict()["start"]["command"] != two.to_dict()["start"]["command"]
    assert one.replicas == 2
    assert llmcalc.fit(DENSE, "h100:2", mesh=Mesh()).replicas == 2
    assert llmcalc.fit(DENSE, "h100", solve="gpus", tp=1).solution.value == 1


@pytest.mark.parametrize("size", RANKS)
@pytest.mark.parametrize("search", ["pareto", "prefill_pool"])
def test_a_search_that_chooses_a_size_refuses_it_with_any_value(size: str, search: str) -> None:
    if (size, search) in (("tp", "prefill_pool"), ("dp", "prefill_pool"), ("ep", "prefill_pool")):
        pytest.skip("the size of the other pool")
    value = {"pareto": True, "prefill_pool": "1xtp2"}[search]
    for number in (1, 2):
        with pytest.raises(llmcalc.InputError, match=f"{size}: (cannot be combined|has no effect)"):
            llmcalc.serve(SPARSE, GPUS, **LOAD, **{search: value, size: number})


def test_ranks_of_serving_have_no_default() -> None:
    of_layouts: list[Setting] = [each for each in (*SERVE, *LATENCY) if each.name in RANKS]
    assert len(of_layouts) == 2 * len(RANKS)
    assert not any(each.is_default(1) for each in of_layouts)


@pytest.mark.parametrize(("name", "value"), CONSTANTS)
@pytest.mark.parametrize("own", [{}, {"training": True, "lora_rank": 3}], ids=["serving", "training"])
def test_a_constant_default_leaves_the_answer_as_it_is(name: str, value: Any, own: dict[str, Any]) -> None:
    usual = llmcalc.fit(SPARSE, "h200", **own)
    given = llmcalc.fit(SPARSE, "h200", **{**own, **({} if name in own else {name: value})})
    assert given.to_dict() == usual.to_dict()


@pytest.mark.parametrize("size", ["tp", "pp", "dp", "cp"])
def test_a_given_mesh_of_training_has_all_ranks(size: str) -> None:
    with pytest.raises(llmcalc.InputError, match="the mesh has 1 ranks, but there are 8 GPUs") as caught:
        llmcalc.fit(DENSE, "h100:8", training=True, **{size: 1})
    assert caught.value.hint == "use {dp=8}"
    with pytest.raises(llmcalc.InputError, match="the mesh has 1 ranks, but there are 8 GPUs"):
        _ = llmcalc.train(DENSE, "1B", gpu="h100:8", mesh=Mesh(**{size: 1})).fit


def test_a_number_format_that_is_given_is_asked_of_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    for door in ("serve", "fit", "serve --isl 97 --osl 11"):
        name, *load = door.split()
        for given, code in (([], 0), (["--dtype", "fp16"], 0), (["--dtype", "bf16"], 1)):
            assert main([name, "llama3.2-1b", "--gpu", "t4", *load, *given]) == code, (door, given)
            assert ("does not compute in bf16" in capsys.readouterr().out) == bool(code)


def test_assumed_settings_are_not_those_that_were_typed(capsys: pytest.CaptureFixture[str]) -> None:
    for door in (f"serve {DENSE}", f"serve {DENSE} --isl 97 --osl 11", f"fit {DENSE}"):
        assert main([*door.split(), "--gpu", GPUS, "--dp", "1"]) == 0
        assumed = capsys.readouterr().out.partition("\n\n")[0]
        assert "--tp 8" in assumed
        assert "--dp" not in assumed


@pytest.mark.parametrize("line", [
    "fit llama3-8b --gpu h100", "fit gpt2 --gpu h100 --training --recompute full", "serve llama3-8b --gpu h100",
    "serve llama3-8b --gpu h100 --isl 997 --osl 101", "latency llama3-8b --gpu h100",
    "train llama3-8b --gpu h100 --tokens 1B --seq 2k",
])  # fmt: skip
def test_nothing_that_is_typed_is_called_assumed(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    def assumed(words: list[str]) -> list[str]:
        assert main(words) == 0
        lines = capsys.readouterr().out.splitlines()
        return next((each.split()[1:] for each in lines if each.startswith("assumed: ")), [])

    flags = assumed(line.split())
    assert len(flags) >= 2
    for at in range(0, len(flags), 2):
        assert flags[at] not in assumed([*line.split(), *flags[at : at + 2]])
