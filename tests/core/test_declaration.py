"""Declarations: axes of tensors must be known, and parts have their own axes."""

from __future__ import annotations

import pytest

from llmcalc.core.declaration import Declaration
from llmcalc.core.equation import read
from llmcalc.core.errors import DescriptionError, SizeError
from llmcalc.core.ledger import active_elements, elements


def test_a_tensor_is_the_product_of_its_axes() -> None:
    declaration = Declaration({"d": 3, "h": 5, "e": 7})
    declaration.weights("wq[d | h e]")
    (tensor,) = declaration.tensors
    assert tensor.axes == ("d", "h", "e")
    assert elements(tensor, declaration) == 3 * 5 * 7


def test_of_routed_experts_a_token_uses_some() -> None:
    declaration = Declaration({"x": 11, "j": 2, "d": 3, "f": 5})
    declaration.weights("wu[x d | f]", active=("x", "j"))
    assert active_elements(declaration.tensors[0], declaration) == 2 * 3 * 5


@pytest.mark.parametrize("spec", ["wq[d | z]", "wq", "[d]", "wq[d", "2w[d]"])
def test_a_tensor_with_an_unknown_axis_or_form_is_an_error(spec: str) -> None:
    with pytest.raises(DescriptionError):
        Declaration({"d": 3}).weights(spec)


def test_no_tensor_grows_with_the_workload() -> None:
    declaration = Declaration({"t": "c + q"})
    declaration.weights("w[t]")
    with pytest.raises(SizeError, match="workload"):
        elements(declaration.tensors[0], declaration)


def test_parts_are_walked_with_their_paths() -> None:
    outer, inner = Declaration({"d": 3}), Declaration({"d": 5})
    outer.include("shared", inner)
    assert [path for path, _ in outer.walk()] == [(), ("shared",)]


def test_a_tag_is_added_to_the_tags_and_selections_of_all_equations() -> None:
    declaration = Declaration({"d": 3})
    declaration.equations("y[b q d] = relu(x)", "s[b h q k] = q[b q h e] k[b k g e] | g:h core", tag="nograd")
    declaration.equations("z[b q d] = add(y, x)")
    assert [read(line).tags for line in declaration.lines] == [{"nograd"}, {"core", "nograd"}, set()]
    assert read(declaration.lines[1]).select == (("g", "h"),)
