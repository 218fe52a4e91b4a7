"""Scaling laws by name, as data and as answers: units of N, warnings as values, what a law cannot say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llmcalc
from llmcalc.analysis.plan import counts, routed
from llmcalc.core.errors import InputError, UnknownNameError
from llmcalc.data import table
from llmcalc.estimate.scaling.forms import TRAIN
from llmcalc.estimate.scaling.law import COMPUTE, COUNTS, QUANTITIES, TOKENS, Conditions
from llmcalc.inputs.scaling_laws import EXPERT_LAWS, USUAL_LAWS, law, laws
from llmcalc.report.catalogues import FORMULAS, LAW_CHECKED

WITH_EXPERTS = Conditions(experts=8, granularity=2, unique=1e11)


@pytest.mark.parametrize("name", sorted(laws()))
def test_every_law_is_complete(name: str) -> None:
    one = law(name)
    assert one.form in FORMULAS
    assert one.counts in COUNTS
    assert one.tokens in TOKENS
    assert one.compute in COMPUTE
    assert one.example or one.gap
    assert one.checked in LAW_CHECKED
    assert one.source.split()[0] in table("sources")
    assert set(one.range) <= set(QUANTITIES)
    assert one.range
    for low, high in one.range.values():
        assert low is None or high is None or low <= high
    for symbol in one.constants:
        assert symbol in FORMULAS[one.form] + "e_start e_max c_ref n_ref l_c l_a", symbol
    form = one.of(WITH_EXPERTS)
    answers = 0
    for ask in (lambda: form.loss(2e9, 5e10), lambda: form.optimum(1e21)[0]):
        try:
            assert ask() > 0
            answers += 1
        except InputError:
            pass
    assert answers


@pytest.mark.parametrize("name", sorted(laws()))
def test_loss_falls_with_size_and_data(name: str) -> None:
    form = law(name).of(WITH_EXPERTS)
    try:
        losses = [form.loss(n, d) for n, d in ((1e8, 1e10), (1e9, 1e10), (1e9, 1.3e11))]
    except InputError:
        return
    assert losses == sorted(losses, reverse=True)
    assert all(2.1 < loss < 3.9 for loss in losses)


def test_the_usual_laws_exist() -> None:
    assert {*USUAL_LAWS, *EXPERT_LAWS} <= set(laws())


def test_a_budget_and_back() -> None:
    found = llmcalc.scale(compute=1e22)
    assert [point.law.name for point in found.points] == list(USUAL_LAWS)
    for point in found.points:
        again = llmcalc.scale(parameters=point.parameters, laws=[point.law.name]).points[0]
        assert again.tokens == pytest.approx(point.tokens, rel=1e-6)
        data = llmcalc.scale(tokens=point.tokens, laws=[point.law.name]).points[0]
        assert data.parameters == pytest.approx(point.parameters, rel=1e-6)
        assert point.compute == 1e22


def test_a_loss_and_back() -> None:
    for point in llmcalc.scale(compute=1e22).points:
        if point.loss is not None:
            again = llmcalc.scale(loss=point.loss, laws=[point.law.name]).points[0]
            assert again.compute == pytest.approx(1e22, rel=1e-6)


def test_each_law_gets_the_parameters_that_it_counts() -> None:
    model = llmcalc.load("llama3-8b")
    counted = llmcalc.params(model)
    found = {point.law.name: point.parameters for point in llmcalc.scale(model, tokens=15e12).points}
    assert found["hoffmann-3"] == counted.total
    layers, width, seq = 32, 4096, 4096
    without_head = counted.non_embedding - 128256 * width
    assert found["kaplan"] == without_head
    assert found["porian"] == counted.non_embedding
    norms = counted.non_embedding - without_head - 128256 * width + (2 * layers + 1) * width
    expected = TRAIN * (without_head - norms) + 12 * layers * width * seq
    assert found["deepseek"] == pytest.approx(expected / TRAIN, rel=1e-9)


def test_experts_of_a_model_decide_its_laws() -> None:
    model = llmcalc.load("mixtral-8x7b")
    counted = llmcalc.params(model)
    assert routed(model) == 4
    assert routed(llmcalc.load("gpt2")) is None
    found = {point.law.name: point for point in llmcalc.scale(model, tokens=1e12).points}
    assert set(found) == {*EXPERT_LAWS} - {"krajewski"}  # fitted on 64 experts
    assert found["abnar"].active == counted.active
    assert found["abnar"].parameters == counted.total
    assert found["ludziejewski"].parameters == counted.active
    assert found["abnar"].compute == pytest.approx(found["ludziejewski"].compute)
    assert counts(model)["total"] == counted.active


def test_overtraining_and_its_cost() -> None:
    """A model on its best number of tokens wastes nothing; on more it pays for its size."""
    best = llmcalc.scale(parameters=8e9, laws=["besiroglu"]).points[0]
    on_path = llmcalc.scale(parameters=8e9, tokens=best.tokens, laws=["besiroglu"]).points[0]
    assert on_path.overtraining == pytest.approx(1)
    assert on_path.excess == pytest.approx(1)
    more = llmcalc.scale(parameters=8e9, tokens=15e12, laws=["besiroglu"]).points[0]
    assert more.overtraining == pytest.approx(15e12 / best.tokens)
    assert more.excess is not None
    assert more.excess > 5
    assert more.best_parameters is not None
    same = llmcalc.scale(compute=more.compute / more.excess, laws=["besiroglu"]).points[0]
    assert (same.loss, same.parameters) == pytest.approx((more.loss, more.best_parameters))


def test_a_point_beyond_the_fit_carries_a_warning() -> None:
    inside = llmcalc.scale(parameters=1e9, tokens=20e9)
    assert not [one for one in inside.outside if one.law in ("hoffmann-3", "besiroglu")]
    beyond = llmcalc.scale(compute=5e23, laws=["hoffmann-2"])
    found = {one.quantity: one for one in beyond.outside}
    assert set(found) == {"n", "d", "c"}
    assert found["c"].high == 3e21
    assert found["c"].factor == pytest.approx(5e23 / 3e21)
    assert "largest" in found["n"].text
    assert beyond.warnings == ("extrapolated: hoffmann-2 is used beyond the range it was fitted on",)
    assert beyond.to_dict()["points"][0]["outside"][0]["quantity"] == "n"
    small = llmcalc.scale(parameters=1e6, tokens=6e9, laws=["hoffmann-3"])
    assert small.outside[0].factor == pytest.approx(1e6 / 70e6)
    assert "smallest" in small.outside[0].text


def test_limited_data_is_repeated() -> None:
    found = {point.law.name: point for point in llmcalc.scale(compute=9.3e21, unique=25e9).points}
    ours, others = found["muennighoff"], found["besiroglu"]
    assert ours.epochs == pytest.approx(ours.tokens / 25e9)
    assert others.epochs == pytest.approx(others.tokens / 25e9)
    assert ours.worth is not None
    assert 25e9 < ours.worth < ours.tokens
    assert others.worth is None
    plenty = llmcalc.scale(compute=1e20, unique=1e15, laws=["besiroglu"]).points[0]
    assert plenty.epochs == 1


def test_inference_makes_models_smaller() -> None:
    plain = llmcalc.scale(compute=1e23, inference=1e13, laws=["hoffmann-3"]).points[0]
    dear = llmcalc.scale(compute=1e23, inference=1e13, inference_cost=10, laws=["hoffmann-3"]).points[0]
    assert plain.served is not None
    assert dear.served is not None
    assert dear.served.parameters < plain.served.parameters < plain.parameters
    assert 0 < plain.served.saved < dear.served.saved < 1


def test_laws_that_cannot_answer_say_why() -> None:
    found = llmcalc.scale(loss=2.2)
    reasons = {one.law: one for one in found.silent}
    assert reasons["hoffmann-1"].reason == "does not predict a loss"
    assert not reasons["hoffmann-1"].impossible
    assert found.spread("compute")
    assert {point.law.name for point in found.points} | set(reasons) == {*USUAL_LAWS, *EXPERT_LAWS}
    assert reasons["krajewski"].reason == "applies only to mixture-of-experts models"
    with_experts = {one.law: one.reason for one in llmcalc.scale(compute=1e22, n_experts=8).silent}
    assert with_experts == {
        "krajewski": "fitted on 64 experts per active expert", "clark": "was fitted on one number of tokens",
    }  # fmt: skip


def test_a_loss_that_only_some_laws_reach_is_a_warning() -> None:
    found = llmcalc.scale(loss=1.75)
    assert [one.law for one in found.silent if one.impossible] == ["besiroglu", "muennighoff"]
    assert found.warnings[-1] == "unreachable according to besiroglu, muennighoff"


def test_the_middle_is_the_median() -> None:
    found = llmcalc.scale(compute=1e21, laws=["hoffmann-1", "besiroglu", "kaplan"])
    sizes = sorted(point.parameters for point in found.points)
    assert found.middle("parameters") == sizes[1]
    assert found.spread("parameters") == (sizes[0], sizes[2])


def test_an_iso_flop_curve_has_its_lowest_loss_at_the_optimum() -> None:
    found = llmcalc.scale(compute=1e21, over=["params=1B..8B:x2"], laws=["hoffmann-3", "kaplan", "deepseek"])
    assert [one.middle("parameters") for one in found.curve] == [1e9, 2e9, 4e9, 8e9]
    for one in found.curve:
        assert one.middle("tokens") == pytest.approx(1e21 / 6 / one.middle("parameters"))
        assert set(one.losses) == {"hoffmann-3", "kaplan"}
        assert all(one.losses[law] >= found.losses[law] for law in one.losses)
    assert found.lowest_on_curve == {"hoffmann-3": 1, "kaplan": 3}
    assert [row["lowest_for"] for row in found.to_dict()["curve"]] == [[], ["hoffmann-3"], [], ["kaplan"]]
    named = llmcalc.scale(compute=1e21, over=["params=1e9,2B,4B,8B"], laws=["hoffmann-3", "kaplan", "deepseek"])
    assert named.curve == found.curve
    routed = llmcalc.scale(compute=1e21, over=["params=1B,2B"], n_experts=64, granularity=8).curve[0].points[0]
    assert (routed.active, routed.compute) == pytest.approx((1e9, 1e21))


BAD = [
    ({"compute": 1e21, "over": ["tokens=1B,2B"]}, "cannot be varied"),
    ({"compute": 1e21, "over": ["params"]}, "invalid range"),
    ({"compute": 1e21, "over": ["params=1B..1000000B:+1B"]}, "too many points"),
    ({"parameters": 1e9, "over": ["params=1B,2B"]}, "requires compute alone"),
    ({"compute": 1e21, "parameters": 1e9, "over": ["params=1B,2B"]}, "requires compute alone"),
    ({"loss": 2.0, "over": ["params=1B,2B"]}, "requires compute alone"),
    ({}, "nothing to solve for"),
    ({"compute": -1e20}, "out of range"),
    ({"compute": float("nan")}, "not nan"),
    ({"compute": float("inf")}, "not inf"),
    ({"tokens": 0.0}, "out of range"),
    ({"compute": 1e22, "loss": 2.0}, "cannot solve for"),
    ({"compute": 1e22, "tokens": 1e9, "parameters": 1e9}, "cannot solve for"),
    ({"loss": 1.5, "laws": ["hoffmann-3"]}, "irreducible"),
    ({"loss": 0.1}, "irreducible"),
    ({"parameters": 1e9, "loss": 1.8, "laws": ["besiroglu"]}, "irreducible|never reach"),
    ({"compute": 1e22, "unique": 0.0}, "out of range"),
    ({"compute": 1e22, "experts": 0.5}, "out of range"),
    ({"compute": 1e22, "laws": ["clark"]}, "experts"),
    ({"loss": 1e-300, "laws": ["kaplan"]}, "out of range"),
    ({"days": -1.0, "gpu": "h100:8"}, "days: amount -1 is out of range"),
    ({"days": 0.0, "gpu": "h100:8"}, "days: amount 0 is out of range"),
    ({"loss": 2.0, "laws": ["muennighoff"], "unique": 1e9}, "unique tokens"),
]


@pytest.mark.parametrize(("words", "message"), BAD)
def test_impossible_wishes(words: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        llmcalc.scale(**words)  # type: ignore[arg-type]


sizes = st.floats(min_value=1e-3, max_value=1e45) | st.sampled_from([0.0, -1.0, float("nan"), float("inf")])


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "compute": sizes, "parameters": sizes, "tokens": sizes, "loss": st.floats(-1, 100), "unique": sizes,
            "inference": sizes, "inference_cost": sizes, "experts": st.floats(0, 1e6), "granularity": st.floats(0, 1e3),
        },
    )
)  # fmt: skip
def test_any_wish_is_answered_or_refused(words: dict[str, float]) -> None:
    try:
        found = llmcalc.scale(laws=["all"], **words)  # type: ignore[arg-type]
    except InputError:
        return
    for point in found.points:
        assert 1 <= point.parameters < 1e41
        assert 1 <= point.tokens < 1e41
        assert point.loss is None or 0 < point.loss < float("inf")
        assert point.served is None or -1e-6 <= point.served.saved <= 1
    assert found.to_dict()["median"]


def test_an_unknown_law_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="did you mean besiroglu"):
        llmcalc.scale(compute=1e22, laws=["besirogl"])


def test_gpus_have_the_name_of_the_other_functions() -> None:
    named, machine = (llmcalc.scale(days=30, **{name: "h100:512"}) for name in ("gpu", "machine"))
    assert named.points == machine.points
    runs = [llmcalc.train("gpt2", "1B", **{name: "h100:8"}) for name in ("gpu", "machine")]
    assert runs[0].hours == runs[1].hours
    with pytest.raises(InputError, match="cannot be combined with gpu"):
        llmcalc.scale(days=30, gpu="h100:512", machine="h100:8")
