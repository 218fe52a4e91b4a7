"""Training runs: exact compute, published runs, files, and what is too little to train on."""

from __future__ import annotations

import pytest

import llmcalc
from llmcalc.calc.flop_conventions import conventional_flops
from llmcalc.core.errors import InputError, SizeError
from llmcalc.training.published_runs import as_other_runs, is_published_accelerator
from llmcalc.training.run import read_run

# compute of a run as published: model, tokens, length, FLOPs, how near
RUNS = """
palm-540b      780e9 2048 2.56e24 0.005
llama3.1-405b 15.6e12 8192 3.8e25 0.001
gpt3-175b      300e9 2048 3.14e23 0.002
chinchilla-70b 1.4e12 2048 5.76e23 0.022
"""


@pytest.mark.parametrize("row", RUNS.strip().splitlines())
def test_published_compute(row: str) -> None:
    """PaLM counts all pairs of query and key [chowdhery2022, Appendix B]; the others 6·N·D [brown2020, Table D.1;
    grattafiori2024, Section 3.2.1]; Chinchilla took Gopher's budget for 70B and 1.4T [hoffmann2022, Section 4].
    """
    name, tokens, seq, published, near = row.split()
    run = llmcalc.train(llmcalc.load(name), int(float(tokens)), seq=int(seq), count="dense")
    ours = run.compute if name.startswith("palm") else run.six_nd
    assert ours == pytest.approx(float(published), rel=float(near))


# [brown2020, Table D.1]: training FLOPs of the GPT-3 models on 300B tokens
TABLE_D1 = """
gpt3-small  2.25e20
gpt3-medium 6.41e20
gpt3-large  1.37e21
gpt3-xl     2.38e21
gpt3-2.7b   4.77e21
gpt3-6.7b   1.20e22
gpt3-13b    2.31e22
gpt3-175b   3.14e23
"""


@pytest.mark.parametrize("row", TABLE_D1.strip().splitlines())
def test_gpt3_table_d1(row: str) -> None:
    name, flops = row.split()
    run = llmcalc.train(llmcalc.load(name), 300 * 10**9, seq=2048)
    assert run.six_nd == pytest.approx(float(flops), rel=0.006)  # three digits printed, of parameters in whole millions


def test_compute_is_that_of_all_sequences() -> None:
    model = llmcalc.load("llama3-8b")
    run = llmcalc.train(model, 10**9, seq=1000)
    each = llmcalc.flops(model, seq=1000, mode="train")
    assert run.sequences == 10**6
    assert run.compute == 10**6 * each.matmul
    assert llmcalc.train(model, 1e9, seq=1000).compute == run.compute
    ragged = llmcalc.train(model, 10**9 + 1, seq=1000)
    assert ragged.sequences == 10**6 + 1
    assert ragged.six_nd == 6 * llmcalc.params(model).active * (10**9 + 1)


def test_two_stacks_share_the_tokens() -> None:
    run = llmcalc.train(llmcalc.load("t5-small"), 626 * 1000, seq=512, target_seq=114)
    assert run.sequences == 1000


def test_a_checkpoint_and_what_it_takes_to_resume() -> None:
    model = llmcalc.load("gpt2")
    n = llmcalc.params(model).total
    run = llmcalc.train(model, 10**9, seq=1024)
    assert run.weights_bytes == 2 * n
    assert run.resume_bytes == (2 + 4 + 8) * n  # bf16, the fp32 copy, two moments
    assert llmcalc.train(model, 10**9, seq=1024, optimizer="sgd").resume_bytes == (2 + 4) * n
    assert llmcalc.train(model, 10**9, seq=1024, dtype="fp32").weights_bytes == 4 * n


def test_token_ids_are_as_wide_as_the_vocabulary() -> None:
    assert llmcalc.train(llmcalc.load("gpt2"), 10**9, seq=1024).read_bytes == 2 * 10**9
    assert llmcalc.train(llmcalc.load("llama3-8b"), 10**9, seq=1024).read_bytes == 4 * 10**9


def test_time_and_cost_follow_from_the_machine() -> None:
    working = llmcalc.machine("h100", 512)
    run = llmcalc.train(llmcalc.load("llama3-70b"), 10**12, seq=8192, gpu=working, price=2.5, batch_tokens=4 * 10**6)
    assert run.hours is not None
    assert run.days is not None
    assert run.cost is not None
    dense = llmcalc.train(llmcalc.load("llama3-70b"), 10**12, seq=8192, count="dense").compute
    assert dense > run.compute
    assert run.other_hours is not None
    assert run.other_hours.mid == pytest.approx(dense / (989.4e12 * 0.41 * 3600))
    assert run.other_hours.low == pytest.approx(dense / (989.4e12 * 0.47 * 3600))
    assert run.step_time is not None
    steps = run.step.tokens / run.step_time.tokens
    assert run.hours.mid == pytest.approx(steps * run.step_time.seconds * 512 / 3600, rel=1e-6)
    assert run.days.mid == pytest.approx(run.hours.mid / 512 / 24)
    assert run.cost == pytest.approx((run.hours.low * 2.5, run.hours.high * 2.5))
    assert run.steps == 250_000
    assert [one.name for one in run.emissions] == ["llama1", "llama-card", "patterson2021"]
    assert run.emissions[0].mwh.mid == pytest.approx(run.hours.mid * 700 * 1.1 / 1e6)
    given = llmcalc.train(
        llmcalc.load("gpt2"), 10**9, seq=1024, gpu=working, watts=500.0, pue=1.2, carbon=0.1
    ).emissions
    assert [one.watts for one in given] == [500.0] * 4
    assert given[-1].tonnes.mid == pytest.approx(given[-1].mwh.mid * 0.1)


# accelerators, tokens per sequence, trained tokens, FLOP/s of an accelerator at the published utilisation, and sizes:
# layers, width, widths of keys and of feed-forward layers, their matrices, vocabulary, and products of attention
RUNS = """
gpt3-175b     v100-sxm2-32gb:10000 2048 300e9   125e12*0.213   96 12288 12288 49152 2 50257  2
gopher-280b   tpu-v3:4096          2048 300e9   123e12*0.325   80 16384 16384 65536 2 32000  3
llama3.1-405b h100:16384           8192 15.6e12 989.4e12*0.41 126 16384 1024  53248 3 128256 2
"""


@pytest.mark.parametrize("row", RUNS.strip().splitlines())
@pytest.mark.parametrize("count", ["causal", "dense"])
def test_hours_at_the_published_utilisation(row: str, count: str) -> None:
    """[chowdhery2022, Table 3; grattafiori2024, Table 4]: FLOPs counted by hand with all query-key pairs, as there.

    Gopher has a third product of attention, for relative positions.
    """
    name, gpus, length, tokens, speed, *sizes = row.split()
    layers, width, keys, inner, matrices, vocabulary, products = map(int, sizes)
    peak, utilisation = map(float, speed.split("*"))
    per_layer = 2 * width**2 + 2 * width * keys + matrices * width * inner
    forward = 2 * (layers * per_layer + width * vocabulary) + 2 * products * layers * int(length) * width
    hours = llmcalc.train(name, seq=int(length), gpu=gpus, count=count).other_hours
    assert hours is not None
    assert hours.mid == pytest.approx(3 * forward * float(tokens) / (peak * utilisation * 3600), rel=0.0006)


def test_published_flops_of_gopher_include_rematerialisation() -> None:
    """[rae2021, Appendix F]: 6.31e23. Four forward passes of the blocks (96·L·d²·(1 + s/6d) per token), no logits."""
    run = llmcalc.train("gopher-280b", seq=2048)
    (fact,) = (one for one in run.architecture.facts if one.source == "rae2021" and one.quantity == "training_flops")
    with_logits = conventional_flops(run.step)["narayanan"]
    assert with_logits - 6 * 16384 * 32000 * run.step.tokens == pytest.approx(fact.value, rel=0.001)
    assert run.compute + run.step.recomputed("full") == pytest.approx(fact.value, rel=0.005)  # visible pairs alone


@pytest.mark.parametrize("count", ["causal", "dense"])
def test_published_hours(count: str) -> None:
    """[deepseek2024v3, Table 1]: pre-training, from which the utilisation was derived."""
    hours = llmcalc.train("deepseek-v3", seq=2048, gpu="h800:2048", count=count).other_hours
    assert hours is not None
    assert hours.mid == pytest.approx(2.664e6, rel=0.0006)


def test_a_run_of_adapters_computes_no_gradients_of_weights() -> None:
    whole = llmcalc.train("llama3-8b", 10**9, seq=1024, gpu="h100")
    found = llmcalc.train("llama3-8b", 10**9, seq=1024, gpu="h100", lora_rank=7, lora_targets=["wq", "wd"])
    tokens, n_weights = found.step.tokens, 8_030_261_248 - 128256 * 4096 - 65 * 4096  # without tables and norms
    n_adapters = 7 * 32 * (2 * 4096 + 14336 + 4096)
    assert found.compute == whole.compute - 2 * tokens * n_weights + 6 * tokens * n_adapters
    assert found.hours is not None
    assert whole.hours is not None
    assert found.hours.mid / whole.hours.mid == pytest.approx(found.compute / whole.compute, rel=0.25)
    assert found.hours.mid > whole.hours.mid * found.compute / whole.compute  # adapters are small products
    assert found.weights_bytes == 4 * n_adapters  # in fp32, as PEFT keeps them
    others, of_all = as_other_runs(found), as_other_runs(whole)
    assert others is not None
    assert of_all is not None
    assert others.high / of_all.high == pytest.approx(found.hours.mid / whole.hours.mid)
    step = llmcalc.flops("gpt2", seq=64)
    assert step.with_adapters(0, ["wq"]) == step.matmul  # no backward pass
    with pytest.raises(llmcalc.InputError, match="lora_targets"):
        llmcalc.train("llama3-8b", 10**9, lora_targets=["wq"])


@pytest.mark.parametrize(("gpu", "count"), [("gb200-186gb", "causal"), ("h100", "dense"), ("h800", "6nd")])
def test_hours_are_counted_as_the_utilisation_is(gpu: str, count: str) -> None:
    working = llmcalc.machine(gpu)
    assert working.mfu_count == count
    runs = {each: llmcalc.train("mixtral-8x7b", 10**9, gpu=working, count=each) for each in ("causal", "dense")}
    flops = {each: run.compute for each, run in runs.items()} | {"6nd": runs["dense"].six_nd}
    assert len(set(flops.values())) == 3
    for each, run in runs.items():
        assert run.machine is not None
        assert run.mfu_flops == flops[each]
        assert run.other_hours == working.hours(flops[count])
        own = llmcalc.train("mixtral-8x7b", 10**9, gpu=llmcalc.machine(gpu, mfu=0.4), count=each)
        assert own.mfu_flops == flops[each]


def test_a_token_of_two_stacks_passes_through_one() -> None:
    run = llmcalc.train("t5-11b", 10**9, seq=512, gpu="h800")
    assert run.mfu_flops == run.six_nd // 2
    assert run.mfu_flops / run.compute == pytest.approx(0.918, abs=0.001)  # without pairs and cross-attention keys


def test_a_run_as_plain_data() -> None:
    run = llmcalc.train(llmcalc.load("gpt2"), 10**9, seq=1024, gpu=llmcalc.machine("a100-sxm-80gb", 8))
    data = run.to_dict()
    assert data["compute"] == run.compute
    assert data["published"]["mfu"] == {"low": 0.302, "mid": 0.514, "high": 0.56}
    assert data["published"]["mfu_count"] == "dense"
    assert data["machine"]["mfu"] == data["step_time"]["mfu"]
    assert data["mfu_flops"] == run.mfu_flops == run.compute
    assert data["price"]["low"] == 1.57
    assert set(data["cost"]) == {"low", "high"}
    assert llmcalc.train(llmcalc.load("gpt2"), 10**9, seq=1024).to_dict()["hours"] is None


@pytest.mark.parametrize("name", ["mamba2-130m", "rwkv4-169m", "mixtral-8x7b", "jamba", "bert", "deepseek-v3"])
def test_every_kind_of_model_can_be_trained(name: str) -> None:
    model = llmcalc.load(name)
    run = llmcalc.train(model, 128 * 10**8, seq=128)
    assert run.compute == 10**8 * llmcalc.flops(model, seq=128, mode="train").matmul
    assert run.six_nd == 6 * llmcalc.params(model).active * 128 * 10**8


@pytest.mark.parametrize(
    ("tokens", "words", "message"),
    [
        (0, {}, "number of tokens"),
        (-5, {}, "number of tokens"),
        (1.5e9 + 0.5, {}, "number of tokens"),
        (float("nan"), {}, "not nan"),
        (float("inf"), {}, "not inf"),
        (1023, {}, "fewer than one sequence"),
        (10**6, {"batch_tokens": 2 * 10**6}, "fewer than one step"),
    ],
)
def test_too_little_to_train_on(tokens: int, words: dict[str, int], message: str) -> None:
    with pytest.raises(SizeError, match=message):
        llmcalc.train(llmcalc.load("gpt2"), tokens, seq=1024, **words)  # type: ignore[arg-type]


def test_a_sequence_beyond_the_learned_positions() -> None:
    with pytest.raises(InputError, match="exceed the 1024 learned positions"):
        llmcalc.train(llmcalc.load("gpt2"), 10**9, seq=2048)


def test_a_run_computes_each_of_its_parts_once() -> None:
    mesh = llmcalc.Mesh(dp=2, tp=4, zero=1)
    run = read_run({"model": "llama3-8b", "tokens": "1T", "gpu": "h100:8", "mesh": mesh, "recompute": "full"})
    whole = run.answer()
    assert run.memory
    assert run.memory is whole.fit
    assert run.step is whole.step_time
    assert run.flops is whole.step
    alone = llmcalc.memory("llama3-8b", mode="training", mesh=mesh, recompute="full", optimizer="adamw")
    assert run.memory.needed == alone.peak
    assert whole.hours
    assert whole.answer == whole.spending(whole.hours)
    given = read_run({"model": "llama3-8b", "tokens": "1T", "gpu": llmcalc.machine("h100:8", mfu=0.4)})
    assert given.step is not None
    assert given.memory is None
    assert given.answer().answer == (given.answer().hours, given.answer().days, given.answer().cost)


def test_a_run_of_a_model_without_published_facts_is_another_one() -> None:
    run = llmcalc.train("gpt2", "1B", gpu="h100:8")
    assert not run.architecture.facts
    assert not is_published_accelerator(run)
    assert is_published_accelerator(llmcalc.train("deepseek-v3", gpu="h800:2048"))


def test_formats_of_a_run_that_states_none() -> None:
    assert read_run({"model": "gpt2", "tokens": "1B"}).formats == {"dtype": "bf16", "optimizer": "adamw"}
