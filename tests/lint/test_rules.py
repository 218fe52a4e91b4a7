"""Every rule finds what it is about, and is silent about a shape that is fine; codes are stable and explained."""

from __future__ import annotations

from typing import Any

import pytest

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Architecture
from llmcalc.core.errors import UnknownNameError
from llmcalc.data import table
from llmcalc.lint import codes, lint, rule
from llmcalc.lint import rules as rules_module
from llmcalc.schema.preset import build_preset

HEADS = {"n_heads": 4, "n_kv_heads": 2, "d_head": 64, "positions": "rope"}


def model(attention: dict[str, Any] | None = None, mlp: Any = None, **changes: Any) -> Architecture:
    """A decoder without a fault, with changes."""
    stack: dict[str, Any] = {
        "d_model": 256,
        "norms": {"pre": {"rmsnorm": {}}},
        "inputs": {"token": {"embedding": {"rows": 1024, "share": "t"}}},
        "blocks": {"block": {"attention": {"gqa": HEADS | (attention or {})}, "mlp": mlp or {"swiglu": {"d_ff": 640}}}},
        "order": ["block * 6"],
        "outputs": {"norm": {"rmsnorm": {}}, "head": {"head": {"vocab": 1024, "share": "t"}}},
    }
    name = changes.pop("name", "decoder")
    return build_preset({"name": "m", "architecture": {"stacks": {name: stack | changes}}}, None, (), None)


GOOD = model()
EXPERTS = {"d_ff": 64, "n_experts": 6, "top_k": 2}
FAULTS: dict[str, tuple[Architecture, Mesh, str]] = {
    "HW001": (model({"d_head": 63, "positions": "none"}), Mesh(), "decoder.block.attention.d_head"),
    "HW002": (model({"d_head": 80}), Mesh(), "decoder.block.attention.d_head"),
    "HW003": (model(d_model=250), Mesh(), "decoder.d_model"),
    "HW004": (model(mlp={"swiglu": {"d_ff": 683}}), Mesh(), "decoder.block.mlp.d_ff"),
    "HW005": (
        model(outputs={"norm": {"rmsnorm": {}}, "head": {"head": {"vocab": 1021}}}), Mesh(), "decoder.head",
    ),
    "TP001": (GOOD, Mesh(tp=3), "decoder.block.attention.n_heads"),
    "TP002": (GOOD, Mesh(tp=4), "decoder.block.attention.n_kv_heads"),
    "TP003": (GOOD, Mesh(tp=4), "decoder.block.mlp.d_ff"),
    "TP004": (model(mlp={"moe": EXPERTS}), Mesh(dp=4, ep=4), "decoder.block.mlp.n_experts"),
    "TP005": (GOOD, Mesh(pp=4), "m"),
    "CF001": (
        model(
            {"window": 128},
            inputs={
                "token": {"embedding": {"rows": 1024, "share": "t"}},
                "position": {"embedding": {"rows": 128, "table": "position"}},
            },
        ),
        Mesh(),
        "decoder.block.attention.window",
    ),
    "CF002": (model({"positions": "none", "k_bias": True}), Mesh(), "decoder.block.attention.k_bias"),
    "CF003": (model(mlp={"mlp": {"d_ff": 640, "unused": True}}), Mesh(), "decoder.block.mlp"),
    "CF004": (model(mlp={"moe": EXPERTS | {"top_k": 6}}), Mesh(), "decoder.block.mlp.top_k"),
    "CF005": (model({"n_heads": 16, "n_kv_heads": 16}), Mesh(), "decoder.block.attention.n_kv_heads"),
    "CF006": (
        model(outputs={"norm": {"rmsnorm": {}}, "head": {"head": {"vocab": 8192}}}), Mesh(), "decoder.outputs",
    ),
    "CF007": (model({"positions": "none", "causal": False}, name="encoder"), Mesh(), "encoder"),
    "CF008": (model(outputs={"head": {"head": {"vocab": 1024, "share": "t"}}}), Mesh(), "decoder.outputs"),
    "CF009": (model(norms={}), Mesh(), "decoder.block"),
    "CF010": (
        model(blocks={"block": {"one": {"mlp": {"d_ff": 640}}, "other": {"mlp": {"d_ff": 640}}}}), Mesh(), "decoder",
    ),
}  # fmt: skip


def test_every_rule_is_tried() -> None:
    assert set(FAULTS) == set(codes())


def test_a_good_model_is_left_alone() -> None:
    assert lint(GOOD) == []
    assert lint(GOOD, Mesh(tp=2, pp=3)) == []


@pytest.mark.parametrize("code", FAULTS)
def test_a_rule_finds_its_fault_and_says_where(code: str) -> None:
    architecture, mesh, place = FAULTS[code]
    found = lint(architecture, mesh, select=[code])
    assert [(one.code, one.place) for one in found] == [(code, place)]
    assert found[0].message
    assert found[0].advice
    assert lint(architecture, mesh, ignore=[code[:2], *{"HW", "TP", "CF"} - {code[:2]}]) == []


@pytest.mark.parametrize("code", FAULTS)
def test_a_rule_says_why_it_is_there_and_who_says_so(code: str) -> None:
    found = rule(code.lower())
    assert found.title
    assert found.reason.endswith(".")
    assert found.checked in ("true", "partly", "false", "logic")
    for part in found.source.split(";"):
        assert part.split()[0].rstrip(",") in {*table("sources"), "logic"}


def test_every_explained_rule_exists() -> None:
    assert set(table("rules")) == set(codes())
    assert list(rules_module._rules()) == sorted(codes())


@pytest.mark.parametrize("wrong", ["ZZ", "HW999", ""])
def test_an_unknown_code_is_an_error(wrong: str) -> None:
    with pytest.raises(UnknownNameError):
        lint(GOOD, select=[wrong])
    with pytest.raises(UnknownNameError):
        rule(wrong)


def test_costs_are_told_exactly() -> None:
    (found,) = lint(llmcalc.load("gpt2"), select=["HW005"])
    assert "padding to 50304 adds 36,096 parameters" in found.message
    (found,) = lint(llmcalc.load("gpt2"), select=["CF002"])
    assert "9,216 parameters" in found.message


def test_what_differs_from_attention_in_its_softmax_alone_has_the_same_faults() -> None:
    fields = {"n_heads": 16, "n_kv_heads": 16, "d_head": 16, "positions": "none"}
    model_of = model(blocks={"block": {"mixer": {"differential_attention": fields}, "mlp": {"swiglu": {"d_ff": 640}}}})
    assert [found.place for found in lint(model_of, select=["CF005"])] == ["decoder.block.mixer.n_kv_heads"]


def test_less_than_one_tile_has_one_better_size() -> None:
    (found,) = lint(model({"d_head": 5, "positions": "none"}), select=["HW001"])
    assert found.advice == "8"


def test_sinusoids_tell_positions() -> None:
    assert lint(llmcalc.load("transformer"), select=["CF007"]) == []


@pytest.mark.parametrize("name", ["llama3-8b", "deepseek-v3", "jamba", "nemotron-h", "qwen3", "t5"])
def test_models_of_today_have_no_faults_of_shape(name: str) -> None:
    assert lint(llmcalc.load(name), select=["HW", "CF007", "CF008", "CF009", "CF010"]) == []


@pytest.mark.parametrize(
    ("ranks", "text"),
    [(4, "stored 2 times"), (3, "cannot be divided evenly over 3 ranks"), (1, ""), (2, "")],
)
def test_key_value_heads_are_replicated_or_cannot_be_divided(ranks: int, text: str) -> None:
    found = [each for each in lint(GOOD, Mesh(tp=ranks)) if each.code == "TP002"]
    assert bool(found) == bool(text)
    assert all(text in each.message for each in found)
