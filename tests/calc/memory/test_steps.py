"""A serving step computes a limited number of tokens over all sequences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llmcalc
from llmcalc.calc.memory.inference import Steps
from llmcalc.core.errors import InputError

LLAMA, VOCAB = llmcalc.load("llama3-8b"), 128256


@given(st.integers(1, 50), st.integers(1, 3000), st.integers(1, 9000), st.none() | st.integers(1, 4000))
def test_no_step_exceeds_the_limit_by_more_than_one_token_per_sequence(
    batch: int, seq: int, limit: int, prefill: int | None
) -> None:
    (step,) = Steps(limit, prefill).largest({"b": batch, "q": seq, "k": seq, "n": 0}, has_encoder=False)
    tokens, longest = step["b"] * step["q"], min(seq, prefill or seq)
    assert 1 <= step["b"] <= batch
    assert 1 <= step["q"] <= longest
    assert min(batch * longest, limit) <= tokens < limit + step["b"]
    assert step["k"] == seq


def test_long_prompts_cost_as_many_activations_as_one_chunk() -> None:
    one = llmcalc.memory(LLAMA, seq=211, step_tokens="all").activations
    assert llmcalc.memory(LLAMA, seq=211 * 13, step_tokens=211).activations == one
    assert llmcalc.memory(LLAMA, seq=211 * 13, prefill=211).activations == one
    assert llmcalc.memory(LLAMA, seq=211, batch=7, step_tokens=211).activations == one
    assert llmcalc.memory(LLAMA, seq=211, batch=7, step_tokens=422).activations > one
    assert llmcalc.memory(LLAMA, seq=8192 * 3).steps.limit == 8192


def test_a_step_has_the_logits_of_all_sequences() -> None:
    assert llmcalc.memory(LLAMA, seq=2, batch=1009, step_tokens=1013).activations >= 1009 * VOCAB * 2
    assert llmcalc.memory(LLAMA, seq=2, batch=1009, step_tokens=503).activations < 1009 * VOCAB * 2


@pytest.mark.parametrize("name", ["bert-base", "t5-small"])
def test_an_encoder_reads_its_sequences_whole(name: str) -> None:
    one = llmcalc.memory(name, seq=401, step_tokens="all").activations
    assert llmcalc.memory(name, seq=401, batch=5, step_tokens=7).activations == one
    assert llmcalc.memory(name, seq=401, batch=5, step_tokens=803).activations > one


@pytest.mark.parametrize("name", ["deepseek-v3.2", "deepseek-v4-flash", "glm-5"])
def test_selecting_tokens_stores_no_scores_of_all_tokens(name: str) -> None:
    short, long = (llmcalc.memory(name, seq=seq, step_tokens=67).activations for seq in (1031, 1031 * 997))
    latents = 64 * 2 * 512 * 1031 * 996  # keys and values that multi-head latent attention expands
    assert long <= short + latents


def test_eager_code_computes_all_tokens_at_once() -> None:
    eager, whole = ({"convention": "torch"}, {"step_tokens": "all"})
    sizes = [llmcalc.memory(LLAMA, seq=8209, batch=3, **more).activations for more in (eager, whole, {})]  # type: ignore[arg-type]
    assert sizes[0] == sizes[1] > sizes[2]


@pytest.mark.parametrize("value", ["", "none", "0", "-1", "1.5", 0, -1, 1.5, True])
def test_invalid_limits(value: object) -> None:
    with pytest.raises(InputError, match="step_tokens: "):
        llmcalc.memory(LLAMA, seq=5, step_tokens=value)  # type: ignore[arg-type]
