"""Compiled functions give what the functions give, for every input and not only for the example that is traced."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcalc.core.amount import Sum, largest, largest_items, scaled, smallest
from llmcalc.core.description.compiled import ClosedForm, CompiledFunction
from llmcalc.core.description.traced import Tracer
from llmcalc.core.errors import SizeError
from llmcalc.core.form import ceil, maximum, minimum, remainder

SIZES = st.integers(1, 60) | st.sampled_from([997, 2**31 - 1, 2**61 - 1])


def branches(n: Any, m: Any) -> Any:
    if n > 2 * m:
        return n * n - m
    if n == m or not (n - 7):
        return 13 * m
    return n * m + 3


def rounded(n: Any, m: Any) -> Any:
    return 5 * (-(-n * m // 8)) + n * 16 // 8 - (n - 11) // 3 + 1024 // minimum(m, 64) - n % 5 + 19 % m


def extremes(n: Any, m: Any) -> Any:
    moments = [Sum(("done", 17 * layer), ("held", scaled(n * m, 23 - layer))) for layer in range(23)]
    found = largest(*(Sum(("peak", each)) for each in largest_items(moments, lambda moment: moment)))
    return found + smallest(n, 7 * m, 11) + maximum(n, m) + ceil(n, 4) * remainder(m, 4)


def chunked(n: Any, m: Any) -> Any:
    """Blocks that save a tensor for each chunk or window of tokens, as in linear attention."""
    chunks, coarse, window, ahead = -(-n // 64), n // 12, minimum(n, 32), -((11 - n) // 3)
    moments = [Sum(("done", 17 * layer), ("held", (23 - layer) * (chunks * 4096 + window * n + coarse) * m))
               for layer in range(23)]  # fmt: skip
    moments += [moment + 64 * (chunks - window) * m + n // 4 - ahead for moment in moments]
    return (
        largest(*largest_items(moments, lambda moment: moment))
        + minimum(64 * chunks - 63, n)
        + minimum(n // 4, n // 12)
    )


def keys(n: Any, m: Any) -> Any:
    known = {n: 3, m: 5}
    texts = {f"{n + 1}": 7, f"{m + 1}": 11}
    return sum(known.values()) * n + sum(texts.values())


FUNCTIONS = [branches, rounded, extremes, chunked, keys]


@pytest.mark.parametrize("function", FUNCTIONS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_compiled_functions_equal_functions(function: Any, data: st.DataObject) -> None:
    compiled = CompiledFunction(function, {"n": 1, "m": 1})
    points = data.draw(st.lists(st.tuples(SIZES, SIZES), min_size=1, max_size=9))
    expected = [function(n, m) for n, m in points]
    assert [compiled(n=n, m=m) for n, m in points] == expected
    n, m = (numpy.array(column, dtype=numpy.int64) for column in zip(*points, strict=True))
    assert compiled(n=n, m=m).tolist() == expected
    assert CompiledFunction(function, {"n": 1, "m": 1})(n=n, m=m).tolist() == expected


def test_guards_limit_a_form_to_the_outcomes_of_its_example() -> None:
    compiled = CompiledFunction(branches, {"n": 1, "m": 1})
    assert compiled(n=11, m=3) == 118
    (first,) = compiled.pieces
    assert [str(guard) for guard in first.guards] == ["-1 + n + -2·m"]
    assert first.functions[0](n=7, m=3)
    assert not first.functions[0](n=6, m=3)
    assert compiled(n=5, m=5) == 65  # without its guard, the first form gives 20
    assert first.functions[1](n=5, m=5) == 20
    assert len(compiled.pieces) == 2


def test_sums_of_the_largest_are_one_form() -> None:
    compiled = CompiledFunction(extremes, {"n": 1, "m": 1})
    compiled(n=2, m=3)
    (piece,) = compiled.pieces
    assert not piece.guards
    assert "max(23 × n × m, n × m + 374)" in str(piece)  # the first and the last of equal blocks


def test_chunks_and_windows_are_compared_with_lengths() -> None:
    compiled = CompiledFunction(chunked, {"n": 1, "m": 1})
    compiled(n=65, m=3)
    (piece,) = compiled.pieces
    assert not piece.guards
    texts = piece.to_dict()["let"].values()
    assert "min(n, 32)" in texts
    assert sum("min" in text for text in texts) == 1  # the others are decided for all inputs


def test_too_many_forms_are_chosen_from_by_guards() -> None:
    def curves(n: Any) -> Any:  # tangents of a parabola, none of which is below two others
        return largest(*(2 * slope * n - slope * slope for slope in range(200)))

    compiled = CompiledFunction(curves, {"n": 1})
    points = numpy.array([1, 7, 100, 1000])
    assert compiled(n=points).tolist() == [curves(int(n)) for n in points]
    assert len(compiled.pieces) == 4
    assert all(len(piece.guards) > 100 for piece in compiled.pieces)


def test_equal_forms_need_no_guard() -> None:
    trace = Tracer({"n": 5}, {"n": 1})
    n = trace.inputs["n"]
    assert n + n == 2 * n
    assert n * 3 > n
    assert n >= 1
    assert n != 0
    assert bool(n)
    assert n - n == 0
    assert not trace.guards
    assert n > 3
    assert n != 6
    assert len(trace.guards) == 2


@pytest.mark.parametrize("needs_integer", [int, range, lambda n: n / 2, lambda n: [0][n], lambda n: 2.5 * n])
def test_what_needs_an_integer_is_refused_and_computed_without_a_form(needs_integer: Any) -> None:
    with pytest.raises(TypeError):
        needs_integer(Tracer({"n": 0}, {"n": 0}).inputs["n"])
    compiled = CompiledFunction(lambda n: len(range(n)), {"n": 1})
    assert compiled(n=5) == 5
    assert compiled(n=numpy.array([3, 7])).tolist() == [3, 7]
    assert not compiled.pieces


def test_values_of_two_traces_are_never_mixed() -> None:
    one, two = (Tracer({"n": 5}, {"n": 1}).inputs["n"] for _ in range(2))
    with pytest.raises(TypeError, match="different traces"):
        _ = {one: 1}[two]


def test_errors_are_those_of_the_sizes() -> None:
    def limited(n: Any) -> Any:
        if n > 13:
            raise SizeError(f"{n} is too large")
        return 3 * n

    compiled = CompiledFunction(limited, {"n": 1})
    assert compiled(n=13) == 39
    with pytest.raises(SizeError, match="17 is too large"):
        compiled(n=17)
    with pytest.raises(SizeError, match="19 is too large"):
        compiled(n=numpy.array([2, 19]))


def test_large_values_are_exact() -> None:
    compiled = CompiledFunction(lambda n: n * n * n + 1, {"n": 1})
    assert compiled(n=numpy.array([2, 3])).dtype == numpy.int64
    assert compiled(n=numpy.array([2, 10**9 + 7])).tolist() == [9, (10**9 + 7) ** 3 + 1]


def test_forms_are_texts() -> None:
    trace = Tracer({"n": 5, "m": 7}, {"n": 1, "m": 1})
    n, m = trace.inputs.values()
    form = ClosedForm(trace, (3 * n - -(-m // 4)).form)
    assert form.to_dict() == {"where": [], "let": {"t1": "ceil(m, 4)"}, "value": "3*n - t1"}
