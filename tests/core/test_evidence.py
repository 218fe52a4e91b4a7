"""Every result names the class of its evidence, and no doubtful size is called exact."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

import llmcalc
from llmcalc.analysis.evidence import classes
from llmcalc.analysis.quantity import names, quantity
from llmcalc.calc.step_result import StepResult
from llmcalc.core.evidence import CLASSES, merged, weakest
from llmcalc.core.notebook_display import NotebookDisplay
from llmcalc.core.record import changed
from llmcalc.inputs.gpus import accelerators
from llmcalc.inputs.number_formats import format_names, number_format
from llmcalc.verification import Verification

KIND = {
    "axes": {"d": "d_model", "m": {"size": 7, "shard": "whole"}},
    "tensors": ["keys[m; d]", "values[m; d]"],
    "equations": ["s[b q m] = x[b q d] keys[m d]", "p[b q m] = softmax(s)", "y[b q d] = p[b q m] values[m d]"],
}
DECODER = {
    "d_model": 15,
    "norms": {"pre": {"rmsnorm": {}}},
    "inputs": {"token": {"embedding": {"rows": 31}}},
    "blocks": {"block": {"own": {"slots": {}}}},
    "order": ["block * 2"],
    "outputs": {"norm": {"rmsnorm": {}}, "head": {"head": {"vocab": 31}}},
}
SKETCH: dict[str, Any] = {"name": "own", "kinds": {"slots": KIND}, "architecture": {"stacks": {"decoder": DECODER}}}

DERIVED = {
    "Diff",
    "Evidence",
    "GpuPlan",
    "GpuSearch",
    "ModelSearch",
    "RecipeSearch",
    "ServingFront",
    "ServingGpus",
    "ServingPools",
    "ServingSearch",
    "SpaceResult",
    "Verification",
}  # show values of other results


def results() -> set[type]:
    """All classes of results, without the base class of those about one step."""
    for module in pkgutil.walk_packages(llmcalc.__path__, "llmcalc."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    found = (kind for kind in subclasses(NotebookDisplay) if not issubclass(kind, llmcalc.Architecture))
    return {kind for kind in found if is_record_class(kind)} - {StepResult}


def subclasses(of: type) -> Iterator[type]:
    """All classes of llmcalc that inherit from one, also by others."""
    for kind in of.__subclasses__():
        if kind.__module__.startswith("llmcalc."):
            yield kind
        yield from subclasses(kind)


def is_record_class(kind: type) -> bool:
    return "__fields__" in vars(kind)


def test_every_result_names_its_evidence() -> None:
    for kind in results():
        assert kind.EVIDENCE or "evidence" in vars(kind), kind  # type: ignore[attr-defined]
        assert set(kind.EVIDENCE.values()) <= set(CLASSES), kind  # type: ignore[attr-defined]


def test_every_result_with_values_of_its_own_is_listed() -> None:
    listed = list(classes().values())
    for kind in results():
        evidence = kind.EVIDENCE  # type: ignore[attr-defined]
        assert not evidence or kind.__name__ in DERIVED or evidence in listed, kind


@pytest.mark.parametrize("name", names())
def test_every_part_of_a_quantity_has_a_class(name: str) -> None:
    found = quantity(name)
    assert set(found.evidence) in ({""}, {"serving", "training"})
    known = {part for values in found.evidence.values() for part in values}
    assert set(found.parts) <= known
    assert all(set(values.values()) <= set(CLASSES) for values in found.evidence.values())
    needed = {"train": {"tokens": 10**6}, "latency": {"gpu": "h100"}}
    result = found.measure(llmcalc.load("gpt2"), needed.get(name, {}))
    assert result.to_dict()["evidence"] == result.evidence
    for part in set(result.evidence) & set(known):
        assert result.evidence[part] == found.evidence_of(part), part


def test_the_weakest_class_decides() -> None:
    assert weakest("executed", "fitted", "exact") == "fitted"
    assert merged({"a": "exact"}, {"a": "measured", "b": "executed"}) == {"a": "measured", "b": "executed"}


def test_a_doubtful_size_is_not_exact() -> None:
    config = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 35, "num_attention_heads": 5}
    config |= {"intermediate_size": 77, "vocab_size": 101}
    model = llmcalc.load(config)
    assert llmcalc.params(model).evidence["total"] == "executed"
    doubtful = changed(model, warnings=("ignored the unknown key 'n_loops'",))
    assert set(llmcalc.params(doubtful).evidence.values()) == {"assumed"}
    assert llmcalc.memory(doubtful, mode="training", seq=7).evidence["weights"] == "assumed"
    assert llmcalc.params("gpt4").evidence["total"] == "assumed"
    assert llmcalc.compare("gpt2", "gpt4").evidence["params.total"] == "assumed"
    assert llmcalc.compare("gpt2", "gpt3").evidence["params.total"] == "executed"


def test_a_numpy_model_that_is_generated_from_the_equations_proves_nothing() -> None:
    model = llmcalc.load(SKETCH)
    assert llmcalc.params(model).evidence["total"] == "exact"
    assert llmcalc.flops(model).evidence["matmul"] == "exact"
    assert llmcalc.verify(model).evidence == {"checks": "exact"}
    assert llmcalc.verify("gpt2").evidence == {"checks": "executed"}
    assert Verification(changed(model, status="rumoured"), model, ()).evidence == {"checks": "exact"}
    assert Verification(llmcalc.load("gpt4"), model, ()).evidence == {"checks": "executed"}
    beyond = changed(llmcalc.load("gpt2"), unmodelled=("outputs are rounded",))
    assert llmcalc.params(beyond).evidence["total"] == "exact"


def test_the_settings_decide() -> None:
    kernels = {name: llmcalc.traffic("gpt2", kernels=name).evidence["total"] for name in ("fused", "unfused")}
    assert kernels == {"fused": "assumed", "unfused": "exact"}
    assert llmcalc.flops("gpt2", convention="torch").evidence["matmul"] == "exact"
    trained = llmcalc.memory("gpt2", mode="training").evidence
    assert (trained["gradients"], trained["peak"]) == ("exact", "measured")
    assert llmcalc.sweep("gpt2", "memory.peak", over="batch=1,2", training=True).evidence == {"memory.peak": "measured"}
    assert llmcalc.sweep("gpt2", "memory.peak", over="batch=1,2").evidence == {"memory.peak": "assumed"}


def test_hours_are_as_good_as_their_utilisation() -> None:
    published, given = (
        llmcalc.train("gpt2", "1B", gpu=llmcalc.machine("h100:8", mfu=mfu)).evidence for mfu in (None, 0.4)
    )
    assert (published["hours"], given["hours"]) == ("measured", "assumed")
    assert published["compute"] == "executed"
    assert "hours" not in llmcalc.train("gpt2", "1B").evidence


def test_a_fit_rests_on_its_memory() -> None:
    assert llmcalc.fit("gpt2", "h100").evidence["memory"] == "measured"
    assert llmcalc.fit("gpt2", "24GB").evidence["memory"] == "assumed"
    unverified = next(name for name, one in accelerators().items() if one.checked == "false")
    assert llmcalc.fit("gpt2", unverified).evidence["memory"] == "assumed"
    assert llmcalc.fit("gpt2", "h100", training=True).evidence["needed"] == "measured"


def test_weights_in_an_unverified_format_are_assumed() -> None:
    unverified = next(name for name in format_names() if not number_format(name).checked)
    weights = {name: llmcalc.memory("gpt2", weights=name).evidence["weights"] for name in ("q4_k_m", unverified)}
    assert weights == {"q4_k_m": "exact", unverified: "assumed"}


def test_derived_results_have_the_class_of_what_they_show() -> None:
    assert llmcalc.explain("gpt2", "params").evidence == {"params.total": "executed"}
    assert llmcalc.explain("gpt2", "active").evidence == {"params.active": "executed"}
    assert llmcalc.explain("gpt4", "params").evidence == {"params.total": "assumed"}
    assert llmcalc.design("llama3", params="13B").evidence == {"params": "executed"}
    checked = llmcalc.check("gpt2", max_params="1B", max_memory="1GiB")
    assert checked.evidence == {"findings": "executed", "parameters": "executed", "memory": "assumed"}
    assert llmcalc.scale(compute=1e21).evidence["tokens"] == "fitted"
