"""Read the figures that serving engines printed at start-up, from docs/data/engine_*.csv.

A row is one log. Its figures are those that the log prints, and its flags those of the command line.
"""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import llmcalc
from llmcalc.core.architecture import Architecture, Run
from llmcalc.core.record import changed
from llmcalc.inputs.extras import like_last_layer, prediction_of
from llmcalc.serving.start.asked_drafts import LLAMA_CPP, state_copies
from llmcalc.serving.start.draft_stacks import part_of
from llmcalc.serving.start.llama_cpp_cache import CacheOptions, LlamaCppCache, llama_cpp_cache, llama_cpp_groups

DATA = Path(__file__).resolve().parent / "data"
BLOCK, LONG = 16, 2**20  # tokens
FORK = 3_000  # a build of llama.cpp that ik_llama.cpp descends from
RELEASES = {"2025-06-24": "0.4", "2025-10-26": "0.4.8"}  # of SGLang: the version before a date
ENGINES = {"vllm": "engine_vllm.csv", "sglang": "engine_sglang.csv", "llama.cpp": "engine_llama_cpp.csv"}
TEXT = ("source", "engine", "version", "date", "model", "flags", "card", "k_type", "v_type", "weights")

# preset and format of the weights, for repositories whose names llmcalc doesn't know
MODELS = {
    "Alibaba-NLP/gte-Qwen2-1.5B-instruct": ("qwen2-1.5b", ""),
    "Alibaba-NLP/gte-Qwen2-7B-instruct": ("qwen2-7b", ""),
    "cyankiwi/Kimi-Linear-48B-A3B-Instruct-AWQ-4bit": ("kimi-linear-48b-a3b", "awq-int4-g32"),
    "cyankiwi/MiniMax-M2.7-AWQ-4bit": ("minimax-m2.7", "awq-int4-g128"),
    "Qwen/Qwen3-235B-A22B-FP8": ("qwen3-moe-235b-a22b", "fp8-block"),
    "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8": ("qwen3-moe-235b-a22b", "fp8-block"),
    "Qwen/Qwen3-VL-235B-A22B-Thinking": ("qwen3-moe-235b-a22b", ""),
    "Qwen/Qwen3-VL-30B-A3B-Instruct": ("qwen3-moe-30b-a3b", ""),
    "Qwen/Qwen3.6-27B": ("qwen3.5-27b", ""),
    "Qwen/Qwen3.8-27B-FP8": ("qwen3.8-27b", "fp8-block"),
    "Qwen/Qwen3-4B-AWQ": ("qwen3-4b", "awq-int4-g128"),
    "qwen3.6-27b-autoround-int4": ("qwen3.5-27b", "int4-g128"),
    "qwen3.6-27b-fp8": ("qwen3.5-27b", "fp8-block"),
    "qwen3.8-27b-fp8": ("qwen3.8-27b", "fp8-block"),
    "qwen3.6-35b-a3b-nvfp4": ("qwen3.5-35b-a3b", "nvfp4"),
    "qwen3.6-35b-a3b-autoround-int4": ("qwen3.5-35b-a3b", "int4-g128"),
    "qwen3.6-27b-nvfp4": ("qwen3.5-27b", "nvfp4"),
    "cyankiwi/Qwen-AgentWorld-35B-A3B-AWQ-4bit": ("qwen3.5-35b-a3b", "awq-int4-g32"),
    "mistralai/Mistral-7B-Instruct-v0.1": ("mistral-7b", ""),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": ("tinyllama-1.1b", ""),
    "Qwen/Qwen3.6-35B-A3B": ("qwen3.5-35b-a3b", ""),
    "Qwen/Qwen3-Omni-30B-A3B-Instruct": ("qwen3-moe-30b-a3b", ""),
    "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic": ("llama3.3-70b", "int8-channel"),
    "RedHatAI/Llama-3.3-70B-Instruct-fp8-dynamic": ("llama3.3-70b", "int8-channel"),
    "redhatai/Llama-3.3-70B-Instruct-quantized.w8a8": ("llama3.3-70b", "int8-channel"),
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16": ("llama3.1-8b", "int4-g128-symmetric"),
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8": ("llama3.1-8b", "int8-channel"),
    "RedHatAI/Mistral-Small-3.1-24B-Instruct-2503-quantized.w8a8": ("mistral-small-3.2", "int8-channel"),
    "RedHatAI/Qwen2.5-7B-Instruct-fp8-dynamic": ("qwen2.5-7b", "int8-channel"),
    "RedHatAI/Qwen2.5-7B-Instruct-quantized.w8a8": ("qwen2.5-7b", "int8-channel"),
    "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2": ("llama3.1-8b", ""),
    "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B": ("qwen3-8b", ""),
    "ibm-granite/granite-3.3-8b-instruct": ("granite3-8b", ""),
    "mistralai/Mistral-Small-3.1-24B-Instruct-2503": ("mistral-small-3.1", ""),
    "mistralai/Mistral-Small-3.2-24B-Instruct-2506": ("mistral-small-3.2", ""),
    "nvidia/Gemma-4-31B-IT-NVFP4": ("gemma4-31b", "nvfp4"),
    "moonshotai/Kimi-Dev-72B": ("qwen2.5-72b", ""),
    "moonshotai/Kimi-K2-Instruct-0905": ("kimi-k2-1t", ""),
    "zai-org/GLM-Z1-32B-0414": ("glm4-32b", ""),
    "allenai/OLMoE-1B-7B-0125-Instruct": ("olmoe-7b", ""),
    "Qwen/Qwen2.5-VL-7B-Instruct": ("qwen2.5-7b", ""),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": ("qwen2.5-32b", ""),
    "CohereLabs/c4ai-command-r-v01": ("command-r", ""),
    "mistralai/Mixtral-8x7B-v0.1": ("mixtral-8x7b", ""),
}
# configs of models whose class has another output than that of the preset; a classifier has no vocabulary head
CONFIGS = {
    "Skywork/Skywork-Reward-Llama-3.1-8B-v0.2": {
        "architectures": ["LlamaForSequenceClassification"], "model_type": "llama", "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": 128256, "num_labels": 1, "max_position_embeddings": 131072, "rope_theta": 500000.0,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
    },
}  # fmt: skip


class Log(NamedTuple):
    """The facts of a log. ``figures`` holds the numbers that it prints."""

    engine: str
    source: str
    version: str
    model: str
    flags: str
    card: str
    types: tuple[str, str]
    figures: dict[str, float]
    date: str = ""
    weights: str = ""

    def flag(self, *names: str, default: str = "") -> str:
        """Return the value of the first flag that is given, "yes" for one without a value."""
        words = [*shlex.split(self.flags), "--"]
        for word, value in pairwise(words):
            if word in names:
                return "yes" if value.startswith("-") else value
        return default

    @property
    def release(self) -> str | None:
        """Return the version, or that of SGLang at the date of the log."""
        return self.version or next((own for day, own in RELEASES.items() if "" < self.date < day), None)

    @property
    def preset(self) -> str:
        """Return the name under which llmcalc knows the model."""
        return MODELS.get(self.model, (self.model, ""))[0]


def logs(engine: str) -> Iterator[Log]:
    """Yield the logs of an engine."""
    lines = (DATA / ENGINES[engine]).read_text("utf-8").splitlines()
    for row in csv.DictReader(lines[1:]):
        figures = {name: float(value) for name, value in row.items() if name not in TEXT and value}
        if "k_gib" in figures:
            names = ("k_gib", "v_gib", "conv_state_gib", "ssm_state_gib")
            figures["kv_cache_gib"] = sum(figures.get(name, 0) for name in names)
        types = row.get("k_type", ""), row.get("v_type", "")
        engine_name = row.get("engine") or engine
        words = (row[name] for name in ("source", "version", "model", "flags"))
        more = row.get("date", ""), row.get("weights") or ""
        yield Log(engine_name, *words, row.get("card", ""), types, figures, *more)


def llama_cpp_buffers(log: Log) -> LlamaCppCache:
    """Predict the buffers of a log of llama.cpp."""
    model, is_fork = llmcalc.load(log.preset), log.engine == "ik_llama.cpp"
    kinds = (log.types[0] or "f16", log.types[1] or log.types[0] or "f16")
    options = CacheOptions(
        context=int(log.figures.get("context_tokens", BLOCK)),
        parallel=int(log.flag("--parallel", default="1")),
        ubatch=int(log.figures.get("ubatch") or log.flag("-b", default="512")),
        build=int(log.version) if log.version else FORK if is_fork else None,
        mla=int(log.flag("-mla", default="0")) if is_fork else None,
        flash_attention=bool(log.flag("-fa")),
        is_fork=is_fork,
    )
    if options.caches_unused_layers:
        model = _with_prediction_layers(model, int(log.figures.get("prediction_layers", 0)))
    keys, values = (
        llmcalc.state(model, seq=LONG, cache={"f16": "fp16"}.get(kind, kind), extend=True) for kind in kinds
    )
    found = llama_cpp_cache(llama_cpp_groups(keys, values, options), options)
    drafts = {"draft_method": log.flag("--spec-type"), "draft_tokens": int(log.flag("--spec-draft-n-max", default="0"))}
    return found._replace(states=found.states * state_copies(drafts, LLAMA_CPP))


def _with_prediction_layers(model: Architecture, number: int) -> Architecture:
    """Return a model with the layers for multi-token prediction that its file stores after the others."""
    block = (prediction_of(model) or like_last_layer(model)).stack.runs[-1].block
    return part_of(model, changed(model.main, runs=(*model.main.runs, *((Run(block, number),) if number else ()))))
