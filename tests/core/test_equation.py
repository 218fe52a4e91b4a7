"""Equations are parsed completely."""

from __future__ import annotations

import pytest

from llmcalc.core.equation import TAGS, read
from llmcalc.core.errors import InputError


def test_a_contraction() -> None:
    line = read("q[b q h e] = x[b q d] wq[d h e]")
    assert line.function is None
    assert line.out.axes == ("b", "q", "h", "e")
    assert [operand.name for operand in line.operands] == ["x", "wq"]
    assert line.loops == ("b", "q", "h", "e", "d")
    assert line.contracted == ("d",)


def test_a_selected_axis_is_no_work_of_its_own() -> None:
    line = read("s[b h q k] = q[b q h e] k[b k g e] | g:h")
    assert line.select == (("g", "h"),)
    assert "g" not in line.loops
    assert line.contracted == ("e",)


def test_a_function_takes_tensors_with_or_without_axes() -> None:
    line = read("y[b q i] = selective_scan(x[b q i], B[b q N])")
    assert (line.function, line.loops) == ("selective_scan", ("b", "q", "i", "N"))
    assert read("a[b q f] = silu(g)").operands[0].axes == ()


def test_tags_and_transforms() -> None:
    line = read("V[b ft i] = fft(v) | over:ft prefill")
    assert (line.over, line.tags) == ("ft", {"prefill"})
    for tag in TAGS:
        assert read(f"y[b q] = relu(y) | {tag}").tags == {tag}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "y[b q d]",
        "y[b q d] =",
        "= x[b q d]",
        "y[b q d] = x[b q d] + w[d f]",
        "y[b q d] = x[b q d] w",
        "y[b q d] = x[b q d w[d f]",
        "y[b q d] = x[b q 2] w[d]",
        "y[b q d] = x[b q d] = w[d]",
        "y[b q d] = sotfmax(x)",
        "y[b q d] = add(x) mul(z)",
        "y[b q d] = add(x, 2)",
        "y[b q d] = x[b q d] w[d] | pre-fill",
        "y[b q d] = x[b q d] w[d] | g:h",
        "y[b q d] = fft(x) | over:t",
    ],
)
def test_a_line_that_is_no_equation_is_an_error(text: str) -> None:
    with pytest.raises(InputError):
        read(text)
