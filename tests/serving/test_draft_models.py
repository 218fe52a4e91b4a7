"""Weights and cache of draft models, EAGLE heads and layers for multi-token prediction."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.core.errors import InputError
from llmcalc.serving.start.asked_drafts import Asked, asked_draft, state_pool
from llmcalc.serving.start.memory import captured_graphs
from llmcalc.serving.start.start import Start

GIB, MIB = 2**30, 2**20
RUN: dict[str, Any] = {"max_model_len": 8192}
JSON = "speculative_config"


def drafted(model: str, gpu: str = "h200", **more: Any) -> tuple[Start, Start]:
    """The results without and with a draft."""
    drafts = {name: value for name, value in more.items() if name.startswith(("draft", "spec"))}
    rest = {**RUN, **{name: value for name, value in more.items() if name not in drafts}}
    return llmcalc.serve(model, gpu, **rest), llmcalc.serve(model, gpu, **rest, **drafts)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"draft": "qwen3-0.6b"}, Asked("draft_model", "qwen3-0.6b")),
        ({JSON: '{"model": "a/b", "num_speculative_tokens": 3}'}, Asked("draft_model", "a/b")),
        (
            {JSON: '{"model": "a/b", "draft_tensor_parallel_size": 1, "quantization": "fp8"}'},
            Asked("draft_model", "a/b", 1, "fp8"),
        ),
        ({JSON: '{"model": "yuhuili/EAGLE3-LLaMA3.1-8B"}'}, Asked("eagle3", "yuhuili/EAGLE3-LLaMA3.1-8B")),
        ({JSON: '{"model": "yuhuili/EAGLE-LLaMA3-8B"}'}, Asked("eagle", "yuhuili/EAGLE-LLaMA3-8B")),
        ({JSON: '{"method": "deepseek_mtp"}'}, Asked("mtp")),
        ({JSON: '{"method": "ngram", "prompt_lookup_max": 4}'}, Asked("none")),
        ({"draft_method": "NEXTN"}, Asked("mtp")),
        ({"draft_method": "draft-mtp"}, Asked("mtp")),
        ({"draft_method": "ngram-mod,draft-mtp"}, Asked("mtp")),
        ({"draft_method": "ngram-mod,ngram-cache"}, Asked("none")),
        ({"draft_method": "draft-eagle3", "draft": "a/b"}, Asked("eagle3", "a/b")),
        ({"draft_method": "EAGLE"}, Asked("mtp")),
        ({"draft_method": "EAGLE", "draft": "a/b"}, Asked("eagle", "a/b")),
        ({"draft_method": "STANDALONE", "draft": "a/b"}, Asked("draft_model", "a/b")),
    ],
)  # fmt: skip
def test_the_method_is_read(settings: dict[str, Any], expected: Asked | None) -> None:
    assert asked_draft(settings) == expected


def test_mistakes_are_explained() -> None:
    with pytest.raises(InputError, match="invalid JSON"):
        asked_draft({JSON: "{model"})
    with pytest.raises(InputError, match="'medusa2' is not known"):
        asked_draft({"draft_method": "medusa2"})
    with pytest.raises(InputError, match="missing draft model"):
        llmcalc.serve("qwen3-8b", "h100", draft_method="draft_model")
    with pytest.raises(InputError, match="no preset"):
        llmcalc.serve("qwen3-8b", "h100", draft="nobody/nothing-1B")


def test_a_draft_model_has_weights_and_a_cache() -> None:
    plain, both = drafted("qwen3-8b", "h200:2", draft="qwen3-0.6b")
    alone = llmcalc.serve("qwen3-0.6b", "h200:2", **RUN)
    ((name, size),) = both.memory.extras
    assert name == "draft model qwen3-0.6b"
    assert size.best == pytest.approx(alone.memory.weights.best, rel=0.02)  # without tables of rotary positions
    buffers = 2 * both.settings["max_num_batched_tokens"] * 4096 * 2  # hidden states and embeddings of a step
    assert both.memory.available.best == plain.memory.available.best - size.best - buffers
    assert both.groups.block_bytes == plain.groups.block_bytes + alone.groups.block_bytes
    one = llmcalc.serve(
        "qwen3-8b", "h200:2", **RUN, speculative_config='{"model": "qwen3-0.6b", "draft_tensor_parallel_size": 1}'
    )
    assert one.memory.extras[0][1].best == pytest.approx(2 * size.best, rel=0.001)
    assert one.groups.block_bytes == plain.groups.block_bytes + 2 * alone.groups.block_bytes


def test_a_draft_may_be_a_config(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        '{"model_type": "llama", "hidden_size": 28, "intermediate_size": 22, "num_hidden_layers": 3, "vocab_size": 101,'
        '"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": false, "rms_norm_eps": 1e-5,'
        '"max_position_embeddings": 64, "rope_theta": 10000.0, "architectures": ["LlamaForCausalLM"]}'
    )
    plain, both = drafted("qwen3-8b", draft=str(config))
    assert both.memory.extras[0][1].best == 2 * llmcalc.params(str(config)).total
    assert both.groups.block_bytes - plain.groups.block_bytes == 16 * 3 * 2 * 2 * 7 * 2


def test_the_extra_of_a_preset_is_its_prediction_layer() -> None:
    model = llmcalc.load("deepseek-v3", overrides=["n_layers=5", "n_dense_layers=3"])
    ((_, count),) = llmcalc.params(model).extras
    run: dict[str, Any] = {**RUN, "weights": "bf16"}
    plain, both = llmcalc.serve(model, "h200", **run), llmcalc.serve(model, "h200", **run, draft_method="mtp")
    assert both.memory.extras[0][1].best == 2 * (count + 256)  # with the correction biases of the router
    assert both.groups.block_bytes == plain.groups.block_bytes * 6 / 5
    assert not any("assumed" in note for note in both.notes)


def test_a_checkpoint_in_nvfp4_has_its_prediction_layer_in_16_bits() -> None:
    """The whole branch is stored in bf16 (vllm-project/vllm#38832)."""
    four, sixteen, eight = (
        llmcalc.serve("qwen3.5-27b", "h200", max_model_len=4096, draft_method="mtp", weights=weights).memory.extras
        for weights in ("nvfp4", "bf16", "fp8")
    )
    assert four == sixteen
    assert eight[0][1].best < sixteen[0][1].best


def test_a_prediction_layer_without_an_extra_is_like_the_last_layer() -> None:
    plain, both = drafted("glm4.5-air", "h200:4", draft_method="mtp")
    assert "MTP layer of glm-4.5" in " ".join(both.notes)
    assert both.memory.extras[0][1].best > 2 * 4096 * 4096 * 2
    assert both.groups.block_bytes == plain.groups.block_bytes * 47 / 46


def test_an_eagle_head_has_the_size_of_its_releases() -> None:
    """EAGLE3-LLaMA3.1-Instruct-8B has a layer with wider inputs, a projection, and 32,000 output tokens."""
    _, third = drafted("llama3.1-8b", draft_method="eagle3", draft="yuhuili/EAGLE3-LLaMA3.1-Instruct-8B")
    layer = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336 + 2 * 4096
    size = layer + 3 * 4096 * 4096 + 4096 * (4096 + 2 * 1024) + 32_000 * 4096
    assert third.memory.extras[0][1].best == 2 * size
    assert third.memory.extras[0][1].high == 2 * (size + (128_256 - 32_000) * 4096)
    plain, first = drafted("llama3.1-8b", draft_method="eagle", draft="a/b")
    assert first.memory.extras[0][1].best == 2 * (layer + 2 * 4096 * 4096)
    assert first.groups.block_bytes == plain.groups.block_bytes * 33 / 32


HEAD = {
    "architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "hidden_size": 28, "intermediate_size": 22,
    "num_hidden_layers": 1, "vocab_size": 101, "draft_vocab_size": 53, "num_attention_heads": 4,
    "num_key_value_heads": 2, "tie_word_embeddings": False, "rms_norm_eps": 1e-5, "max_position_embeddings": 64,
    "rope_theta": 10000.0,
}  # fmt: skip
HEAD_LAYER = 2 * 28 * 28 + 2 * 28 * 14 + 3 * 28 * 22 + 2 * 28


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_config_of_a_head_is_read(tmp_path: Path, is_nested: bool) -> None:
    own = {name: value for name, value in HEAD.items() if name not in ("architectures", "draft_vocab_size")}
    data = {"transformer_layer_config": own, "draft_vocab_size": 53} if is_nested else HEAD
    (tmp_path / "config.json").write_text(json.dumps(data))
    plain, third = drafted("qwen3-8b", draft_method="eagle3", draft=str(tmp_path))
    size = HEAD_LAYER + 3 * 4096 * 28 + 28 * (28 + 2 * 14) + 53 * 28 + 101 * 28  # the table of another width
    assert third.memory.extras[0][1].best == third.memory.extras[0][1].high == 2 * size
    assert third.groups.block_bytes - plain.groups.block_bytes == 16 * 2 * 2 * 7 * 2
    assert not any("assumed" in note for note in third.notes)
    _, first = drafted("qwen3-8b", draft_method="eagle", draft=str(tmp_path / "config.json"))
    assert first.memory.extras[0][1].best == 2 * (HEAD_LAYER + (28 + 4096) * 28 + 101 * 28)


def test_looking_tokens_up_needs_no_memory() -> None:
    plain, both = drafted("qwen3-8b", draft_method="ngram")
    assert both.memory == plain.memory
    assert both.groups == plain.groups


def test_sglang_counts_drafts_since_a_version() -> None:
    """Before, a reserve of the default share, which is smaller, had to hold them (sgl-project/sglang#23862)."""
    run: dict[str, Any] = {"engine": "sglang", "draft_method": "eagle3", "draft": "a/b"}
    plain, new = drafted("llama3.1-8b", "h100", engine_version="0.5.20", **run)
    ((_, size),) = new.memory.extras
    tables = 2 * 2 * 128_256 * 4096
    assert size.best - tables == pytest.approx(810 * MIB, abs=MIB)
    assert new.groups.block_bytes == plain.groups.block_bytes * 33 / 32
    assert new.settings["share"] == plain.settings["share"]
    before, old = drafted("llama3.1-8b", "h100", engine_version="0.5.8", **run)
    assert old.memory.extras == ()
    assert (old.groups.block_bytes, old.groups.states.bytes) == (before.groups.block_bytes, 0)
    assert (before.settings["share"] - old.settings["share"]) * old.memory.total == pytest.approx(4 * GIB, rel=0.02)
    assert any("outside of mem_fraction_static" in note for note in old.notes)
    assert old.starts
    _, full = drafted("llama3.1-8b", "h100", engine_version="0.5.8", mem_fraction_static=0.98, **run)
    assert not full.starts


def test_llama_cpp_has_two_models() -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "weights": "q4_k_m"}
    plain, both = drafted("qwen3-14b", "rtx4090", draft="qwen3-0.6b", draft_gpu_layers=15, **run)
    (name, size), (_, buffer) = both.memory.extras
    assert name == "draft model qwen3-0.6b"
    assert both.memory.weights == plain.memory.weights
    host = dict(both.host.parts)
    alone = llmcalc.serve("qwen3-0.6b", "rtx4090", engine="llama.cpp", weights="bf16", gpu_layers=15, **RUN)
    assert size.best == alone.memory.weights.best
    assert host["draft"] == dict(alone.host.parts)["weights"]
    assert both.groups.block_bytes == plain.groups.block_bytes + alone.groups.block_bytes
    assert host["KV cache"] == dict(alone.host.parts)["KV cache"]
    assert buffer.best > 0


# context, number of drafted tokens, formats of the draft's keys and values, logged MiB (docs/data/engine_llama_cpp.csv)
LLAMA_CPP = [
    (262144, 6, None, None, "1024.00", "1047.38"),
    (148224, 2, "q8_0", "q5_1", "262.36", "448.88"),
    (262144, 2, "q8_0", "q8_0", "544.00", "448.88"),
    (8192, None, None, None, "32.00", "598.50"),
]


@pytest.mark.parametrize(("context", "drafted_tokens", "keys", "values", "cache", "states"), LLAMA_CPP)
def test_llama_cpp_caches_its_prediction_layer_and_copies_of_states(
    context: int, drafted_tokens: int | None, keys: str | None, values: str | None, cache: str, states: str
) -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "max_model_len": context, "draft_method": "mtp"}
    given = {"draft_tokens": drafted_tokens, "draft_cache": keys, "draft_cache_v": values}
    result = llmcalc.serve("qwen3.5-27b", "h200", **run, **{name: value for name, value in given.items() if value})
    assert {f"draft KV buffer size = {cache} MiB", f"RS buffer size = {states} MiB"} <= set(result.log())
    (name, size), (_, buffer) = result.memory.extras
    assert name == "MTP layer"
    assert 0 < size.best < result.memory.weights.best / 40
    assert buffer.low < 4 * 512 * 248_320 == buffer.best < 488 * MIB < buffer.high


def test_the_prediction_layer_of_llama_cpp_is_beside_the_last_layer() -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "draft_method": "mtp", **RUN}
    first, last, none = (
        llmcalc.serve("qwen3.5-27b", f"h200:{n_gpus}", **run, gpu_layers=n_layers).placed
        for n_gpus, n_layers in ((1, 7), (3, None), (1, 0))
    )
    assert first
    assert last
    assert none
    assert list(first.drafts) == [0]
    assert list(last.drafts) == [2]
    assert dict(none.host_memory.parts)["draft"].best == first.drafts[0]
    assert none.host.cache == none.buffers.total + none.draft_cache
    host = llmcalc.serve("qwen3.5-27b", "h200", **run, host_cache=True).placed
    assert host
    assert host.devices[0].cache == 0
    assert host.host.cache == host.buffers.total + host.draft_cache


def test_an_eagle_head_in_llama_cpp_is_beside_the_last_layer() -> None:
    plain, both = drafted("qwen3-8b", engine="llama.cpp", draft_method="draft-eagle3", draft="a/b")
    assert both.memory.extras[0][0] == "EAGLE-3 head"
    assert both.placed
    assert both.placed.draft_cache == 2 * 8 * 128 * 8192 * 2
    assert both.groups.block_bytes - plain.groups.block_bytes == both.placed.draft_cache


POOL: dict[str, Any] = {"state_ratio": 0.9, "states_per_request": 3, "padding_states": 0, "joint_states": True}


@pytest.mark.parametrize(
    ("given", "has_draft", "expected"),
    [
        ({"max_num_seqs": 64, "disable_radix_cache": True}, False, 64),
        ({"max_num_seqs": 64, "disable_radix_cache": True, "draft_tokens": 4}, True, 64 + 64 * 4),
        ({"disable_radix_cache": True}, True, 48 + 48 * 4),
        ({"max_num_seqs": 64, "disable_radix_cache": True, "dp": 4, "attention_dp": True}, False, 16),
        ({"max_states": 90}, False, 90),
        ({"max_states": 90, "max_num_seqs": 64, "draft_tokens": 3}, True, 90 + 30 * 3),
        ({"max_states": 90, "max_num_seqs": 8, "draft_tokens": 3}, True, 90 + 8 * 3),
        ({"max_states": 90, "max_num_seqs": 64, "draft_tokens": 3, "joint_states": False}, True, 90 + 64 * 3),
        ({"max_states": 90, "max_num_seqs": 64, "draft_tokens": 3, "padding_states": 1}, True, 91 + 31 * 3),
        ({"max_states": 90, "max_num_seqs": 64, "draft_tokens": 3, "states_per_request": 5}, True, 90 + 18 * 3),
    ],
)
def test_sglang_pools_recurrent_states(given: dict[str, Any], has_draft: bool, expected: int) -> None:
    """The rule of sgl-project/sglang: mem_cache/kv_cache_configurator.py, _handle_max_mamba_cache."""
    pool = state_pool({"max_num_seqs": 2048, **POOL, **given}, given, has_draft)
    assert pool._replace(bytes=Fraction(7)).size(1e12) == 7 * expected


# states of 7 bytes in 10,009 bytes with a ratio of 0.5, 5 drafted tokens and at most 11 or 1013 requests
@pytest.mark.parametrize(
    ("own", "drafted", "running", "expected"),
    [
        ({}, 0, 0, 476),  # 10009 / 3 // 7
        ({"padding_states": 1}, 0, 0, 476),
        ({"joint_states": False}, 5, 11, 458 + 55),  # (10009 - 11 * 5 * 7) / 3 // 7
        ({}, 5, 11, 178 + 11 * 5),  # 10009 / 3 // (7 * (1 + 5 / 3))
        ({}, 5, 1013, 178 + 59 * 5),  # 178 // 3 requests
        ({"padding_states": 1}, 5, 1013, 177 + 58 * 5 + 5),  # (10009 / 3 - 7 * 6) // (7 * (1 + 5 / 3)) = 176
    ],
)
def test_sglang_divides_the_memory_by_a_ratio(own: dict[str, Any], drafted: int, running: int, expected: int) -> None:
    given = {"max_num_seqs": running, "draft_tokens": drafted}
    pool = state_pool({**POOL, "state_ratio": 0.5, **own, **given}, given, drafted > 0)
    assert pool._replace(bytes=Fraction(7)).size(10_009) == 7 * expected


@pytest.mark.parametrize("version", ["0.5.12", "0.5.14", "0.5.20"])
def test_a_ratio_of_sglang_also_divides_states_of_drafts(version: str) -> None:
    """Until 0.5.12, drafts came before the division; since then, they are in the share of the states."""
    run: dict[str, Any] = {"engine": "sglang", "max_num_seqs": 16, "engine_version": version}
    requests, drafted_tokens, state = 16, 4, 24 * (128 * 128 * 32 * 4 + 3 * 8192 * 2)
    for own, drafts in (({}, 0), ({"draft_method": "nextn"}, drafted_tokens)):
        result = llmcalc.serve("qwen3.5-9b", "h100", **run, **own)
        available = result.memory.available.best
        if version == "0.5.12":
            left = available - requests * drafts * state
            left -= int(left * 0.9 / 1.9 // state) * state
        else:
            padding = int(version == "0.5.20")
            states = int((available * 0.9 / 1.9 - padding * (1 + drafts) * state) // (state * (1 + drafts / 5)))
            left = available - (states + padding + (min(requests, states // 5) + padding) * drafts) * state
        assert result.tokens.best == int(left // float(result.groups.block_bytes))


def test_vllm_keeps_states_of_drafted_tokens() -> None:
    """A group of states has a block for each drafted token, whose rows a convolution state also keeps (MambaSpec)."""
    line = "vllm serve Qwen/Qwen3-Next-80B-A3B-Instruct -tp 4 --max-model-len 65536"
    for drafts in (0, 2):
        config = (
            f' --speculative-config \'{{"method": "ngram", "num_speculative_tokens": {drafts}}}\'' if drafts else ""
        )
        for version, caching, copies in (("0.25", "", 1), ("0.26", "", 2), ("0.25", " --enable-prefix-caching", 2)):
            result = llmcalc.serve(command=line + config + caching, gpu="h200:4", engine_version=version)
            tokens = next(group.block_size for group in result.groups.groups if group.kind == "full")
            state = 8 * 128 * 128 * 2 + (3 + drafts) * (8192 // 4) * 2
            assert tokens == 16 * -(-state // (16 * 2 * 256 * 2))
            n_groups = sum(group.n_groups for group in result.groups.groups if group.kind == "state")
            assert result.request_blocks == -(-65536 // tokens) + n_groups * (copies + drafts)


def test_vllm_captures_fewer_graphs_of_few_sequences() -> None:
    """With 2 sequences and 3 drafted tokens, parts have 1, 2, 4, 8 and 16 tokens, and the model all but 16."""
    run: dict[str, Any] = {"engine_version": "0.27.1"}
    plain, few = llmcalc.serve("qwen3-8b", "h100", **run), llmcalc.serve(
        "qwen3-8b", "h100", speculative_config='{"method": "ngram", "num_speculative_tokens": 3}', max_num_seqs=2, **run
    )  # fmt: skip
    assert captured_graphs(few.settings) == 5 + 4
    assert 0 < few.memory.graphs.best < plain.memory.graphs.best / 2


def test_pcie_needs_smaller_buffers_of_ranks() -> None:
    sizes = {name: llmcalc.serve("qwen3-8b", f"{name}:2", tp=2).memory.non_torch.best for name in ("h100", "rtx-5090")}
    assert sizes["rtx-5090"] < sizes["h100"] / 2
    unnamed = llmcalc.serve("qwen3-8b", gpu_memory="31.4GiB", tp=2)
    assert unnamed.memory.non_torch.best == sizes["rtx-5090"]
    before = [llmcalc.serve("qwen3-8b", f"{name}:2", tp=2, engine_version="0.17").memory.non_torch for name in sizes]
    assert before[1].best < before[0].best < sizes["h100"]


def test_flags_set_the_number_format_of_states() -> None:
    """Recurrent states are 128 x 128 of 32 heads in 24 layers, and convolution states 3 x 8192 in bf16."""
    sglang = "python -m sglang.launch_server --model-path Qwen/Qwen3.5-9B"
    for flag, width in (("", 4), (" --mamba-ssm-dtype bfloat16", 2), (" --mamba-ssm-dtype float32", 4)):
        states = llmcalc.serve(command=sglang + flag, gpu="h100").groups.states
        assert states.bytes == 24 * (128 * 128 * 32 * width + 3 * 8192 * 2)
    vllm = "vllm serve Qwen/Qwen3-Next-80B-A3B-Instruct -tp 4"
    # the state of a layer on a rank fits into a page of 16-bit keys and values of one head of 256
    for flag, width, conv in (
        ("", 2, 2), (" --mamba-ssm-cache-dtype float32", 4, 2), (" --mamba-cache-dtype float32", 4, 4),
        (" --mamba-cache-dtype float32 --mamba-ssm-cache-dtype float16", 2, 4),
    ):  # fmt: skip
        groups = llmcalc.serve(command=vllm + flag, gpu="h200:4").groups
        state = 8 * 128 * 128 * width + 3 * (8192 // 4) * conv
        tokens = next(group.block_size for group in groups.groups if group.kind == "full")
        assert tokens == 16 * -(-state // (16 * 2 * 256 * 2))
    qwen = llmcalc.serve("qwen3.5-9b", "h100")  # its config states float32
    assert qwen.groups == llmcalc.serve("qwen3.5-9b", "h100", state_dtype="fp32").groups
    with pytest.raises(llmcalc.InputError, match="state_dtype"):
        llmcalc.serve("qwen3.5-9b", "h100", state_dtype="nibble")


def test_llama_cpp_gives_each_sequence_a_context_of_the_draft() -> None:
    line = "llama-server -m Qwen3-32B-Q4_K_M.gguf -md Qwen3-0.6B-Q8_0.gguf -c 32768 -np 4"
    row = 28 * 2 * 8 * 128 * 2  # layers, keys and values, heads, width, bytes
    for flag, tokens in (
        ("", 32768),
        (" -cd 0", 32768),
        (" -cd 2048", 4 * 2048),
        (" --spec-draft-ctx-size 256", 4 * 256),
    ):
        placed = llmcalc.serve(command=line + flag, gpu="h100").placed
        assert placed
        assert placed.draft_cache == row * tokens


def test_the_pool_of_states_is_not_for_tokens() -> None:
    run: dict[str, Any] = {"engine": "sglang", "tp": 8, "disable_radix_cache": True, "share": 0.75, "weights": "fp8"}
    few, many = (llmcalc.serve("qwen3.5-397b-a17b", "h100", **run, max_num_seqs=n) for n in (16, 64))
    states = float(many.groups.states.size(0) - few.groups.states.size(0))
    tokens = float((few.tokens.best - many.tokens.best) * few.groups.block_bytes)
    assert tokens == pytest.approx(states, abs=float(few.groups.block_bytes))


def config(folder: Path, model_type: str = "glm4_moe", **more: Any) -> str:
    """The path of a config with further keys."""
    sizes = {"num_hidden_layers": 4, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4}
    sizes |= {"num_key_value_heads": 2, "vocab_size": 512, "max_position_embeddings": 16384, "rope_theta": 1e4}
    file = folder / "config.json"
    file.write_text(json.dumps({"model_type": model_type, **sizes, **more}))
    return str(file)


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("model", ["llama3.1-8b", "kimi-k2", "nemotron-3-nano-30b-a3b", "mixtral"])
def test_a_model_without_prediction_layers_drafts_no_tokens_by_them(model: str, engine: str) -> None:
    for more in ({}, {"isl": 100, "osl": 10}):
        with pytest.raises(InputError, match="has no layer for multi-token prediction"):
            llmcalc.serve(model, "h200:8", engine=engine, draft_method="mtp", **more)


def test_a_config_or_its_class_states_prediction_layers(tmp_path: Path) -> None:
    run: dict[str, Any] = {"max_model_len": 8192, "draft_method": "mtp"}
    llmcalc.serve(config(tmp_path, num_nextn_predict_layers=1), "h200", **run)
    assert llmcalc.load(config(tmp_path)).inputs["prediction_layers"] == 1  # by default of the class
    modules = {"num_mtp_modules": 3, "mtp_transformer_layers": 1, "use_mtp": True}
    assert llmcalc.load(config(tmp_path, "minimax_m2", **modules)).inputs["prediction_layers"] == 3
    assert (
        "prediction_layers" not in llmcalc.load(config(tmp_path, "minimax_m2", **modules | {"use_mtp": False})).inputs
    )
    for kind, more in (("glm4_moe", {"num_nextn_predict_layers": 0}), ("qwen3", {}), ("llama", {})):
        with pytest.raises(InputError, match="has no layer for multi-token prediction"):
            llmcalc.serve(config(tmp_path, kind, **more), "h200", **run)


@pytest.mark.parametrize("name", ["qwen3.5-27b", "glm-4.5-355b-a32b", "nemotron-3-super-120b-a12b"])
def test_an_exported_preset_keeps_its_prediction_layers(name: str, tmp_path: Path) -> None:
    from llmcalc.schema.export import preset_text

    file = tmp_path / "own.yaml"
    file.write_text(preset_text(llmcalc.load(name), "own"), "utf-8")
    ((written, size),), ((extra, expected),) = (llmcalc.params(each).extras for each in (str(file), name))
    assert (written.count, size) == (extra.count, expected) == (1, expected)


MENTIONING = """
import llmcalc
from llmcalc.report.search import index
from llmcalc.inputs.extras import prediction_of
models = [llmcalc.load(name) for sizes in index().values() for name, _, _ in sizes.values()]
words = "multi-token-prediction", "--with mtp"
said = [each for each in models if any(all(word in note for word in words) for note in each.notes)]
print(len(said), *(each.name for each in said if not prediction_of(each)))
"""


def test_every_preset_that_mentions_prediction_layers_states_their_number() -> None:
    done = subprocess.run([sys.executable, "-c", MENTIONING], capture_output=True, text=True, check=True)
    number, *without = done.stdout.split()
    assert int(number) > 15
    assert without == []


def test_an_eagle_head_without_a_name_is_as_large_as_a_prediction_layer() -> None:
    run: dict[str, Any] = {"engine": "sglang", "max_model_len": 4096}
    assert llmcalc.serve("llama2-7b", "h100", draft_method="EAGLE", **run).memory.weights.best > 12 * GIB
    with pytest.raises(InputError, match="has no layer for multi-token prediction"):
        llmcalc.serve("llama2-7b", "h100", draft_method="NEXTN", **run)


def test_drafts_have_a_token() -> None:
    for number in (0, -3, 1.5):
        own = json.dumps({"method": "mtp", "num_speculative_tokens": number})
        with pytest.raises(InputError, match="must be an integer of at least 1"):
            llmcalc.serve("qwen3.5-9b", "h200", **{JSON: own})
