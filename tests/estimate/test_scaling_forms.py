"""Scaling laws: closed forms against numeric minimisation, and their inverses."""

from __future__ import annotations

from math import exp, log

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmcalc.core.errors import InputError, UnsupportedError
from llmcalc.core.record import changed
from llmcalc.estimate.scaling.forms import INFER, TRAIN, Path, PowerSum, Repeated, effective_amount, minimiser

sizes = st.tuples(st.floats(5.0, 5000.0), st.floats(0.15, 0.6))
sums = st.builds(
    PowerSum,
    e=st.floats(0.1, 3.0),
    terms=st.lists(sizes, min_size=1, max_size=2).map(tuple),
    b=st.floats(5.0, 5000.0),
    beta=st.floats(0.15, 0.6),
    outer=st.sampled_from([1.0, 0.103, 0.5]),
)
routed = st.builds(changed, sums, outer=st.just(1.0), routing=st.just(200.0))
budgets = st.floats(1e18, 1e26)


def grid(low: float, high: float, points: int = 4001) -> list[float]:
    return [exp(log(low) + (log(high) - log(low)) * at / (points - 1)) for at in range(points)]


@given(sums, budgets)
def test_the_optimum_is_the_least_loss_of_all_splits(law: PowerSum, c: float) -> None:
    n, d = law.optimum(c)
    assert TRAIN * n * d == pytest.approx(c, rel=1e-12)
    best = min(law.loss(size, c / TRAIN / size) for size in grid(n / 100, n * 100, 401))
    assert law.loss(n, d) <= best + 1e-12
    near = minimiser(lambda size: law.loss(size, c / TRAIN / size), n / 50, n * 50)
    assert near == pytest.approx(n, rel=1e-3)


@given(sums, budgets)
def test_there_and_back_again(law: PowerSum, c: float) -> None:
    n, d = law.optimum(c)
    assert law.tokens_on_path(n) == pytest.approx(d, rel=1e-9)
    assert law.parameters_on_path(d) == pytest.approx(n, rel=1e-9)
    loss = law.loss(n, d)
    if loss - law.e > 1e-6:
        slack = 1e-9 / (loss - law.e)
        assert law.compute_for(loss) == pytest.approx(c, rel=1e-6 + 20 * slack)
        assert law.tokens_for(n, loss) == pytest.approx(d, rel=1e-6 + 20 * slack)


@settings(max_examples=40)
@given(sums, st.floats(1e20, 1e24), st.floats(1e9, 1e15))
def test_the_least_cost_of_training_and_inference(law: PowerSum, c: float, served: float) -> None:
    n, d = law.optimum(c)
    loss = law.loss(n, d)
    best, trained = law.lifetime(loss, served)
    assert law.loss(best, trained) == pytest.approx(loss, rel=1e-6)
    assert best <= n * (1 + 1e-6)
    assert trained >= d * (1 - 1e-6)

    def cost(size: float) -> float:
        try:
            seen = law.tokens_for(size, loss)
        except InputError:
            return float("inf")
        return TRAIN * size * seen + INFER * size * served

    found = TRAIN * best * trained + INFER * best * served
    assert found <= min(map(cost, grid(n / 1000, n * 2, 400))) * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(sums | routed, budgets)
def test_the_optimum_of_several_terms(law: PowerSum, c: float) -> None:
    n, d = law.optimum(c)
    assume(n > 2)  # a model has at least one parameter
    assert law.flops(n, d) == pytest.approx(c)
    best = min(law.loss(size, c / law.flops(size, 1.0)) for size in grid(n / 100, n * 100, 401))
    assert law.loss(n, d) <= best + 1e-9
    assert law.parameters_on_path(d) == pytest.approx(n)
    assert law.parameters_within(c, d) == pytest.approx(n)
    loss = law.loss(n, d)
    if loss - law.e > 1e-4:
        assert law.compute_for(loss) == pytest.approx(c, rel=1e-6)
        assert law.tokens_for(n, loss) == pytest.approx(d, rel=1e-6)
        served, trained = law.lifetime(loss, d)
        assert law.loss(served, trained) == pytest.approx(loss)
        assert law.flops(served, trained + d * INFER / TRAIN) <= law.flops(n, d + d * INFER / TRAIN)


CHINCHILLA = PowerSum(1.7, ((400.0, 0.34),), 410.0, 0.28)


def test_one_term_has_a_closed_form() -> None:
    """[hoffmann2022, Equation 4]: ``N = G·(C/6)^(β/(α+β))``, where ``G = (αA/βB)^(1/(α+β))``."""
    g = (0.34 * 400.0 / (0.28 * 410.0)) ** (1 / 0.62)
    n = g * (1e22 / TRAIN) ** (0.28 / 0.62)
    assert CHINCHILLA.optimum(1e22) == pytest.approx((n, 1e22 / TRAIN / n), rel=1e-9)
    assert CHINCHILLA.tokens_on_path(n) == pytest.approx(1e22 / TRAIN / n, rel=1e-9)
    term, data = (0.3 * share / 0.62 for share in (0.28, 0.34))
    compute = TRAIN * (400.0 / term) ** (1 / 0.34) * (410.0 / data) ** (1 / 0.28)
    assert CHINCHILLA.compute_for(2.0) == pytest.approx(compute, rel=1e-9)


def test_no_inference_leaves_the_optimum() -> None:
    n, d = CHINCHILLA.optimum(1e22)
    assert CHINCHILLA.lifetime(CHINCHILLA.loss(n, d), 1e-9) == pytest.approx((n, d), rel=1e-6)


@given(st.floats(1e-3, 10.0), st.floats(0.3, 0.8), budgets)
def test_a_path_there_and_back_again(k: float, a: float, c: float) -> None:
    for law in (Path(k_n=k, a=a), Path(k_d=k, b=a), Path(k_n=k, a=a, k_d=k * 7, b=0.31, unit=8.64e19)):
        n, d = law.optimum(c)
        assert law.compute(n, 0) == pytest.approx(c, rel=1e-8)
        assert law.tokens_on_path(n) == pytest.approx(d, rel=1e-8)
        assert law.parameters_on_path(d) == pytest.approx(n, rel=1e-8)
        if law.k_n is None or law.k_d is None:
            assert TRAIN * n * d == pytest.approx(c, rel=1e-12)


def test_a_path_without_loss_says_so() -> None:
    law = Path(k_n=0.1, a=0.5)
    for ask in (lambda: law.loss(1e9, 1e10), lambda: law.compute_for(2.0), lambda: law.lifetime(2.0, 1e12)):
        with pytest.raises(UnsupportedError, match="does not predict a loss"):
            ask()


FRESH = PowerSum(1.869, ((521.0, 0.353),), 1488.0, 0.353)
LIMITED = Repeated(1.869, ((521.0, 0.353),), 1488.0, 0.353, r_d=15.39, r_n=5.31, unique=1e11)


def test_fresh_data_is_worth_itself() -> None:
    small = FRESH.parameters_on_path(1e10) / 2
    assert LIMITED.loss(small, 1e10) == FRESH.loss(small, 1e10)
    assert effective_amount(7.0, 7.0, 15.0) == 7.0
    assert effective_amount(1e9, 1.0, 15.0) == pytest.approx(16.0)


def test_repetition_loses_value_and_never_harms() -> None:
    seen = [LIMITED.loss(3e9, epochs * 1e11) for epochs in (1, 2, 4, 8, 16, 1000)]
    assert seen == sorted(seen, reverse=True)
    assert LIMITED.loss(3e9, 4e11) > FRESH.loss(3e9, 4e11)


@pytest.mark.parametrize("c", [1e20, 1e22, 3e23])
def test_the_optimum_on_limited_data(c: float) -> None:
    n, d = LIMITED.optimum(c)
    assert TRAIN * n * d == pytest.approx(c)
    best = min(LIMITED.loss(size, c / TRAIN / size) for size in grid(n / 300, n * 300))
    assert LIMITED.loss(n, d) <= best + 1e-9
    assert LIMITED.compute_for(LIMITED.loss(n, d)) == pytest.approx(c, rel=1e-3)
    assert LIMITED.tokens_for(n, LIMITED.loss(n, d)) == pytest.approx(d, rel=1e-6)


def test_what_is_out_of_reach() -> None:
    law = CHINCHILLA
    with pytest.raises(InputError, match="irreducible"):
        law.compute_for(1.7)
    with pytest.raises(InputError, match="never reach"):
        law.tokens_for(1e8, 1.9)
    with pytest.raises(InputError, match="out of range"):
        law.compute_for(1.7 + 1e-13)
    with pytest.raises(InputError, match="unique tokens"):
        LIMITED.compute_for(1.9)
    with pytest.raises(InputError, match="unique tokens"):
        LIMITED.tokens_for(1e9, 2.0)
