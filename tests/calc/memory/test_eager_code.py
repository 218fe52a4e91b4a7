"""Facts about transformers' eager code: they have known words, and each changes the saved tensors that it describes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

import llmcalc
from llmcalc.calc.memory.eager_code import EagerCode
from llmcalc.calc.memory.saved_tensors import ActivationPolicy
from llmcalc.calc.memory.training import saved_tensors
from llmcalc.calc.sharding import Mesh
from llmcalc.core.architecture import Architecture, Block, Branch, Named, Run, Stack, Sublayer
from llmcalc.core.equation import read
from llmcalc.core.layer import Layer
from llmcalc.core.ledger import declarations
from llmcalc.core.record import changed, fields
from llmcalc.core.traits import ModuleTensors
from llmcalc.core.workload import Workload
from llmcalc.data import table
from llmcalc.fitting.memory import eager_code
from llmcalc.importers.hf import family_table
from llmcalc.layers import find, kinds
from llmcalc.layers.attention import Attention
from llmcalc.layers.embedding import Embedding
from llmcalc.layers.gemma3n import AltUp
from llmcalc.layers.head import Head
from llmcalc.layers.hyper_connection import HyperConnection
from llmcalc.layers.mamba import Mamba
from llmcalc.layers.mlp import Mlp
from llmcalc.layers.moe import Moe
from llmcalc.layers.norm import Norm
from llmcalc.layers.parts.implementation import Implementation
from llmcalc.layers.parts.logits import LogitScale
from llmcalc.layers.parts.qk_norm import QkNorm
from llmcalc.layers.rg_lru import RgLru
from llmcalc.layers.rwkv import RwkvHeadMix, RwkvTimeMix
from llmcalc.zoo.research.layers.block_attention import BlockAttention
from llmcalc.zoo.research.layers.local_attention import LocalAttention

NO_TENSORS = ModuleTensors()
B, Q, D, F, V, H, G, E, X, K = 2, 5, 7, 17, 31, 6, 3, 11, 13, 3
TOKENS, SCORES = B * Q, B * Q * Q * H
FORMATS = {"", "fp32", "compute"}
FORMAT_SITES = ("scores", "scan", "loss", "softcap")
WORDS = {
    "input",
    "input32",
    "output",
    "output32",
    "hidden",
    "hidden32",
    "row",
    "score",
    "score32",
    "weight",
    "weight32",
}


def saved(layer: Layer, code: EagerCode, norm: Norm | None = None, **policy: Any) -> Counter[int]:
    """Number of saved tensors by size in bytes."""
    parts = (Sublayer("part", (Branch("part", layer),), pre=norm),)
    ends = ((Named("token", Embedding(V, D)),), (Named("head", Head(V, D)),))
    stack = Stack("decoder", D, ends[0], (Run(Block("block", parts), 1),), ends[1], "decoder")
    rule = ActivationPolicy(**{"attention": "eager", "convention": "torch", "code": code, **policy})
    found = saved_tensors(Architecture("small", (stack,)), Workload(batch=B, seq=Q, mode="train"), rule, Mesh())
    return Counter(size for _, size in found)


def change(layer: Layer, pre: Norm | None = None, /, **facts: str) -> dict[int, int]:
    """Saved tensors that facts add (positive) or remove (negative), by size in bytes."""
    with_facts, without = saved(layer, EagerCode(**facts), pre), saved(layer, EagerCode(), pre)
    return {size: count for size in with_facts | without if (count := with_facts[size] - without[size])}


def test_every_fact_is_known() -> None:
    names = {field.name for field in fields(EagerCode)}
    for model_type, facts in table("eager").items():
        assert facts.keys() <= names, model_type
        for site, fact in facts.items():
            words = {"experts": {"loop"}}.get(site, FORMATS if site in FORMAT_SITES else WORDS)
            assert ({fact} if site in FORMAT_SITES else set(fact.split())) <= words, model_type
    assert len(table("eager")) > 200


def test_facts_of_types_are_those_of_models_that_can_be_read() -> None:
    assert set(table("eager")) <= set(family_table.names())


@pytest.mark.parametrize("cast", [True, False])
def test_an_fp32_softmax_saves_its_output_and_the_converted_weights(cast: bool) -> None:
    layer = Attention(D, H, G, E, implementation=Implementation(softmax_in_fp32=cast))
    sizes = {each: saved(layer, EagerCode(softmax=each)) for each in ("output", "output32")}
    assert (sizes["output"][2 * SCORES], sizes["output"][4 * SCORES]) == (1, 0)
    assert (sizes["output32"][2 * SCORES], sizes["output32"][4 * SCORES]) == (1, 1)


def test_fp32_scores_save_copies_of_queries_and_keys() -> None:
    size = TOKENS * H * E
    assert change(Attention(D, H, H, E), scores="fp32") == {4 * size: 2, 2 * size: -2}


def test_queries_in_blocks_have_copies_of_their_keys_and_facts_of_their_own() -> None:
    layer = BlockAttention(D, H, E, block=K, reach="beside")
    n_blocks, n_keys = 2, 3 * K  # 5 tokens in blocks of 3, with the keys of 3 blocks
    weights = B * H * n_blocks * K * n_keys
    assert saved(layer, EagerCode())[2 * B * n_blocks * n_keys * H * E] == 2  # keys and values
    assert change(layer, block_softmax="output32") == {4 * weights: 1}
    summarised = BlockAttention(D, H, E, block=K, reach="beside", summary=2)
    assert saved(summarised, EagerCode())[2 * B * Q * 2] == 1  # which tokens are in the 2 segments
    assert change(layer, softmax="output32", block_softmax="output") == {}
    assert change(Attention(D, H, G, E), block_softmax="output32") == {}


def test_a_sliding_window_saves_padded_weights_and_an_input_per_projection() -> None:
    half = 7
    window = n_tokens = 2 * half  # 5 tokens, padded to a whole window
    layer = LocalAttention(H * E, H, window=window)
    found = saved(layer, EagerCode(block_softmax="output32"), Norm(H * E))
    assert found[4 * B * H * n_tokens * (window + 1)] == 1
    assert found[2 * B * H * n_tokens * (window + half + 2)] == 1  # half a window and two columns more
    assert found[2 * B * n_tokens * H * E] == 3 + 2 + 1  # inputs, queries and keys of one chunk, output


def test_norms_save_what_their_code_multiplies() -> None:
    layer, size = Mlp(D, F), TOKENS * D
    assert change(layer, Norm(D), norm="hidden32 input32 row") == {4 * size: 1, 2 * size: -1}
    assert change(layer, Norm(D, scale=False), norm="hidden32 input32 row", plain_norm="input32 row") == {2 * size: -1}
    assert change(layer, Norm(D), qk_norm="hidden32 input32 row") == {}


def test_unit_lengths_between_layers_are_norms_without_a_weight() -> None:
    layer, unit, size = Mlp(D, F), Norm(D, "l2norm", scale=False), TOKENS * D
    rows = saved(layer, EagerCode(plain_norm="input32 row"), unit)[4 * TOKENS]
    assert change(layer, unit, plain_norm="input32 row") == {4 * size: 1, 4 * TOKENS: rows, 2 * size: -1}
    assert rows == 1
    assert change(layer, unit, norm="input32 row") == {}
    heads = Attention(D, H, H, E, qk_norm=QkNorm(function="l2norm", scale=False))
    assert change(heads, plain_qk_norm="input32") == {4 * TOKENS * H * E: 2, 2 * TOKENS * H * E: -2}


def test_scaled_logits_are_saved_in_the_format_of_the_loss() -> None:
    def logits(loss: str) -> Counter[int]:
        ends = ((Named("token", Embedding(V, D)),), (Named("head", Head(V, D, logit_scale=LogitScale())),))
        parts = (Sublayer("part", (Branch("part", Mlp(D, F)),)),)
        stack = Stack("decoder", D, ends[0], (Run(Block("block", parts), 1),), ends[1], "decoder")
        rule = ActivationPolicy(attention="eager", convention="torch", code=EagerCode(loss=loss))
        model = Architecture("small", (stack,))
        return Counter(size for _, size in saved_tensors(model, Workload(batch=B, seq=Q, mode="train"), rule, Mesh()))

    assert logits("fp32")[4 * TOKENS * V] == 2  # the logits, and their log-probabilities
    assert logits("compute")[2 * TOKENS * V] == 2


def test_the_error_of_altup_is_repeated_for_each_stream() -> None:
    layer, n = AltUp(D, 3), 3
    torch, own = saved(layer, EagerCode()), saved(layer, EagerCode(), convention=None)
    assert torch[2 * TOKENS * D * n] == own[2 * TOKENS * D * n] + 1


def test_a_qk_norm_has_facts_of_its_own() -> None:
    layer, size = Attention(D, H, H, E, qk_norm=QkNorm()), TOKENS * H * E
    assert change(layer, qk_norm="hidden32 input32 row") == {4 * size: 2, 2 * size: -2}
    assert change(layer, norm="hidden32 input32 row") == {}


def test_residual_streams_are_mixed_in_fp32() -> None:
    """The norm saves a copy of the streams, and its result unless this is a factor of each row."""
    n, layer = 3, HyperConnection(D, 3)
    weights = {TOKENS * n: 3, TOKENS * n * n: 1, TOKENS * (n + n + n * n): 1, TOKENS * D: 1}  # read, write, mix, output
    changed_formats = {4 * size: count for size, count in weights.items()}
    changed_formats |= {2 * size: -count for size, count in weights.items()}
    streams = TOKENS * n * D
    assert change(layer, stream_norm="input32 row") == {**changed_formats, 2 * streams: -2}
    assert change(layer, stream_norm="hidden32 input32 row") == {**changed_formats, 2 * streams: -2, 4 * streams: 1}


@pytest.mark.parametrize(("words", "copies"), [("input output32", 0), ("input32 output32", 1)])
def test_an_output_gate_in_fp32_is_saved_once(words: str, copies: int) -> None:
    layer = Mlp(D, F)
    found = change(layer, Norm(D, gate_rank=K), output_gate=words)
    stream = TOKENS * D  # the matrices of the gate read the input in the format of the model
    assert found == {4 * stream: 1 + copies, 2 * stream: -1}


def test_the_loss_may_keep_the_format_of_the_model() -> None:
    assert change(Mlp(D, F), loss="compute") == {4 * TOKENS * V: -1, 2 * TOKENS * V: 1}


def test_an_activation_function_of_several_operations_saves_each_of_them() -> None:
    assert change(Mlp(D, F, "silu"), activation="hidden hidden input") == {2 * TOKENS * F: 2}


def test_a_router_in_fp32_copies_its_input() -> None:
    layer = Moe(D, F, X, K)
    found = change(layer, router="input32 score32 score32")
    assert found == {4 * TOKENS * D: 1, 2 * TOKENS * D: -1, 4 * TOKENS * X: 2, 2 * TOKENS * X: -1}


def test_facts_do_not_change_other_conventions() -> None:
    facts = EagerCode(softmax="output32", scores="fp32", loss="compute", norm="hidden32 input32 row", router="input32")
    for layer in (Attention(D, H, G, E), Moe(D, F, X, K)):
        assert saved(layer, facts, Norm(D), convention=None) == saved(layer, EagerCode(), Norm(D), convention=None)


def test_facts_are_found_by_model_type_or_layout() -> None:
    assert eager_code(llmcalc.load({"model_type": "gptj"})).scores == "fp32"
    assert eager_code(llmcalc.load("olmo2")).norm == "hidden32 input32 row"
    assert eager_code(llmcalc.load("palm")) == EagerCode()


def test_tensors_of_modules_are_declared() -> None:
    """Every kind that names tensors of modules occurs in these models, and declares the tensors or computes them."""
    named: dict[str, set[str]] = {kind: set() for kind in kinds() if find(kind)[0].MODULE_TENSORS != NO_TENSORS}
    for model in ("llama3-8b", "mixtral-8x7b", "mamba2", "qwen3-next", "kimi-linear"):
        for _, _, declaration in declarations(*llmcalc.load(model).stacks):
            kind = declaration.layer.kind() if declaration.layer else ""
            if kind in named:
                outputs = {read(line).out.name for line in declaration.lines}
                named[kind] |= outputs | {tensor.name for tensor in declaration.tensors}
    for kind, names in named.items():
        assert {*vars(find(kind)[0].MODULE_TENSORS).values()} - {""} <= names, kind


@pytest.mark.parametrize("attention", ["eager", "flash"])
def test_only_a_loop_over_experts_saves_their_weighted_outputs(attention: str) -> None:
    """The loop is the default of eager attention, and of types without a grouped kernel. A config may name it."""
    sizes = {"num_hidden_layers": 3, "hidden_size": 22, "num_attention_heads": 2, "num_key_value_heads": 1}
    config = {"model_type": "mixtral", **sizes, "intermediate_size": 13, "vocab_size": 19}
    without_grouped = {"model_type": "dbrx", "n_layers": 3, "d_model": 22, "n_heads": 2, "vocab_size": 19}
    settings = {"mode": "training", "convention": "torch", "seq": 7, "attention": attention}

    def saved(changes: dict[str, Any], kernel: str | None = None) -> Any:
        return llmcalc.memory({**config, **changes}, expert_kernel=kernel, **settings).activations

    loop, grouped = saved({}, "loop"), saved({}, "grouped")
    assert loop - grouped == 3 * 7 * 2 * 22 * 2
    assert saved({}) == (loop if attention == "eager" else grouped)
    assert saved({"experts_implementation": "eager"}) == loop
    assert saved({"experts_implementation": "grouped_mm"}) == grouped
    assert saved({"experts_implementation": "eager"}, "grouped") == grouped
    kernels = [llmcalc.memory(without_grouped, expert_kernel=each, **settings).activations for each in (None, "loop")]
    assert kernels[0] == kernels[1]


def test_facts_of_a_composite_model_may_be_those_of_its_language_model() -> None:
    model = llmcalc.load({"model_type": "llama"})
    composite = changed(model, layout=None, inputs={"model_type": "glm_ocr", "text_model_type": "gptj"})
    assert eager_code(composite) == eager_code(llmcalc.load({"model_type": "gptj"}))


def test_a_fused_scan_saves_no_steps() -> None:
    settings = {"mode": "training", "seq": 128, "convention": "torch"}
    fused, eager = (llmcalc.memory("qwen3-next", scan=scan, **settings).activations for scan in ("fused", "eager"))
    assert fused < eager


def scanned(layer: Layer, **policy: Any) -> dict[int, int]:
    """Saved tensors that a fused kernel of a recurrence saves (positive) or does not save (negative), by bytes."""
    fused, eager = (saved(layer, EagerCode(), scan=scan, **policy) for scan in ("fused", "eager"))
    return {size: count for size in fused | eager if (count := fused[size] - eager[size])}


@pytest.mark.parametrize("convention", [None, "torch"])
def test_a_fused_kernel_of_a_selective_scan_saves_no_states_of_tokens(convention: str | None) -> None:
    states = TOKENS * F * E
    found = scanned(Mamba(D, d_inner=F, d_state=E, d_conv=3, dt_rank=2), convention=convention)
    assert found == ({2 * states: -1} if convention is None else {2 * states: -1, 4 * states: -3, 4 * TOKENS * F: -1})


def test_fused_kernels_of_recurrences_save_their_inputs_alone() -> None:
    size = TOKENS * F
    assert scanned(RgLru(D, F, 1)) == {2 * size: -3, 4 * size: -2}
    assert scanned(RwkvTimeMix(D, F)) == {2 * size: 1, 4 * size: -12}  # keys: a kernel reads them as they are
    assert scanned(RwkvTimeMix(D, F), convention=None) == {}
    assert scanned(RwkvHeadMix(2 * E, 2), convention=None) == {}


def test_a_fused_kernel_of_a_selective_scan_has_no_gradients_of_states() -> None:
    model = llmcalc.load("mamba-130m", overrides=("n_layers=2", "d_model=14", "vocab=19"))
    traces = (
        llmcalc.memory(model, mode="training", seq=B * Q, scan=scan).worst.schedule for scan in ("fused", "eager")
    )
    fused, eager = (max(step.out_bytes for each in trace.segments for step in each.trace.steps) for trace in traces)
    assert (fused, eager) == (2 * B * Q * 28, 2 * B * Q * 28 * 16)


@pytest.mark.parametrize(("rates", "masks"), [((0.0, 0.0), 0), ((0.1, 0.0), 1), ((0.0, 0.1), 2), ((0.1, 0.1), 3)])
def test_a_config_decides_by_its_rates_what_is_dropped(rates: tuple[float, float], masks: int) -> None:
    sizes = {"n_embd": 14, "n_head": 2, "n_layer": 1, "n_positions": 11, "vocab_size": 23}
    config = {"model_type": "gpt2", **sizes, "attn_pdrop": rates[0], "resid_pdrop": rates[1]}
    model = llmcalc.load(config)
    off, on = (llmcalc.memory(model, mode="training", seq=11, attention="eager", dropout=x) for x in (False, True))
    attention, residual = 11 * 11 * 2, 2 * 11 * 14
    weights = 2 * attention  # the dropped weights are other tensors than the softmax
    assert on.activations - off.activations == (masks & 1) * (attention + weights) + (masks >> 1) * residual


NOISY = {  # config, key of the noise, and bytes of the noise per element of the routers' inputs
    "mixtral": ({"hidden_size": 44, "num_attention_heads": 4, "num_key_value_heads": 2}, "router_jitter_noise", 2),
    "phimoe": ({"hidden_size": 44, "num_attention_heads": 4, "num_key_value_heads": 2}, "input_jitter_noise", 2 + 2),
    "dbrx": ({"d_model": 44, "n_heads": 4, "n_layers": 3}, "moe_jitter_eps", 2),
    "switch_transformers": ({"d_model": 44, "d_kv": 11, "num_heads": 4}, "router_jitter_noise", 4),
}


@pytest.mark.parametrize("model_type", NOISY)
def test_random_factors_of_the_inputs_of_routers_are_saved(model_type: str) -> None:
    sizes, key, width = NOISY[model_type]
    n_layers = 6 if model_type == "switch_transformers" else 3  # with experts
    own = {} if model_type in ("dbrx", "switch_transformers") else {"num_hidden_layers": 3}

    def saved(noise: float, **options: str) -> int:
        more = {"ffn_config": {"ffn_hidden_size": 53, key: noise}} if model_type == "dbrx" else {key: noise}
        architecture = llmcalc.load({"model_type": model_type, "vocab_size": 101, **sizes, **own, **more})
        target = {"target_seq": 19} if architecture.is_encoder_decoder else {}
        settings = {"batch": 2, "seq": 19, "dtype": "bf16", "attention": "eager", **target, **options}
        return int(llmcalc.memory(architecture, mode="training", **settings).activations)

    assert saved(0.01, convention="torch") - saved(0.0, convention="torch") == n_layers * 2 * 19 * 44 * width
    assert saved(0.01) == saved(0.0)


def test_a_tolerance_of_a_router_is_no_noise() -> None:
    config = {"model_type": "phimoe", "router_jitter_noise": 0.01}
    assert "router_noise" not in llmcalc.load(config).inputs
