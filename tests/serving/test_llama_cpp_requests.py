"""Times of requests for command lines of llama.cpp and Ollama."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc import InputError
from llmcalc.engines.llama_cpp_weights import placed_tensors
from llmcalc.fitting.memory import serving_weights

REQUEST = {"isl": 512, "osl": 128}
FILE = "Llama-3.1-8B-Instruct-Q4_K_M.gguf"
LAYERS = 32


def times(command: str, gpu: str = "rtx4090") -> llmcalc.ServingResult:
    return llmcalc.serve(command=command, gpu=gpu, **REQUEST)


@pytest.mark.parametrize("layers", ["99", "all", "-1", str(LAYERS + 1)])
def test_all_layers_on_the_gpu_is_the_default(layers: str) -> None:
    assert times(f"llama-server -m {FILE} -ngl {layers}").tpot_s == times(f"llama-server -m {FILE}").tpot_s


def test_ollama_has_the_format_of_its_library_with_lengths_and_without() -> None:
    stated = llmcalc.serve("llama3.1-8b", "rtx4090", engine="llama.cpp", weights="q4_k_m", **REQUEST)
    found = times("ollama run llama3.1:8b")
    assert found.tpot_s == pytest.approx(stated.tpot_s)
    assert llmcalc.serve(command="ollama run llama3.1:8b", gpu="rtx4090").settings["weights"] == "q4_k_m"
    assert times("ollama run llama3.1:8b-instruct-fp16").tpot_s > 2 * found.tpot_s
    assert any("defaults of Ollama" in note for note in found.notes)


def test_a_modelfile_has_times(tmp_path: Path) -> None:
    file = tmp_path / "Modelfile"
    file.write_text("FROM llama3.1:8b\nPARAMETER num_ctx 8192\n", "utf-8")
    assert llmcalc.serve(file, "rtx4090", **REQUEST).tpot_s == times("ollama run llama3.1:8b").tpot_s


@pytest.mark.parametrize(
    ("split", "is_noted"), [("1,1", False), ("24/24", False), ("3,1", True), ("1,1,0", True), ("1", True)]
)
def test_an_even_split_over_gpus_is_the_default(split: str, is_noted: bool) -> None:
    command = f"llama-server -m Llama-3.3-70B-Instruct-Q4_K_M.gguf -c 8192 -ts {split}"
    assert (
        "--tensor-split" in llmcalc.serve(command=command, gpu="rtx3090:2").deployment.command.unmodelled
    ) == is_noted


def test_an_unmodelled_flag_is_named_as_in_the_command() -> None:
    with pytest.raises(InputError, match="--no-kv-offload is not modelled together with the time of requests"):
        times(f"llama-server -m {FILE} -nkvo")


@pytest.mark.parametrize(
    ("gpu", "weights", "published"),  # tokens per second, llama.cpp discussion 4167
    [("m2-ultra-192gb", "q4_0", 94.27), ("m3-ultra-512gb", "q8_0", 63.93), ("m4-max-40c-128gb", "q4_0", 83.06),
     ("m2-24gb", "q4_0", 21.91), ("m1-ultra-128gb", "f16", 37.01)],
)  # fmt: skip
def test_decode_steps_on_apple_silicon_are_published_ones(gpu: str, weights: str, published: float) -> None:
    found = llmcalc.latency("llama2-7b", gpu, context=64, weights=weights, engine="llama.cpp")
    assert 1 / found.seconds == pytest.approx(published, rel=0.12)
    assert found.low < 1 / published < found.high


def test_two_dies_read_at_a_smaller_share_of_the_bandwidth() -> None:
    gpus = ("m2-max-96gb", "m2-ultra-192gb")
    one, two = (llmcalc.latency("llama2-70b", gpu, weights="q8_0", engine="llama.cpp") for gpu in gpus)
    assert 1.6 < one.seconds / two.seconds < 1.9


# ---------------------------------------------------------------------- a part in host memory

MOE = "gpt-oss-120b-mxfp4.gguf"
EXPERTS, MOE_LAYERS = 4, 36


def test_decode_adds_the_bytes_of_experts_over_the_bandwidth_of_the_host() -> None:
    """Each layer of experts in host memory adds its touched bytes, a crossing, and no longer its time on the GPU."""
    one, two = (times(f"llama-server -m {MOE} --n-cpu-moe {number}", "rtx-pro-6000") for number in (17, 18))
    host = one.time.step
    architecture = llmcalc.load("gpt-oss-120b")
    formats = serving_weights(architecture, "mxfp4_moe", "bf16", (), ())
    experts = sum(
        tensor.bytes for tensor in placed_tensors(architecture, formats)
        if tensor.component == "routed experts" and tensor.is_matrix
    )  # fmt: skip
    read = experts / MOE_LAYERS * EXPERTS / 128 / (0.8 * 89.6e9)
    added = float(two.time.step.seconds - host.seconds)
    assert added == pytest.approx(read + 220e-6, rel=0.15)


@pytest.mark.parametrize(
    ("fewer", "more"),
    [
        ("--n-cpu-moe 12", "--n-cpu-moe 24"),
        ("--n-cpu-moe 24", "--cpu-moe"),
        ("-ngl 37", "-ngl 30"),
        ("", "-ot exps=CPU"),
    ],
)
def test_more_in_host_memory_is_slower(fewer: str, more: str) -> None:
    one, two = (times(f"llama-server -m {MOE} {flags}", "rtx-pro-6000") for flags in (fewer, more))
    assert one.tpot_s < two.tpot_s
    assert one.ttft_s < two.ttft_s


def test_the_same_placement_has_one_time_in_all_spellings() -> None:
    all_layers, switch, pattern = (
        times(f"llama-server -m {MOE} {flags}", "rtx-pro-6000").tpot_s
        for flags in (f"--n-cpu-moe {MOE_LAYERS}", "--cpu-moe", "-ot exps=CPU")
    )
    assert all_layers == switch == pattern


def test_what_llama_cpp_places_by_itself_is_timed_as_if_it_were_given() -> None:
    command = f"llama-server -m {MOE} -c 8192"
    found = times(command)
    number = found.service.given["cpu_experts"]
    assert 20 < number < 30
    assert found.tpot_s == times(f"{command} --n-cpu-moe {number}").tpot_s
    assert found.tpot_low_s < 1 / 34.5 < found.tpot_high_s  # published with an RTX 3090
    assert "host memory" in found.reasons[-1]
    assert not times(f"{command} -ngl 99").fits  # where llama.cpp moves nothing


def test_unified_memory_needs_no_assumption_on_the_host() -> None:
    found = times(f"llama-server -m {MOE} --cpu-moe", "m4-max-128gb")
    assert not any("host memory is assumed" in note for note in found.notes)


def test_quantised_keys_and_values_have_a_time() -> None:
    both, keys = (
        times(f"llama-server -m {FILE} -c 8192 {flags}") for flags in ("-ctk q8_0 -ctv q8_0", "-ctk q8_0 -ctv q4_0")
    )
    assert both.tpot_s < times(f"llama-server -m {FILE} -c 8192").tpot_s
    assert not any("number format of keys" in note for note in both.notes)
    assert any("number format of keys" in note for note in keys.notes)
    assert times("OLLAMA_KV_CACHE_TYPE=q8_0 ollama run llama3.1:8b").tpot_s == both.tpot_s


def test_a_file_of_a_repository_states_the_format() -> None:
    for flags in ("-hf unsloth/gpt-oss-20b-GGUF:Q4_K_M -hff gpt-oss-20b-F16.gguf", "-hff gpt-oss-20b-F16.gguf -hf a/b"):
        found = llmcalc.serve(command=f"llama-server {flags}", gpu="rtx4090")
        assert (found.architecture.name, found.settings["weights"]) == ("gpt-oss-20b", "f16")


def test_a_cache_beyond_the_positions_of_the_model_is_noted() -> None:
    notes = [
        llmcalc.serve(command=f"llama-server -m Qwen3-8B-Q8_0.gguf -c {n}", gpu="h100").notes for n in (40960, 40961)
    ]
    assert [any("40,960 positions of the model" in note for note in own) for own in notes] == [False, True]
    two = llmcalc.serve(command="llama-server -m Qwen3-8B-Q8_0.gguf -c 65536 -np 2", gpu="h100")
    assert not any("positions of the model" in note for note in two.notes)


@pytest.mark.parametrize(
    "command", ["ollama run gpt-oss:20b", "llama-server -hf ggml-org/gpt-oss-20b-GGUF -c 4096", "ollama run qwen3:30b"]
)
def test_what_is_in_host_memory_is_the_same_with_lengths(command: str) -> None:
    started, found = llmcalc.serve(command=command, gpu="rtx3060"), times(command, "rtx3060")
    placed = {name: value for name, value in started.automatic.items() if name != "max_model_len"}
    assert placed
    assert {name: found.service.given[name] for name in placed} == placed
    assert set(placed) == ({"gpu_layers"} if command.startswith("ollama") else {"cpu_experts"})  # Ollama moves layers


@pytest.mark.parametrize(
    ("model", "name"), [(MOE, "cpu_experts"), ("Llama-3.3-70B-Instruct-Q4_K_M.gguf", "gpu_layers")]
)
def test_what_does_not_fit_on_the_gpu_is_offered_with_a_part_in_host_memory(model: str, name: str) -> None:
    found = times(f"llama-server -m {model} -ngl 99 -c 8192")
    change, result = found.changes[0]
    assert times(change["command"]).fits
    assert result.fits
    one_less = result.service.given[name] + (-1 if name == "cpu_experts" else 1)  # in host memory
    assert not found.retry({name: one_less}).fits


def test_unified_memory_must_hold_what_is_on_the_gpu_and_on_the_host() -> None:
    model = "Llama-3.3-70B-Instruct-Q4_K_M.gguf"
    assert not times(f"llama-server -m {model} -ngl 18 -c 2048", "m4-16gb").fits
    assert times(f"llama-server -m {model} -ngl 70 -c 2048", "m4-max-64gb").fits


def test_sequences_that_share_a_cache_may_use_all_of_it() -> None:
    run: dict[str, Any] = {"engine": "llama.cpp", "max_num_seqs": 2, "max_model_len": 65536}
    own, shared = (llmcalc.serve("qwen3-8b", "h100", **run, unified=unified).notes for unified in (False, True))
    assert [any("of 65,536 in the cache" in note for note in notes) for notes in (own, shared)] == [False, True]


def test_experts_in_host_memory_are_read_at_its_bandwidth() -> None:
    cost = times(f"llama-server -m {MOE} --cpu-moe", "rtx-pro-6000").time.step.components["routed experts"]
    assert cost.memory == pytest.approx(cost.moved / 89.6e9)
    assert cost.seconds == pytest.approx(cost.memory / 0.8)


def test_requests_are_timed_with_published_weights() -> None:
    """In 4 bits, 8 billion weights leave more than half of 24 GB to the cache, and in 16 bits less than a third."""
    config = {
        "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 8192,
        "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True, "desc_act": False},
    }  # fmt: skip
    model, run = llmcalc.load(config), {"engine": "llama.cpp", "isl": 1009, "osl": 499, "concurrency": 3}
    published, whole = (llmcalc.serve(model, "rtx4090", weights=name, **run) for name in (None, "bf16"))
    assert published.time.capacity > 2 * whole.time.capacity
