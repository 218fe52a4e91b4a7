"""Old names of keys still work in descriptions, and change no fingerprint."""

import pytest

import llmcalc
from llmcalc.core.architecture import Architecture
from llmcalc.core.fingerprint import canonical, fingerprint


def _load(stack: dict[str, object], sublayer: dict[str, object]) -> Architecture:
    wide = {"linear": {"d_in": 8, "d_out": 4}, **sublayer}
    blocks = {"block": {"mlp": {"mlp": {"d_ff": 8}}, "wide": wide}}
    one = {"d_model": 4, "blocks": blocks, "order": ["block"], **stack}
    return llmcalc.load({"name": "small", "architecture": {"stacks": {"decoder": one}}})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (({}, {"beside_first": True}), ({}, {"concat_input": True})),
        (({}, {"reads": "mlp"}), ({}, {"input_from": "mlp"})),
        (({}, {"by_depth": True}), ({}, {"depth_scaled": True})),
        (({"role": "side", "spare_patches": 1}, {}), ({"role": "auxiliary", "extra_patches": 1}, {})),
        (({"in_text": True}, {}), ({"replaces_placeholder_tokens": True}, {})),
    ],
)  # fmt: skip
def test_an_old_key_still_works(old: tuple[dict[str, object], ...], new: tuple[dict[str, object], ...]) -> None:
    assert _load(*old).stacks == _load(*new).stacks
    assert "is now called" in _load(*old).warnings[0]
    assert not _load(*new).warnings
    assert fingerprint(_load(*old)) == fingerprint(_load(*new))


def test_a_fingerprint_keeps_the_first_names() -> None:
    text = canonical(_load({"role": "auxiliary"}, {"concat_input": True, "input_from": "mlp"}).stacks)
    assert "role='side'" in text
    assert "beside_first=True" in text
    assert "reads='mlp'" in text


def test_both_names_at_once_are_an_error() -> None:
    with pytest.raises(llmcalc.InputError, match="in_text"):
        _load({"in_text": True, "replaces_placeholder_tokens": True}, {})
