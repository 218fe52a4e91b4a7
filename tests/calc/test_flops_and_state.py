"""FLOPs and state: against brute force, additive over steps, monotone."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

import llmcalc
from llmcalc.calc.walk import visible_pairs
from llmcalc.core.form import symbol

NAMES = {axis: symbol(axis) for axis in ("b", "q", "k", "c", "s", "n")}
lengths = st.integers(1, 40)
widths = st.integers(1, 23)


def seen(mask, query, key):
    """Whether the token at ``query`` sees the one at ``key``."""
    kind, _, width = mask.partition(":")
    back = query - key
    if kind == "causal":
        return back >= 0
    if kind == "window":
        return 0 <= back < int(width)
    if kind == "chunk":
        return back >= 0 and query // int(width) == key // int(width)
    return abs(back) < int(width)


@given(cached=st.integers(0, 30), new=lengths, width=widths, kind=st.sampled_from(("causal", "window", "chunk")))
def test_visible_pairs_are_those_that_a_mask_lets_through(cached, new, width, kind):
    mask = kind if kind == "causal" else f"{kind}:{width}"
    form = visible_pairs(mask, NAMES)
    counted = sum(seen(mask, cached + i, j) for i in range(new) for j in range(cached + new))
    assert form(q=new, k=cached + new) == counted


@given(new=lengths, width=widths)
def test_a_bidirectional_window_looks_both_ways(new, width):
    form = visible_pairs(f"local:{width}", NAMES)
    assert form(q=new, k=new) == sum(seen(f"local:{width}", i, j) for i in range(new) for j in range(new))


@pytest.mark.parametrize("name", ["gpt2-small", "mistral-7b-v0.1", "gemma3-1b", "gpt-oss-20b", "llama3-8b"])
def test_decoding_step_by_step_costs_what_one_pass_costs(name):
    """Under the causal convention; past the window too."""
    model, tokens = llmcalc.load(name), 17
    whole = llmcalc.flops(model, batch=3, seq=tokens, count="causal").matmul
    steps = (
        llmcalc.flops(model, batch=3, seq=1, context=done, mode="decode", count="causal").matmul
        for done in range(tokens)
    )
    assert sum(steps) == whole


def test_an_encoder_decoder_has_two_lengths():
    model = llmcalc.load("t5-small")
    short, long = (llmcalc.flops(model, seq=29, target_seq=target).matmul for target in (7, 11))
    longer = llmcalc.flops(model, seq=31, target_seq=7).matmul
    assert short < long
    assert short < longer
    assert llmcalc.flops(model, seq=29).matmul == llmcalc.flops(model, seq=29, target_seq=29).matmul
    step = llmcalc.flops(model, seq=1, context=29, mode="decode").matmul
    assert step < long - short  # cross-attention's keys and values are cached


def test_training_is_three_forward_passes():
    model = llmcalc.load("gpt2-small")
    forward = llmcalc.flops(model, batch=2, seq=13)
    train = llmcalc.flops(model, batch=2, seq=13, mode="train")
    assert train.matmul == 3 * forward.matmul
    assert train.backward == 2 * train.forward


def test_the_last_logit_costs_one_position():
    model = llmcalc.load("gpt2-small")
    every, last = (llmcalc.flops(model, batch=2, seq=13, logits=logits).matmul for logits in ("all", "last"))
    assert every - last == 2 * 2 * (13 - 1) * 768 * 50257


MODELS = ("gpt2-small", "mixtral-8x7b", "deepseek-v3", "mamba-130m", "mamba2-130m", "t5-small", "jamba-v0.1")


@given(name=st.sampled_from(MODELS), batch=st.integers(1, 7), seq=st.integers(1, 400), more=st.integers(1, 300))
def test_every_quantity_grows_with_the_workload(name, batch, seq, more):
    model = llmcalc.load(name)
    for attention in ("causal", "dense"):
        few, many = (llmcalc.flops(model, batch=batch, seq=s, attention=attention) for s in (seq, seq + more))
        assert few.matmul < many.matmul
        assert few.total < many.total
    assert (
        llmcalc.state(model, batch=batch, seq=seq).elements
        <= llmcalc.state(model, batch=batch, seq=seq + more).elements
    )
    assert llmcalc.state(model, batch=batch, seq=seq).bytes < llmcalc.state(model, batch=batch + 1, seq=seq).bytes


def test_the_form_is_the_number():
    """A closed form evaluated is the scalar, and an array's corner too."""
    import numpy as np

    result = llmcalc.flops(llmcalc.load("gemma3-1b"), batch=3, seq=701, count="causal")
    values = result.workload.values(result.architecture)
    assert result.matmul_form(**values) == result.matmul
    batch, seq = np.arange(1, 5.0)[:, None], np.array([[350.0, 701.0, 1500.0]])
    grid = result.matmul_form(b=batch, q=seq, k=seq, c=0 * seq)
    assert grid.shape == (4, 3)
    assert grid[2, 1] == pytest.approx(result.matmul, rel=1e-15)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch": 0}, "batch"),
        ({"seq": -1}, "seq"),
        ({"seq": 2.0}, "seq"),
        ({"mode": "backwards"}, "mode"),
        ({"count": "sparse"}, "count"),
        ({"context": 5}, "context"),
        ({"convention": "jax"}, "convention"),
        ({"target_seq": 5}, "target_seq"),
    ],
)
def test_bad_workloads_are_refused(settings, named):
    with pytest.raises(llmcalc.InputError) as caught:
        assert llmcalc.flops(llmcalc.load("gpt2-small"), **settings).matmul
    assert named in str(caught.value)
