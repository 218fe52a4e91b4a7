"""Published utilisation and FLOPs."""

import pytest

import llmcalc
from llmcalc.calc.flop_conventions import CONVENTIONS, conventional_flops

PEAK = {"A100": 312e12, "TPU v4": 275e12}


def gpt(layers, width, heads, vocab=51200):
    sizes = (f"n_layers={layers}", f"d_model={width}", f"n_heads={heads}", f"vocab={vocab}")
    return llmcalc.load("gpt3", overrides=sizes)


def conventional(model, seq, convention):
    """FLOPs per token that ``train`` prints under a published convention."""
    step = llmcalc.train(model, seq, seq=seq).step
    return conventional_flops(step)[convention] / step.tokens


def test_palm_utilisation():
    """[chowdhery2022, Section 4.1 and Table 3]: 238.3k tokens a second on 6144 TPU v4 chips."""
    palm, rate, chips = llmcalc.load("palm-540b"), 238.3e3, 6144
    with_attention = rate * conventional(palm, 2048, "palm") / (chips * PEAK["TPU v4"])
    without = rate * 6 * llmcalc.params(palm).total / (chips * PEAK["TPU v4"])
    assert round(100 * with_attention, 1) == 46.2
    assert round(100 * without, 1) == 45.7


# [korthikanti2022, Table 5]: layers, width, heads, GPUs, batch, seconds an iteration, MFU, HFU in percent
TABLE_5 = """
megatron-22b  48  6144  64   8   4  1.10  41.5  43.7
gpt3-175b     96 12288  96  64  64 13.75  51.4  52.8
turing-530b  105 20480 128 280 280 37.83  56.0  57.0
"""


@pytest.mark.parametrize("row", TABLE_5.strip().splitlines())
def test_korthikanti_utilisation(row):
    _, layers, width, heads, gpus, batch, seconds, mfu, hfu = row.split()
    model = gpt(layers, width, heads)
    tokens = int(batch) * 2048 / (float(seconds) * int(gpus) * PEAK["A100"])
    rounding = 0.005 / float(seconds)  # seconds are printed to two decimals, percent to one
    for convention, printed in (("korthikanti", float(mfu)), ("korthikanti-hardware", float(hfu))):
        ours = 100 * tokens * conventional(model, 2048, convention)
        assert ours == pytest.approx(printed, abs=printed * rounding + 0.05)


@pytest.mark.parametrize("row", TABLE_5.strip().splitlines())
def test_korthikanti_seconds(row):
    """``train`` gives the printed seconds of an iteration from the printed MFU."""
    _, layers, width, heads, gpus, batch, seconds, mfu, _ = row.split()
    machine = llmcalc.machine("a100-sxm-80gb", int(gpus), mfu=f"{mfu}%")
    run = llmcalc.train(gpt(layers, width, heads), int(batch) * 2048, seq=2048, gpu=machine, count="dense")
    rounding = 0.05 / float(mfu) + 0.005 / float(seconds)
    assert run.days.mid * 86400 == pytest.approx(float(seconds), rel=rounding)


def test_palm_tokens_of_a_day():
    """[chowdhery2022, Table 3]: at its published MFU, ``train`` takes a day for the tokens that 6144 chips read."""
    run = llmcalc.train("palm-540b", 238.3e3 * 86400, seq=2048, gpu="tpu-v4:6144")
    assert run.other_hours.mid / 6144 / 24 == pytest.approx(1, rel=0.05 / 46.2 + 0.05 / 238.3)


# [narayanan2021, Table 1]: billions of parameters, layers, width, heads, GPUs, batch, TFLOP/s a GPU, aggregate PFLOP/s
TABLE_1 = """
3.6    30  3072  32   64  512 138   8.8
7.5    36  4096  32  128  512 142  18.2
18.4   40  6144  48  256 1024 135  34.6
145.6  80 12288  96 1536 2304 148 227.1
529.6 105 20480 128 2520 2520 163 410.2
"""


@pytest.mark.parametrize("row", TABLE_1.strip().splitlines())
def test_narayanan_parameters(row):
    billions, layers, width, heads, *_ = row.split()
    total = llmcalc.params(gpt(layers, width, heads)).total
    assert total / 1e9 == pytest.approx(float(billions), abs=0.06)


def test_narayanan_days():
    """[narayanan2021, Section 5.1]: 175B on 1024 GPUs at 140 TFLOP/s for 300B tokens, and 1T on 3072 at 163."""
    for layers, width, heads, gpus, rate, tokens, days in (
        (96, 12288, 96, 1024, 140e12, 300e9, 34),
        (128, 25600, 160, 3072, 163e12, 450e9, 84),
    ):
        flops = conventional(gpt(layers, width, heads), 2048, "narayanan")
        assert flops * tokens / (gpus * rate) / 86400 == pytest.approx(days, rel=0.04)


def test_the_conventions_agree_with_the_exact_count_where_they_should():
    """Korthikanti's model FLOPs are the contractions of a GPT without biases, all pairs counted."""
    model = gpt(96, 12288, 96)
    exact = llmcalc.flops(model, batch=1, seq=2048, mode="train", count="dense").matmul / 2048
    assert conventional(model, 2048, "korthikanti") == pytest.approx(exact, rel=1e-12)


# [brown2020, Table D.1]: training FLOPs, parameters in millions, FLOPs per parameter and token, tokens in billions
TABLE_D1 = """
t5-small      1.80e20     60 3 1000
t5-base       6.60e20    220 3 1000
t5-large      2.31e21    770 3 1000
t5-3b         9.00e21   3000 3 1000
t5-11b        3.30e22  11000 3 1000
bert-base     1.64e20    109 6  250
bert-large    5.33e20    355 6  250
roberta-base  1.50e21    125 6 2000
roberta-large 4.26e21    355 6 2000
gpt3-small    2.25e20    125 6  300
gpt3-medium   6.41e20    356 6  300
gpt3-large    1.37e21    760 6  300
gpt3-xl       2.38e21   1320 6  300
gpt3-2.7b     4.77e21   2650 6  300
gpt3-6.7b     1.20e22   6660 6  300
gpt3-13b      2.31e22  12850 6  300
gpt3-175b     3.14e23 174600 6  300
"""
# printed parameters that are not the model's: T5's label of 770M, and BERT-Large with RoBERTa-Large's count
NOT_ITS_OWN = {
    "t5-large": 0.045,
    "t5-3b": 0.055,
    "t5-11b": 0.03,
    "bert-large": 0.06,
    "t5-base": 0.015,
    "t5-small": 0.01,
}


@pytest.mark.parametrize("row", TABLE_D1.strip().splitlines())
def test_gpt3_table_d1(row):
    name, flops, millions, per_parameter, billions = row.split()
    printed = float(millions) * 1e6 * int(per_parameter) * float(billions) * 1e9
    assert printed == pytest.approx(float(flops), rel=0.005)
    total = llmcalc.params(llmcalc.load(name)).total
    assert total == pytest.approx(float(millions) * 1e6, rel=NOT_ITS_OWN.get(name, 0.005))


# [hoffmann2022, Table A4]: parameters in millions, layers, width, heads, FLOPs of the blocks over 6·N·D
TABLE_A4 = """
73   10  640 10 1.03
305  20 1024 16 1.10
552  24 1280 10 1.08
1100 26 1792 14 1.04
1600 28 2048 16 1.03
6800 40 3584 28 0.99
"""


@pytest.mark.parametrize("row", TABLE_A4.strip().splitlines())
def test_chinchilla_table_a4(row):
    """The paper prints neither the vocabulary nor the length; these are Gopher's."""
    millions, layers, width, heads, printed = row.split()
    sizes = (f"n_layers={layers}", f"d_model={width}", f"n_heads={heads}", f"d_head={int(width) // int(heads)}")
    model = llmcalc.load("chinchilla", overrides=sizes)
    total = llmcalc.params(model).total
    assert total == pytest.approx(float(millions) * 1e6, rel=0.04 if millions == "1100" else 0.01)  # printed as 1.1B
    assert round(conventional(model, 2048, "chinchilla-blocks") / (6 * total), 2) == float(printed)


def test_the_chinchilla_conventions_add_softmax_and_vocabulary_to_the_exact_count():
    model = gpt(3, 77, 7, 101)
    exact = llmcalc.flops(model, batch=1, seq=13, mode="train", count="dense").matmul / 13
    softmax, product = 3 * 3 * 3 * 7 * 13, 6 * 101 * 77
    assert conventional(model, 13, "chinchilla") == pytest.approx(exact + softmax + product, rel=1e-12)
    blocks = conventional(model, 13, "chinchilla-blocks")
    assert blocks == pytest.approx(exact + softmax - product, rel=1e-12)


# NVIDIA, Megatron-Bridge performance summary (26.08): model TFLOP/s over tokens/s is FLOPs of a token; the median of
# the published runs of a model, in units of 1e9: causal, logits in, router out
BRIDGE = """
llama3-70b 8192 449.21
kimi-k2    4096 204.44
"""


@pytest.mark.parametrize("row", BRIDGE.strip().splitlines())
def test_nvidia_flops_of_a_token(row):
    name, seq, published = row.split()
    found = llmcalc.flops(llmcalc.load(name), seq=int(seq), mode="train", count="causal")
    router = sum(count.matmul for part, count in found.by_component.items() if part == "router")
    assert (found.matmul - router) / int(seq) / 1e9 == pytest.approx(float(published), rel=0.002)


# [scao2022] and the run's log: BLOOM-176B on 384 A100, 2048 sequences of 2048 tokens: seconds a step, TFLOP/s a GPU
@pytest.mark.parametrize(("seconds", "printed"), [(105.16, 149.1), (106.46, 147.29)])
def test_bloom_hardware_flops(seconds, printed):
    """Everything but the logits is computed again, as Megatron-LM counts it."""
    flops = conventional(llmcalc.load("bloom-176b"), 2048, "megatron")
    assert flops * 2048 * 2048 / (seconds * 384) / 1e12 == pytest.approx(printed, rel=2e-3)


# MosaicML llm-foundry, throughput of MPT on A100/H100: parameters, layers, width, sequence, tokens/s, peak, MFU in %
MPT = """
64862437376 80 8192 2048 1007 989 41.25
64862437376 80 8192 2048 1058 989 43.36
29975214080 48 7168 2048 2115 989 40.27
"""


@pytest.mark.parametrize("row", MPT.strip().splitlines())
def test_mosaic_utilisation(row):
    """The convention of [chowdhery2022]: all parameters, all pairs."""
    total, layers, width, seq, rate, peak, printed = row.split()
    model = llmcalc.load(
        "gpt3", overrides=(f"n_layers={layers}", f"d_model={width}", f"n_heads={int(width) // 128}", "vocab=50368")
    )
    assert llmcalc.params(model).total == pytest.approx(float(total), rel=2e-3)
    utilisation = float(rate) * conventional(model, int(seq), "palm") / (float(peak) * 1e12)
    assert 100 * utilisation == pytest.approx(float(printed), rel=5e-3)


def test_every_convention_prints_its_formula() -> None:
    assert all("[" in convention.formula and "partial" not in convention.formula for convention in CONVENTIONS.values())
