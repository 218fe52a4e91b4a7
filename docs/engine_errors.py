"""Memory that serving engines log at start-up, and the memory that ``serve`` predicts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress

from engine_logs import CONFIGS, LONG, MODELS, Log, llama_cpp_buffers, logs
from measurements import Row, Section

import llmcalc
from llmcalc.core.errors import LlmcalcError
from llmcalc.data import tables
from llmcalc.engines.settings import read_engine_settings
from llmcalc.importers.engine_commands import read_command
from llmcalc.serving.start.start import Start

GIB, MIB = 2**30, 2**20
SIZE_UNKNOWN = float("inf")
OLD_BUILD = "4400"  # of llama.cpp that Ollama ran at the time of the logs, with the rules of older builds
LOGGED = {"available": "kv_cache_gib", "weights": "weights_gib", "activation": "activation_gib"}
PARALLEL = (
    ("--tensor-parallel-size", "-tp", "--tp", "--tp-size"),
    ("--pipeline-parallel-size", "-pp"),
    ("--data-parallel-size", "-dp"),
)
GPUS = {  # cards of the logs
    "H100-80GB-HBM3": "h100", "H100-80GB": "h100", "H100": "h100", "H200-141GB": "h200", "A100-80GB": "a100-sxm-80gb",
    "RTX 3090": "rtx-3090", "RTX 4090": "rtx-4090", "RTX 5090 Laptop": "rtx-5090", "RTX 5090": "rtx-5090",
    "GB10": "gb10", "A100-40GB": "a100-sxm-40gb", "RTX PRO 6000": "rtx-pro-6000", "V100-32GB": "v100-sxm-32gb",
    "B200-180GB": "b200-180gb", "GH200-96GB": "gh200-96gb",
}  # fmt: skip
PROGRAMS = {"vllm": "vllm serve", "sglang": "python3 -m sglang.launch_server --model-path"}
HIDDEN = ("--gpu-memory-utilization", "--trust-remote-code", "--no-enable-prefix-caching")  # in the name of a case


def predictions(engine: str, figure: str) -> Iterator[tuple[Log, Start]]:
    """Yield each log that has a figure, and whose model and GPU are known, with its prediction."""
    seen = set()
    for log in logs(engine):
        is_known = log.card in GPUS or "gpu_memory_gib" in log.figures
        if figure not in log.figures or not is_known or "--max-total-tokens" in log.flags:
            continue
        with suppress(LlmcalcError):  # a model without a preset
            result, key = predicted(log), (case_name(log), log.figures[figure])
            is_whole = log.figures.get("weights_gib", SIZE_UNKNOWN) > result.memory.weights.best / GIB / 2
            if (is_whole or engine == "vllm") and key not in seen:
                seen.add(key)
                yield log, result


def predicted(log: Log, **more: object) -> Start:
    """Predict a log from the version, the command line and the memory of the GPU that it states, and other settings."""
    preset, weights = MODELS.get(log.model, (log.model, ""))
    n_gpus, size = 1, log.figures.get("gpu_memory_gib")
    for names in PARALLEL:
        n_gpus *= int(log.flag(*names, default="1"))
    command = read_command([*PROGRAMS[log.engine].split(), preset, *shlex.split(log.flags)])
    settings = read_engine_settings(command.settings, tables("engines")[log.engine], is_text=True)
    return llmcalc.serve(
        CONFIGS.get(log.model, preset), f"{GPUS[log.card]}:{n_gpus}" if log.card in GPUS else None, engine=log.engine,
        engine_version=log.release, gpu_memory=f"{size}GiB" if size else None,
        **{**settings, **({"weights": weights} if weights else {}), **more},
    )  # fmt: skip


def logged_memory(engine: str, value: str) -> Iterator[Row]:
    """Yield the logged and the predicted GiB of each log. ``value`` is one of ``LOGGED``."""
    for log, result in predictions(engine, LOGGED[value]):
        memory = (
            result.memory if value == "activation" else result.logged_memory
        )  # the largest value is that of the log
        size = getattr(memory, value).best / GIB
        yield Row(case_name(log).strip(" ,"), log.figures[LOGGED[value]], size, "GiB")


def case_name(log: Log) -> str:
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
                case = f"{log.engine} {case_name(log).strip()} {kinds}".replace("  ", " ").rstrip()
                found[Row(case, log.figures["kv_mib"], size, "MiB")] = None
    return iter(found)


def llama_cpp_weights() -> Iterator[Row]:
    """The predictions use the format of the weights and the layers on the GPU that the log states."""
    for log in logs("llama.cpp"):
        if log.weights:
            build = log.version or ("" if log.engine == "llama.cpp" else OLD_BUILD)
            build = OLD_BUILD if build and int(build) < int(OLD_BUILD) else build
            result = llmcalc.serve(
                log.preset, "h200:8", engine="llama.cpp", engine_version=build or None, weights=log.weights,
                max_model_len=int(log.figures["context_tokens"]), gpu_layers=int(log.flag("-ngl")),
            )  # fmt: skip
            sizes = {"gpu": sum(own.weights for own in result.placed.gpus), "host": result.placed.host.weights}
            for device, size in sizes.items():
                if logged := log.figures.get(f"{device}_weights_mib"):
                    case = f"{log.engine} {case_name(log).strip()} {log.weights}, {device}"
                    yield Row(case.replace("  ", " "), logged, size / MIB, "MiB")


def llama_cpp_drafts() -> Iterator[Row]:
    """The predictions follow from the flags."""
    for log in logs("llama.cpp"):
        if "--spec-type" in log.flags:
            command = read_command(["llama-server", "-m", log.preset, *shlex.split(log.flags)])
            settings = read_engine_settings(command.settings, tables("engines")["llama.cpp"], is_text=True)
            placed = llmcalc.serve(log.preset, "h200:8", engine="llama.cpp", **settings).placed
            sizes = {"draft_kv": placed.draft_cache, "recurrent": placed.buffers.states}
            for name, size in sizes.items():
                if logged := log.figures.get(f"{name}_mib"):
                    case = f"{log.engine} {case_name(log).strip()}, {name.replace('_', ' ')}"
                    yield Row(case.replace("  ", " "), logged, size / MIB, "MiB")


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
    """The predictions use the command line of the log, the specification of the GPU, and the version of the time."""
    return logged_memory("sglang", "available")


def vllm_cache() -> Iterator[Row]:
    """The predictions use the command line of the log, the version, and the memory of the GPU that the log states."""
    return logged_memory("vllm", "available")


def vllm_tokens() -> Iterator[Row]:
    """The predictions use the command line and the version of the log, and the memory of the cache that it states."""
    found = {}
    for log in logs("vllm"):
        size, tokens = log.figures.get("kv_cache_gib", 0), log.figures.get("kv_cache_tokens")
        if size > 0 and tokens and "concurrency_tokens" in log.figures:
            with suppress(LlmcalcError):  # a model without a preset
                result = predicted(log, kv_cache_memory=round(size * GIB))
                found[Row(case_name(log).strip(" ,"), tokens, result.tokens.best, "tokens")] = None
    return iter(found)


def vllm_requests() -> Iterator[Row]:
    """The predictions use the command line and the version of the log, and the memory of the GPU."""
    for log in logs("vllm"):
        if "concurrency" in log.figures and "kv_cache_tokens" not in log.figures:
            yield Row(case_name(log).strip(" ,"), log.figures["concurrency"], predicted(log).concurrency.best, "")


def vllm_activation() -> Iterator[Row]:
    """The predictions use the command line and the version of the log."""
    return logged_memory("vllm", "activation")


def vllm_weights() -> Iterator[Row]:
    """The predictions use the command line of the log. No constant is fitted."""
    return logged_memory("vllm", "weights")


SECTIONS = {
    "vLLM, KV cache memory at start-up": Section(
        "engine_vllm.csv",
        vllm_cache,
        "The constants of the engine were fitted to most of these logs. Logs of models without a preset are left out. "
        "A log of pipeline stages shows what is available to the first stage. On a GB10, vLLM measures the free memory "
        "of the host (utils/mem_utils.py), in which all programs allocate. The checkpoint of Qwen3.6-35B-A3B in NVFP4 "
        "stores attention in fp8, which takes 0.5 of 0.7 GiB on one GPU. gpt-oss-120b in 0.10.1 to 0.11.2 runs "
        "in Marlin, whose padding takes 1.6 GiB. From 0.9 to 0.11, the sampler of FlashInfer needs a third of the "
        "memory where it is installed, which no command line states: the logs of Qwen2-7B on one and two A100 with 80 "
        "GB and of Llama-3.3-70B in 0.11.2, and that of Mistral-Small-3.2, whose activations of 2.12 GiB it explains. "
        "Not explained: Qwen3.8-27B in 0.27.1 needs 0.3 GiB more than predicted. Kimi-Linear leaves 0.9 GiB less with "
        "steps of 64,000 tokens. gpt-oss-120b on eight GPUs leaves 1.3 GiB more, Qwen3-235B-A22B with "
        "a connector leaves 1.2 GiB less, and three logs of two RTX 5090 leave 0.6 GiB less, most inside of the "
        "range. Six logs, those in 0.11.2 and of club-3090 in 0.25.1, were predicted before anything was changed for "
        "them: of the four that state the memory of the cache, none was within 1 % of the memory of a GPU, with errors "
        "of 1.7 to 3.0 %, and three were inside of the range. The last 15 logs, too: 6 were within 1 %, and the "
        "others off by at most 2.1 %. Two GH200 leave 5.5 GiB less for DeepSeek-V4 in 0.22 than predicted.",
        "serve",
        "available blocks tokens concurrency",
        "",
        in_fit=True,
    ),
    "vLLM, tokens in the KV cache": Section(
        "engine_vllm.csv",
        vllm_tokens,
        "The logs round the memory of the cache to 0.01 GiB. With pipeline stages, they state the memory of the first "
        "one, and the stage with the fewest blocks decides.",
        "serve",
        "tokens",
        "",
    ),
    "vLLM, requests in the KV cache": Section(
        "engine_vllm.csv",
        vllm_requests,
        "Logs that state neither the memory of the cache nor its tokens, so that the memory is predicted, too. Without "
        "the workspace for prefills, which was counted afterwards, they were 4.7 and 4.0 % off. The flags of the first "
        "one are those of the second one, except for the layout, and the logs of all eight replicas state 156.9 "
        "requests.",
        "serve",
        "concurrency",
        "",
    ),
    "SGLang, KV cache memory at start-up": Section(
        "engine_sglang.csv",
        sglang_pools,
        "The constants of the engine were fitted to most of these logs. Where 76.3 GiB were free at the start, another "
        "program held 2.5 GiB. A log that loads less than half of the weights of Qwen3.5-397B-A17B is left out.",
        "serve",
        "available blocks tokens concurrency",
        "",
        in_fit=True,
    ),
    "vLLM, peak activations at start-up": Section(
        "engine_vllm.csv",
        vllm_activation,
        "The largest errors are those of the models whose KV cache is not explained above, and of mixtures of experts.",
        "serve",
        "activation",
        "",
        in_fit=True,
    ),
    "vLLM, weights on a GPU": Section(
        "engine_vllm.csv",
        vllm_weights,
        "vLLM logs the blocks that PyTorch allocates, which are rounded up. gpt-oss-120b in 0.11.2 runs in Marlin, as "
        "its log says, whose padding is larger. With attention in bf16, Gemma-4-31B in NVFP4 would take 30.7 of its "
        "31.2 GiB, but it is not verified which parts its checkpoint quantises. Not explained: gpt-oss-20b takes 0.2 "
        "GiB more in 0.19, and gpt-oss-120b 0.2 GiB less on eight GPUs.",
        "serve",
        "weights",
        "",
    ),
    "llama.cpp, KV cache": Section(
        "engine_llama_cpp.csv",
        llama_cpp_caches,
        "Builds of ik_llama.cpp before 3918 also cache the layers for multi-token prediction that a file stores. A log "
        "of a DeepSeek-V3 file that stores latents is left out. The last three caches, of ipex-llm, were predicted "
        "before anything was changed for them.",
        "state",
        "bytes",
        "",
    ),
    "llama.cpp, weights on the GPU and in host memory": Section(
        "engine_llama_cpp.csv",
        llama_cpp_weights,
        "The file of gpt-oss-20b stores embeddings and attention in q8_0, and files in fp16 store norms in fp32. The "
        "last four buffers were predicted before anything was changed for them. The buffer of TinyLlama is on Metal, "
        "where it is a region of the mapped file that also contains the embeddings.",
        "serve",
        "weights host",
        "",
    ),
    "llama.cpp, caches of drafts": Section(
        "engine_llama_cpp.csv",
        llama_cpp_drafts,
        "The layer for multi-token prediction has a cache of its own. Recurrent states are kept once more for each "
        "drafted token.",
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
