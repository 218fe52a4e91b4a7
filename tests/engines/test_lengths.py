"""Lengths of requests that models accept: published ones, and those that engines derive from a config."""

import json
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.cli.main import main
from llmcalc.core.workload import positions
from llmcalc.data import table
from llmcalc.engines.lengths import known_length, unlimited_reason
from llmcalc.importers.engine_commands import read_command
from llmcalc.report.fit import fit_document
from llmcalc.schema.export import preset_text
from llmcalc.schema.model_names import release
from llmcalc.schema.preset_files import names

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 3072,
    "vocab_size": 32000, "max_position_embeddings": 40960, "rope_theta": 1000000, "tie_word_embeddings": False,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
LINEAR = {"type": "linear", "factor": 2.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}


def write(folder: Path, **keys: Any) -> str:
    path = folder / "config.json"
    path.write_text(json.dumps({**CONFIG, **keys}))
    return str(path)


@pytest.mark.parametrize(
    ("engine", "scaling", "length"),
    [  # vLLM: config/model.py; SGLang: hf_transformers/common.py; TensorRT-LLM: modeling_utils.py
        ("vllm", YARN, 131072), ("sglang", YARN, 40960), ("tensorrt-llm", YARN, 40960), ("llama.cpp", YARN, 40960),
        ("vllm", LINEAR, 81920), ("sglang", LINEAR, 81920), ("tensorrt-llm", LINEAR, 81920),
        ("vllm", LLAMA3, 40960), ("sglang", LLAMA3, 40960), ("tensorrt-llm", LLAMA3, 40960),
        ("vllm", None, 40960),
    ],
)  # fmt: skip
def test_the_default_length_is_what_the_engine_derives(
    tmp_path: Path, engine: str, scaling: dict[str, Any] | None, length: int
) -> None:
    model = write(tmp_path, rope_scaling=scaling)
    assert llmcalc.serve(model, "h100", engine=engine).max_model_len == length


def test_all_commands_accept_the_scaled_positions_and_no_more(tmp_path: Path) -> None:
    model = write(tmp_path, rope_scaling=YARN)
    assert llmcalc.serve(model, "h100", max_model_len=131072).verdict == "starts"
    assert "exceed the 131,072 that the model accepts" in llmcalc.serve(model, "h100", max_model_len=131073).refusals[0]
    solution = llmcalc.fit(model, gpu="h100", solve="seq", engine="none").solution
    assert solution is not None
    assert solution.value == 131072
    assert llmcalc.serve(model, "h100", isl=131000, osl=72).fits
    assert llmcalc.serve(model, "h100", isl=131000, osl=73).max_model_len == 131072


@pytest.mark.parametrize(
    ("command", "length"),
    [
        (f"vllm serve Qwen/Qwen3-8B --rope-scaling '{json.dumps(YARN)}'", 131072),
        (f"vllm serve Qwen/Qwen3-8B --hf-overrides '{json.dumps({'rope_parameters': YARN})}'", 131072),
        (f"vllm serve Qwen/Qwen3-8B --hf-overrides '{json.dumps({'text_config': {'rope_scaling': YARN}})}'", 131072),
        ("vllm serve Qwen/Qwen3-8B --hf-overrides.max_position_embeddings 65536", 65536),
        ("vllm serve Qwen/Qwen3-8B --hf-overrides '{\"sliding_window\": 4096}'", 40960),
        (f"sglang serve --model-path Qwen/Qwen3-8B --json-model-override-args '{json.dumps({'rope_scaling': YARN})}'",
         40960),
    ],
)  # fmt: skip
def test_a_config_changed_by_a_command_has_the_same_length(command: str, length: int) -> None:
    result = llmcalc.serve(command=command, gpu="h100")
    assert (result.max_model_len, result.deployment.limit.allowed) == (length, length)


def test_an_unreadable_change_of_the_config_sets_no_limit() -> None:
    command = "vllm serve Qwen/Qwen3-8B --max-model-len 131072 --hf-overrides changes.json"
    assert llmcalc.serve(command=command, gpu="h100").deployment.limit.allowed is None


def test_keys_of_a_flag_that_is_not_read_are_merged() -> None:
    command = read_command("vllm serve m --hf-overrides.rope_scaling.factor 4 --hf-overrides.rope_scaling.type linear")
    assert json.loads(command.texts["--hf-overrides"]) == {"rope_scaling": {"factor": 4, "type": "linear"}}


def test_the_tables_of_yarn_have_a_row_for_each_scaled_position(tmp_path: Path) -> None:
    def weights(**scaling: Any) -> int:
        model = write(tmp_path, rope_scaling={**YARN, **scaling})
        return int(llmcalc.serve(model, "h100", max_model_len=8192).memory.weights.best)

    assert weights() - weights(factor=2.0) == (4 - 2) * 32768 * 128 * 2


def test_every_preset_accepts_a_published_length_or_says_why_it_has_no_limit() -> None:
    lengths = dict[str, set[int | str | None]]()
    for name in names():
        model = llmcalc.load(name)
        length, reason = known_length(model), unlimited_reason(model)
        assert (length is None) is bool(reason), name
        if release(name, table("release_lengths")) is None:
            lengths.setdefault(model.name, set()).add(length or reason)
    assert {name: found for name, found in lengths.items() if len(found) > 1} == {}  # whatever name is typed


def test_every_published_length_is_that_of_a_preset() -> None:
    models = {str(llmcalc.load(name).inputs["model"]): positions(llmcalc.load(name)) for name in names()}
    known = table("context_lengths")
    used = {
        max((key for key in known if model == key or model.startswith(f"{key}-")), key=len, default="")
        for model, table_rows in models.items()
        if table_rows is None
    }
    assert set(known) - used == set()
    assert [key for key in table("release_lengths") if not any(release(name, [key]) for name in names())] == []


@pytest.mark.parametrize(
    ("model", "length"),
    [  # where the name of a family would give another length
        ("microsoft/Phi-3-mini-4k-instruct", 4096), ("microsoft/Phi-3.5-mini-instruct", 131072), ("phi4-mini", 131072),
        ("gemma4-e2b-e2b", 131072), ("kimi-k2-thinking", 262144), ("qwen3-moe-coder-480b-a35b", 262144),
        ("mistralai/Devstral-Small-2507", 131072), ("mistralai/Magistral-Small-2506", 40960),
        ("mistralai/Magistral-Small-2509", 131072), ("mistralai/Mistral-Small-24B-Instruct-2501", 32768),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", 131072), ("NousResearch/Hermes-3-Llama-3.1-8B", 131072),
        ("mistralai/Mistral-7B-Instruct-v0.2", 32768), ("mistralai/Ministral-8B-Instruct-2410", 32768),
    ],
)  # fmt: skip
def test_releases_have_their_own_lengths(model: str, length: int) -> None:
    assert known_length(llmcalc.load(model)) == length


def test_the_method_of_scaling_in_a_published_config_counts() -> None:
    model = llmcalc.load("deepseek-coder-6.7b")  # 16,384 positions, linear with a factor of 4
    assert (known_length(model, "vllm"), known_length(model, "llama.cpp")) == (65536, 16384)


@pytest.mark.parametrize(
    ("keys", "length"),
    [
        ({"model_type": "gptj", "n_embd": 256, "n_layer": 2, "n_head": 4, "rotary_dim": 32, "n_positions": 4096}, 4096),
        ({"model_type": "mpt", "d_model": 256, "n_layers": 2, "n_heads": 4, "max_seq_len": 4096}, 4096),
        ({"model_type": "bloom", "hidden_size": 256, "n_layer": 2, "n_head": 4, "seq_length": 1024}, 1024),
        ({"model_type": "cohere", "max_position_embeddings": 8192, "model_max_length": 131072}, 131072),
        ({"model_type": "gpt_neox"}, 2048),  # the default of its class
        ({"model_type": "roberta", "max_position_embeddings": 514}, 512),  # the first two rows are not used
        ({"model_type": "t5", "n_positions": 512}, None),  # relative positions
        ({"model_type": "mamba"}, None),
    ],
)
def test_keys_of_a_config_state_the_length(keys: dict[str, Any], length: int | None) -> None:
    assert known_length(llmcalc.load(keys)) == length


def test_an_engine_assumes_a_length_where_a_model_states_none() -> None:
    found = llmcalc.serve("mamba-2.8b", "rtx4090")
    assert found.max_model_len == 2048
    assert any("a recurrent state has no limit" in note and "vLLM assumes 2,048" in note for note in found.notes)
    assert llmcalc.serve("mamba-2.8b", "rtx4090", engine="llama.cpp").max_model_len == 2**20
    given = llmcalc.serve("mamba-2.8b", "rtx4090", max_model_len=100_000)
    assert (given.max_model_len, given.refusals) == (100_000, ())
    assert not any("assumes" in note for note in given.notes)


def test_a_window_is_no_length(tmp_path: Path) -> None:
    file = tmp_path / "windowed.yaml"
    file.write_text(preset_text(llmcalc.load("ministral-8b"), "windowed"), "utf-8")
    with pytest.raises(llmcalc.InputError, match="the context length of windowed"):
        llmcalc.serve(file, "h100")


@pytest.mark.parametrize(
    ("model", "title"),
    [
        ("mamba-2.8b", "✓ the memory does not limit the context: a recurrent state has no limit"),
        ("ministral-8b", "✓ largest context in plain memory: 32,768 tokens, the most that the model accepts"),
        ("t5-11b", "tokens, limited by memory; relative positions have no limit"),
        ("phi3-mini", "✓ largest context in plain memory: 4,096 tokens, the most that the model accepts"),
    ],
)
def test_the_largest_context_is_never_the_end_of_the_search(model: str, title: str) -> None:
    found = llmcalc.fit(model, "h100", solve="seq", engine="none")
    assert title in fit_document(found).title
    solution = found.solution
    assert solution is not None
    assert {solution.value, solution.in_memory, found.result.workload.seq}.isdisjoint({2**40})
    longer = llmcalc.fit(model, "h100", solve="seq", extend=True, engine="none")
    assert "1,099,511,627,776" not in fit_document(longer).title


def test_a_limit_that_is_not_known_is_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, expected in (("gptj-6b", "limited by memory"), ("ministral-8b", "does not limit the context")):
        file = tmp_path / f"own-{name}.yaml"
        file.write_text(preset_text(llmcalc.load(name), f"own-{name}"), "utf-8")
        assert main(["fit", str(file), "--gpu", "h100", "--solve", "seq", "--engine", "none"]) == 0
        first, second = capsys.readouterr().out.splitlines()[:2]
        assert expected in first
        assert "the model's own limit is not known" in f"{first} {second}"


def test_lengths_beyond_the_model_are_refused_or_warned_of() -> None:
    assert not llmcalc.serve("pythia-6.9b", "h100", isl="8k", osl=100).fits
    beyond = fit_document(llmcalc.fit("gptj-6b", "a100-sxm-80gb", seq=100_000, engine="none"))
    assert "requests of 100,000 tokens exceed the 2,048 that the model accepts" in beyond.warnings


@pytest.mark.parametrize(
    ("engine", "version", "length"),
    [("vllm", "0.33", 4096), ("vllm", "0.11", 131072), ("sglang", None, 131072), ("tensorrt-llm", None, 131072)],
)
def test_the_default_with_longrope_is_short_in_vllm(
    tmp_path: Path, engine: str, version: str | None, length: int
) -> None:
    factors = [1.0] * 64
    scaling = {"type": "longrope", "short_factor": factors, "long_factor": factors}
    longer = {"max_position_embeddings": 131072, "original_max_position_embeddings": 4096}
    model = write(tmp_path, model_type="phi3", rope_scaling=scaling, pad_token_id=0, architectures=None, **longer)
    settings = {"engine": engine, "engine_version": version}
    assert llmcalc.serve(model, "h100", **settings).max_model_len == length
    assert llmcalc.serve(model, "h100", max_model_len=131072, **settings).verdict == "starts"


@pytest.mark.parametrize("name", ["microsoft/Phi-3.5-mini-instruct", "microsoft/Phi-4-mini-instruct"])
def test_releases_with_longrope_start_short(name: str) -> None:
    result = llmcalc.serve(command=f"vllm serve {name}", gpu="h100")
    assert (result.max_model_len, result.deployment.limit.allowed) == (4096, 131072)
