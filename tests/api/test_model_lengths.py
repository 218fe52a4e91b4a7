"""Positions that engines derive from a config with scaled rotary positions."""

import json
from pathlib import Path
from typing import Any

import pytest

import llmcalc
from llmcalc.importers.engine_commands import read_command

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
    assert "131,072 positions" in llmcalc.serve(model, "h100", max_model_len=131073).refusals[0]
    solution = llmcalc.fit(model, gpu="h100", solve="seq").solution
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
    assert (result.max_model_len, result.longest_allowed) == (length, length)


def test_an_unreadable_change_of_the_config_sets_no_limit() -> None:
    command = "vllm serve Qwen/Qwen3-8B --max-model-len 131072 --hf-overrides changes.json"
    assert llmcalc.serve(command=command, gpu="h100").longest_allowed is None


def test_keys_of_a_flag_that_is_not_read_are_merged() -> None:
    command = read_command("vllm serve m --hf-overrides.rope_scaling.factor 4 --hf-overrides.rope_scaling.type linear")
    assert json.loads(command.texts["--hf-overrides"]) == {"rope_scaling": {"factor": 4, "type": "linear"}}


def test_the_tables_of_yarn_have_a_row_for_each_scaled_position(tmp_path: Path) -> None:
    def weights(**scaling: Any) -> int:
        model = write(tmp_path, rope_scaling={**YARN, **scaling})
        return int(llmcalc.serve(model, "h100", max_model_len=8192).memory.weights.best)

    assert weights() - weights(factor=2.0) == (4 - 2) * 32768 * 128 * 2
