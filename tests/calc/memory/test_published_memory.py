"""Published memory figures."""

import pytest

import llmcalc
from llmcalc.calc.memory.training import segments_and_loss
from llmcalc.calc.sharding import Mesh

GIB, GB = 2**30, 10**9
# [korthikanti2022, Table 3]
MODELS = {
    "megatron-22b": (48, 6144, 64),
    "gpt3-175b": (96, 12288, 96),
    "turing-530b": (105, 20480, 128),
    "megatron-1t": (128, 25600, 160),
}


def gpt(name):
    layers, width, heads = MODELS[name]
    return llmcalc.load("gpt3", overrides=(f"n_layers={layers}", f"d_model={width}", f"n_heads={heads}", "vocab=51200"))


def train(model, mesh, recompute, batch=1, **more):
    settings = {"attention": "eager", "dropout": True, "recompute": recompute, "mesh": mesh, **more}
    return llmcalc.memory(model, mode="training", batch=batch, seq=2048, **settings)


def block_bytes(memory):
    stage = memory.stages[0]
    segments, _ = segments_and_loss(stage.architecture, stage.workload, stage.policy, stage.mesh)
    (block,) = list(segments.values())[1]
    return block.saved


# [korthikanti2022, Table 2]: bytes of a layer over s·b·h, from t ranks and attention's share 5·a·s/h
FORMULAS = {
    (1, False, "none"): lambda t, core: 34 + core,
    (8, False, "none"): lambda t, core: 10 + 24 / t + core / t,
    (8, True, "none"): lambda t, core: (34 + core) / t,
    (8, False, "selective"): lambda t, core: 10 + 24 / t,
    (8, True, "selective"): lambda t, core: 34 / t,
    (8, True, "full"): lambda t, core: 2 / t,
}


@pytest.mark.parametrize(("ranks", "sequence", "recompute"), FORMULAS)
def test_korthikanti_activations_of_a_layer(ranks, sequence, recompute):
    """To 0.02 %: the norms' statistics, which the paper neglects, are counted here."""
    memory = train(gpt("gpt3-175b"), Mesh(tp=ranks, sp=sequence), recompute)
    expected = 2048 * 12288 * FORMULAS[ranks, sequence, recompute](ranks, 5 * 96 * 2048 / 12288)
    assert block_bytes(memory) == pytest.approx(expected, rel=2e-4)


# [korthikanti2022, Figure 7]: model, kept activations in percent of those under tensor parallelism alone
FIGURE_7 = """
megatron-22b selective                    49.42
megatron-22b sequence+selective           16.18
gpt3-175b    sequence                     62.04
gpt3-175b    sequence+selective           18.49
gpt3-175b    full                          8.71
turing-530b  sequence+selective           20.27
megatron-1t  selective                    62.04
megatron-1t  sequence+selective           20.27
megatron-1t  full                          9.42
"""


@pytest.mark.parametrize("row", FIGURE_7.strip().splitlines())
def test_korthikanti_figure_7(row):
    """To 1.1 %: the bars are read from a picture."""
    name, ways, percent = row.split()
    model = gpt(name)
    recompute = ways.rpartition("+")[2]
    recompute = recompute if recompute in ("selective", "full") else "none"
    baseline = block_bytes(train(model, Mesh(tp=8), "none"))
    kept = block_bytes(train(model, Mesh(tp=8, sp="sequence" in ways), recompute))
    assert 100 * kept / baseline == pytest.approx(float(percent), rel=0.011)


# [korthikanti2022, Figure 1]: model, stages, chunks, micro-batch; GiB of parameters and optimizer, of activations under
# tensor parallelism alone, and with sequence parallelism and selective recomputation
FIGURE_1 = """
megatron-22b  1 1 4 45.5625      59.25        9.5625
gpt3-175b     8 3 1 45.5625      66.84375     12.3515625
turing-530b  35 3 1 31.640625   114.0234375   23.076171875
megatron-1t  64 1 1 32.958984375 131.25       26.5625
"""


@pytest.mark.parametrize("row", FIGURE_1.strip().splitlines())
def test_korthikanti_figure_1(row):
    name, stages, chunks, batch, *printed = row.split()
    parameters, plain, recomputed = map(float, printed)
    model = gpt(name)
    for expected, sequence, recompute in ((plain, False, "none"), (recomputed, True, "selective")):
        mesh = Mesh(tp=8, pp=int(stages), virtual_stages=int(chunks), sp=sequence, micro_batches=4 * int(stages))
        memory = train(model, mesh, recompute, int(batch), gradients="fp32")
        stage = memory.stages[0]
        # the figure shows the blocks of the first stage; the rest of a single stage holds the loss too
        blocks = sum(
            segment.saved * segment.count
            for parts in segments_and_loss(stage.architecture, stage.workload, stage.policy, stage.mesh)[0].values()
            for segment in parts
            if segment.count > 1
        )
        share = stage.activations if int(stages) > 1 else blocks
        assert share / GIB == pytest.approx(expected, rel=1e-3)
    per_parameter = (stage.weights + stage.gradients + stage.optimizer) / (stage.weights / 2)
    assert per_parameter == 18
    width, layers = MODELS[name][1], MODELS[name][0]
    assert 18 * 12 * layers * width**2 / (8 * int(stages)) / GIB == pytest.approx(parameters)


def test_bytes_per_parameter_by_name():
    """16 with gradients in 16 bits [rajbhandari2019], 18 with gradients in 32 bits (Megatron-LM)."""
    model = llmcalc.load("gpt2-xl")
    for gradients, expected in (("bf16", 16), ("fp32", 18)):
        memory = llmcalc.memory(model, mode="training", batch=1, seq=1024, gradients=gradients)
        assert memory.weights + memory.gradients + memory.optimizer == expected * llmcalc.params(model).total


# [rajbhandari2019, Figure 1]: GB of model states for 7.5B parameters on 64 ranks
@pytest.mark.parametrize(("stage", "printed"), [(0, 120), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_zero_figure_1(stage, printed):
    """The figure's 7.5B parameters are taken as printed: bytes a parameter times that."""
    model = llmcalc.load("gpt3", overrides=("n_layers=36", "d_model=4096", "n_heads=32", "vocab=51200"))
    memory = llmcalc.memory(model, mode="training", batch=1, seq=1024, mesh=Mesh(dp=64, zero=stage))
    states = memory.weights + memory.gradients + memory.optimizer
    assert states / llmcalc.params(model).total * 7.5 == pytest.approx(printed, abs=0.05)


# K/V cache or latent cache at 32,768 tokens in bf16, GiB
CACHES = {
    "deepseek-v3": 61 * (512 + 64) * 2 * 32768 / GIB,
    "qwen3-8b": 36 * 2 * 8 * 128 * 2 * 32768 / GIB,
    "gpt-oss-120b": (18 * 32768 + 18 * 127) * 2 * 8 * 64 * 2 / GIB,
    "gemma3-27b": (10 * 32768 + 52 * 1023) * 2 * 16 * 128 * 2 / GIB,
}


@pytest.mark.parametrize(("name", "gib"), CACHES.items())
def test_caches(name, gib):
    assert llmcalc.state(llmcalc.load(name), batch=1, seq=32768).bytes / GIB == pytest.approx(gib, rel=1e-12)


def test_deepseek_cache_per_token_and_layer():
    """[deepseek2024v2, Section 2.1.4]: 512 + 64 elements."""
    one, two = (llmcalc.state(llmcalc.load("deepseek-v3"), seq=seq).elements for seq in (7, 8))
    assert two - one == 61 * 576
