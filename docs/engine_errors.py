"""Memory that serving engines log at start-up, and the memory that ``serve`` predicts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress

from engine_logs import LONG, MODELS, Log, llama_cpp_buffers, logs
from measurements import Row, Section

import llmcalc
from llmcalc.api.serve import ServeResult
from llmcalc.core.errors import LlmcalcError

GIB, MIB = 2**30, 2**20
SIZE_UNKNOWN = float("inf")
LOGGED = {"available": "kv_cache_gib", "weights": "weights_gib", "activation": "activation_gib"}
PARALLEL = (
    ("--tensor-parallel-size", "-tp", "--tp", "--tp-size"),
    ("--pipeline-parallel-size", "-pp"),
    ("--data-parallel-size", "-dp"),
)
GPUS = {  # cards of the logs
    "H100-80GB-HBM3": "h100", "H100-80GB": "h100", "H100": "h100", "H200-141GB": "h200", "A100-80GB": "a100-sxm-80gb",
    "RTX 3090": "rtx-3090", "RTX 4090": "rtx-4090", "RTX 5090 Laptop": "rtx-5090", "GB10": "gb10",
}  # fmt: skip
HIDDEN = ("--gpu-memory-utilization", "--trust-remote-code", "--no-enable-prefix-caching")  # in the name of a case


def logged_memory(engine: str, program: str, value: str) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the logged and the predicted GiB of each log whose model and GPU are known. ``value`` is one of
    ``LOGGED``.
    """
    seen = set()
    for log in logs(engine):
        if not {LOGGED[value], "gpu_memory_gib"} <= log.figures.keys() or log.card not in GPUS:
            continue
        with suppress(LlmcalcError):  # a model without a preset
            row = _name(log), log.figures[LOGGED[value]], getattr(_served(log, program).memory, value).best / GIB
            if row not in seen:
                seen.add(row)
                yield row


def _served(log: Log, program: str) -> ServeResult:
    preset, weights = MODELS.get(log.model, (log.model, ""))
    n_gpus = 1
    for names in PARALLEL:
        n_gpus *= int(log.flag(*names, default="1"))
    total = log.figures.get("gpu_memory_gib")
    return llmcalc.serve(
        command=f"{program} {log.model if weights else preset} {log.flags}", gpu=f"{GPUS[log.card]}:{n_gpus}",
        gpu_memory=f"{total}GiB" if total else None, engine_version=log.version or None,
    )  # fmt: skip


def _name(log: Log) -> str:
    """Return the version, the model and the flags that differ between logs."""
    words, shown = shlex.split(log.flags), []
    for place, word in enumerate(words):
        flag = word if word.startswith("--") else words[place - 1]
        if flag not in HIDDEN:
            shown.append(word.removeprefix("--"))
    return f"{log.version} {log.model.rpartition('/')[2]}, {' '.join(shown)}"


def llama_cpp_caches() -> Iterator[Row]:
    """The predictions follow the rules of each build for windows, latents and padding."""
    found = {}
    for log in logs("llama.cpp"):
        has_latents = log.model.endswith("V3-0324") and log.flags == "-c 16384 -fa"  # although -mla is not given
        if "kv_mib" in log.figures and not has_latents:
            with suppress(LlmcalcError):
                size = llama_cpp_buffers(log)[0] / MIB
                kinds = "/".join(filter(None, log.types))
                case = f"{log.engine} {_name(log).strip()} {kinds}".replace("  ", " ").rstrip()
                found[Row(case, log.figures["kv_mib"], size, "MiB")] = None
    return iter(found)


def sglang_caches() -> Iterator[Row]:
    """The number of tokens is that of the log."""
    found = {}
    for log in logs("sglang"):
        if "gemma" in log.model or "MiMo-V2" in log.model:  # the logs don't say which layers are counted
            continue
        with suppress(LlmcalcError):
            model, ranks = llmcalc.load(log.preset), int(log.flag("--tp-size", default="1"))
            if "--enable-dp-attention" in log.flags:
                ranks //= int(log.flag("--dp-size"))
            short, long = (llmcalc.state(model, seq=tokens, extend=True).bytes for tokens in (LONG, 2 * LONG))
            tokens, logged = log.figures["kv_cache_tokens"], log.figures["k_gib"] + log.figures["v_gib"]
            case = f"{log.model.rpartition('/')[2]}, {tokens:.0f} tokens" + (f", {ranks} ranks" if ranks > 1 else "")
            found[Row(case, logged, tokens * (long - short) / LONG / ranks / GIB, "GiB")] = None
    return iter(found)


def sglang_pools() -> Iterator[Row]:
    """The predictions use the command line of the log and the specification of the GPU. The version is not logged."""
    found = {}
    for log in logs("sglang"):
        if "--max-total-tokens" in log.flags or log.card not in GPUS:
            continue
        with suppress(LlmcalcError):
            result = _served(log, "python -m sglang.launch_server --model-path")
            is_whole = log.figures.get("weights_gib", SIZE_UNKNOWN) > result.memory.weights.best / GIB / 2
            if is_whole and not (result.command and result.command.unmodelled):
                logged = log.figures["k_gib"] + log.figures["v_gib"]
                found[Row(_name(log).strip(" ,"), logged, result.memory.available.best / GIB, "GiB")] = None
    return iter(found)


def vllm_cache() -> Iterator[Row]:
    """The predictions use the command line of the log, the version, and the memory of the GPU that the log states."""
    return (Row(*figures, "GiB") for figures in logged_memory("vllm", "vllm serve", "available"))


def vllm_activation() -> Iterator[Row]:
    """The predictions use the command line and the version of the log."""
    return (Row(*figures, "GiB") for figures in logged_memory("vllm", "vllm serve", "activation"))


def vllm_weights() -> Iterator[Row]:
    """The predictions use the command line of the log. No constant is fitted."""
    return (Row(*figures, "GiB") for figures in logged_memory("vllm", "vllm serve", "weights"))


SECTIONS = {
    "vLLM, KV cache memory at start-up": Section(
        "engine_vllm.csv",
        vllm_cache,
        "The constants of the engine were fitted to most of these logs. Logs of models without a preset, and of GPUs "
        "that llmcalc does not know, are left out. Vision encoders of multimodal models are not counted.",
        "serve",
        "available blocks tokens concurrency",
        "",
        in_fit=True,
    ),
    "SGLang, KV cache memory at start-up": Section(
        "engine_sglang.csv",
        sglang_pools,
        "The constants of the engine were fitted to most of these logs. The vocabulary head of a reward model is not "
        "loaded, and vision encoders of multimodal models are not counted. A log that loads less than half of the "
        "weights of Qwen3.5-397B-A17B is left out.",
        "serve",
        "available blocks tokens concurrency",
        "",
        in_fit=True,
    ),
    "vLLM, peak activations at start-up": Section(
        "engine_vllm.csv",
        vllm_activation,
        "The largest errors are those of models with small vocabularies, in which the forward pass needs more than the "
        "sampler, and of mixtures of experts.",
        "serve",
        "activation",
        "",
        in_fit=True,
    ),
    "vLLM, weights on a GPU": Section(
        "engine_vllm.csv",
        vllm_weights,
        "vLLM logs the blocks that PyTorch allocates, which are rounded up. Vision encoders of multimodal models are "
        "not counted.",
        "serve",
        "weights",
        "",
    ),
    "llama.cpp, KV cache": Section(
        "engine_llama_cpp.csv",
        llama_cpp_caches,
        "ik_llama.cpp also caches the layer for multi-token prediction of GLM-4.5. A log of a DeepSeek-V3 file that "
        "stores latents is left out.",
        "state",
        "bytes",
        "",
    ),
    "SGLang, KV cache": Section(
        "engine_sglang.csv",
        sglang_caches,
        "SGLang logs two digits after the point, and caches one token more than it counts.",
        "state",
        "bytes",
        "",
    ),
}
