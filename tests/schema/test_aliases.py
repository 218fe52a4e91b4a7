"""Old names of keys still work in descriptions, and change no fingerprint."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc import layers
from llmcalc.calc.memory.optimizer import Recipe
from llmcalc.core.aliases import FIRST_FIELDS, JSON_KEYS, LAYER_FIELDS, accepts_old_names
from llmcalc.core.architecture import Architecture
from llmcalc.core.fingerprint import canonical, fingerprint
from llmcalc.core.flat_fields import flat_names
from llmcalc.core.record import record


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


@pytest.mark.parametrize("kind", FIRST_FIELDS)
def test_a_layer_accepts_the_first_names_of_its_fields(kind: str) -> None:
    found, _ = layers.find(kind)
    renamed = LAYER_FIELDS.get(kind, {})
    own = {*found.__match_args__, *renamed, *renamed.values()}  # type: ignore[attr-defined]
    assert [name for name in FIRST_FIELDS[kind].split() if name not in own and not flat_names(found).has(name)] == []


@pytest.mark.parametrize("record", [llmcalc.Mesh, Recipe])
def test_the_old_names_of_a_record_lead_to_its_fields(record: type) -> None:
    assert {*JSON_KEYS[record.__name__].values()} <= {*record.__match_args__}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("model", "known"), [("gpt2", "2ac122cd59cd"), ("deepseek-v3", "9bbd4d65f463"), ("mamba-130m", "1356303da384")]
)
def test_a_fingerprint_never_changes(model: str, known: str) -> None:
    assert fingerprint(llmcalc.load(model)).startswith(f"sha256:{known}")


def test_the_notice_about_an_old_name_points_to_the_caller() -> None:
    @accepts_old_names
    @record
    class Mesh:
        dp: int = 1

    with pytest.warns(DeprecationWarning, match="data is now called dp") as caught:
        assert Mesh(data=2) == Mesh(dp=2)  # type: ignore[call-arg]
    assert caught[0].filename == __file__
