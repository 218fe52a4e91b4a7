"""Beam search: beams have their own state and share the encoder's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.explain import state_tree
from llmcalc.core.errors import SizeError

GENERATED, READ = 7, 11  # tokens of the decoder, of the encoder


@given(
    st.sampled_from(["gpt2", "gpt-oss-20b", "jamba", "mamba2-130m", "deepseek-v3", "rwkv4-169m"]),
    st.integers(1, 300), st.integers(1, 5), st.integers(1, 5),
)  # fmt: skip
def test_a_beam_of_a_decoder_is_a_sequence_of_its_own(name: str, seq: int, batch: int, beams: int) -> None:
    model = llmcalc.load(name)
    found = llmcalc.state(model, batch=batch, seq=seq, beams=beams)
    assert found.elements == llmcalc.state(model, batch=batch * beams, seq=seq).elements
    assert found.bytes == llmcalc.state(model, batch=batch * beams, seq=seq).bytes
    tree = state_tree(found)
    assert tree.value == found.elements
    assert all(("n_beams" in node.formula) is (beams > 1) for _, node in tree.walk() if not node.children)


@pytest.mark.parametrize("beams", [1, 2, 5])
def test_beams_share_what_is_kept_of_the_encoder(beams: int) -> None:
    """6 decoder layers of 8 heads of 64: keys and values of both kinds of attention."""
    model = llmcalc.load("t5-small")
    row = 6 * 2 * 8 * 64
    shared = llmcalc.state(model, batch=3, seq=READ, target_seq=GENERATED, beams=beams)
    repeated = llmcalc.state(model, batch=3, seq=READ, target_seq=GENERATED, beams=beams, convention="torch")
    assert shared.elements == 3 * row * (beams * GENERATED + READ)
    assert repeated.elements == 3 * row * beams * (GENERATED + READ)


def test_the_prefill_runs_once_for_a_sequence_or_once_for_a_beam() -> None:
    model = llmcalc.load("llama3-8b")
    one, four = (llmcalc.memory(model, seq=101, beams=beams) for beams in (1, 4))
    assert one.weights == four.weights
    assert one.activations == four.activations
    torch = llmcalc.memory(model, seq=101, beams=4, convention="torch")
    assert torch.activations == llmcalc.memory(model, seq=101, batch=4).activations > four.activations


def test_a_step_of_many_beams_needs_more_than_a_short_prefill() -> None:
    model = llmcalc.load("llama3-8b")
    logits = 64 * 128256 * 2
    assert llmcalc.memory(model, seq=1, beams=64).activations >= logits > llmcalc.memory(model, seq=1).activations


@pytest.mark.parametrize("beams", [0, -1, 1.5, True])
def test_no_number_of_beams(beams: object) -> None:
    with pytest.raises(SizeError, match="beams: must be an integer of at least 1"):
        llmcalc.state(llmcalc.load("gpt2"), beams=beams)
