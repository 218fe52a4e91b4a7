"""Starts of vLLM of models with recurrent states, indexers or compressed caches, and what ``serve`` predicts."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from engine_logs import DATA, MODELS
from measurements import Row, Section

import llmcalc
from llmcalc.core.errors import LlmcalcError
from llmcalc.data import tables
from llmcalc.engines.settings import read_engine_settings
from llmcalc.importers.engine_commands import read_command
from llmcalc.serving.start.cache import FULL
from llmcalc.serving.start.start import Start

GIB = 2**30
CACHES, REFUSALS = "hybrid_caches.csv", "hybrid_starts.csv"
# preset and format of the weights, for names that llmcalc doesn't know
NAMES = {
    **MODELS,
    "DeepSeek-V4-Flash-0731": ("deepseek-v4-flash-0731", ""),
    "Nemotron 3 Nano 30B A3B NVFP4": ("nemotron-3-nano-30b-a3b", "nvfp4"),
    "Qwen/Qwen3.5-27B": ("qwen3.5-27b", ""),
    "Qwen3.5-0.8B": ("qwen3.5-0.8b", ""),
    "Qwen3.5-35B-A3B-AWQ": ("qwen3.5-35b-a3b", "awq-int4-g128"),
    "Qwen3.5-397B-A17B-NVFP4": ("qwen3.5-397b-a17b", "nvfp4"),
    "Qwen3.6-27B-NVFP4": ("qwen3.6-27b", "nvfp4"),
    "Qwen3.6-35B-A3B": ("qwen3.6-35b-a3b", ""),
    "Qwen3.8-27B": ("qwen3.8-27b", ""),
    "Qwen3.8-27B-NVFP4": ("qwen3.8-27b", "nvfp4"),
    "GLM-5.3-Flash": ("glm-5.3-flash", "fp8"),
    "Qwen/Qwen3.8-27B": ("qwen3.8-27b", ""),
    "Qwen/Qwen3.8-27B-NVFP4": ("qwen3.8-27b", "nvfp4"),
    "RedHatAI/Qwen3.6-35B-A3B-NVFP4": ("qwen3.6-35b-a3b", "nvfp4"),
    "chankhavu/Nemotron-Cascade-2-30B-A3B-NVFP4": ("nemotron-3-nano-30b-a3b", "nvfp4"),
    "ibm-granite/granite-4.0-h-350m": ("granite-4.0-h-350m", ""),
    "nvidia/Qwen3.6-27B-NVFP4": ("qwen3.6-27b", "nvfp4"),
    "zai-org/GLM-5.1-FP8": ("glm-5.1", "fp8-block"),
    "zai-org/GLM-5.3-Flash": ("glm-5.3-flash", "fp8"),
}
GPUS = {
    "B200": "b200-180gb", "GB10": "gb10", "GH200": "gh200-96gb", "H100": "h100", "H100 80GB": "h100",
    "H100 80GB HBM3": "h100", "H20": "h20", "H200": "h200", "L40S": "l40s", "MI325X": "mi325x", "RTX 3090": "rtx-3090",
    "RTX 5090": "rtx-5090", "RTX PRO 6000": "rtx-pro-6000", "RTX PRO 6000 Blackwell Max-Q": "rtx-pro-6000",
    "RTX PRO 6000 Blackwell Server": "rtx-pro-6000",
}  # fmt: skip
LARGE = "h200"  # stands for other cards where the log states the memory of the cache
SHORTENED = ("--trust-remote-code", "--dtype", "bfloat16", "--max-num-batched-tokens")


def starts(file: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a data file."""
    yield from csv.DictReader((DATA / file).read_text("utf-8").splitlines()[1:])


def start(row: Mapping[str, str], **more: Any) -> Start:
    """Predict a start from the version and the flags, and from the memory of the cache if the log states it."""
    preset, weights = NAMES.get(row["model"], (row["model"], ""))
    command = read_command(["vllm", "serve", preset, *shlex.split(row["flags"])])
    settings = read_engine_settings(command.settings, tables("engines")["vllm"], is_text=True)
    if row.get("kv_cache_gib"):
        more["kv_cache_memory"] = round(float(row["kv_cache_gib"]) * GIB)
    if row.get("max_num_seqs"):
        more["max_num_seqs"] = int(row["max_num_seqs"])
    return llmcalc.serve(
        preset, f"{GPUS.get(row['card'], LARGE)}:{row['gpus'] or 1}", engine="vllm",
        engine_version=row["version"] or None, **{**settings, **({"weights": weights} if weights else {}), **more},
    )  # fmt: skip


def compared(column: str, unit: str) -> Iterator[Row]:
    """Yield the rows of starts at a stated memory of the cache. ``column`` is that of the figure."""
    for row in starts(CACHES):
        is_known = row["kv_cache_gib"] or column == "block_size"
        if is_known and row[column]:
            with suppress(LlmcalcError):  # a model without a preset
                yield Row(case(row), float(row[column]), figure(start(row), column), unit)


def figure(result: Start, column: str) -> float:
    """Return a figure of a prediction by the name of its column."""
    if column == "block_size":
        return next(group.block_size for group in result.groups.groups if group.kind == FULL)
    if column == "needed_gib":
        size = result.groups.checked_bytes or result.groups.block_bytes
        return float(result.request_blocks * size) / GIB
    if column == "longest":
        return result.longest
    return float({"blocks": result.blocks, "kv_cache_tokens": result.tokens}[column].best)


def case(row: Mapping[str, str]) -> str:
    """Return the version, the model, the memory of the cache and the flags of a start."""
    words = [word.removeprefix("--") for word in shlex.split(row["flags"]) if word not in SHORTENED]
    memory = f"{row['kv_cache_gib']} GiB, " if row.get("kv_cache_gib") else ""
    return f"{row['version']} {row['model'].rpartition('/')[2]}, {memory}{' '.join(words)}".strip(" ,")


def tokens() -> Iterator[Row]:
    """The predictions use the version, the flags and the memory of the cache that the log states."""
    return compared("kv_cache_tokens", "tokens")


def blocks() -> Iterator[Row]:
    """The predictions use the version, the flags and the memory of the cache that the log states."""
    return compared("blocks", "blocks")


def block_sizes() -> Iterator[Row]:
    """The predictions use the version and the flags."""
    return compared("block_size", "tokens")


def requests() -> Iterator[Row]:
    """The predictions use the version and the flags."""
    return compared("needed_gib", "GiB")


def longest() -> Iterator[Row]:
    """The predictions use the version, the flags and the memory of the cache that the log states."""
    return compared("longest", "tokens")


def available() -> Iterator[Row]:
    """The predictions use the version (the newest one if it is not stated), the flags and the GPU alone."""
    for row in starts(CACHES):
        if row["kv_cache_gib"] and row["card"] in GPUS:
            with suppress(LlmcalcError):  # a model without a preset
                size = start({**row, "kv_cache_gib": ""}).logged_memory.available.best / GIB
                yield Row(case({**row, "kv_cache_gib": ""}), float(row["kv_cache_gib"]), size, "GiB")


def refused_blocks() -> Iterator[Row]:
    """The predictions use the version (the newest one if it is not stated), the flags and the GPU alone."""
    for row in (*starts(REFUSALS), *(row for row in starts(CACHES) if row["blocks"] and not row["kv_cache_gib"])):
        if row["card"] in GPUS:
            with suppress(LlmcalcError):
                yield Row(case(row), float(row["blocks"]), start(row).blocks.best, "blocks")


SECTIONS = {
    "vLLM, tokens of hybrids, indexers and compressed caches": Section(
        CACHES,
        tokens,
        "Starts of models without a preset are left out: DeepSeek-V4.1-Flash, MiMo-V2.6-Flash, Qwen3.8-Flash-Next and "
        "Nemotron-3-Nano-4B. Two starts in 0.26.0 are those of a server that does not cache prefixes, whose flag the "
        "page doesn't state: then 141,036 and 155,600 tokens follow.",
        "serve",
        "tokens",
        "",
    ),
    "vLLM, blocks of hybrids at a stated memory of the cache": Section(
        CACHES,
        blocks,
        "Blocks of recurrent states and attention are one pool, so a wrong size of a page or number of groups would "
        "show here.",
        "serve",
        "blocks",
        "",
    ),
    "vLLM, tokens of a block of hybrids": Section(
        CACHES,
        block_sizes,
        "The guide says that its figures are those of one GPU. Those of Kimi-Linear and Kimi-K3 follow with two and "
        "with eight ranks.",
        "serve",
        "blocks",
        "",
    ),
    "vLLM, what a request of hybrids and compressed caches needs": Section(
        CACHES,
        requests,
        "Without prefix caching, the start in 0.26.0 needs 8.18 GiB, as above. The checkpoint of the start in 0.27.1 "
        "states a cache in fp8, which is not read from the name of a repository. With `--kv-cache-dtype fp8`, 6.56 GiB "
        "follow.",
        "serve",
        "blocks",
        "",
    ),
    "vLLM, the longest request of hybrids and compressed caches": Section(
        CACHES,
        longest,
        "vLLM suggests this length where it refuses a longer one. The remarks on what a request needs hold here too.",
        "serve",
        "blocks",
        "",
    ),
    "vLLM, memory of the cache of hybrids, indexers and compressed caches": Section(
        CACHES,
        available,
        "No constant was fitted to these starts. Why two GH200 leave 5.5 GiB less for DeepSeek-V4-Flash is not known: "
        "two H200 leave 0.5 GiB more than predicted, and at the 5.44 GiB that the log states, what a request needs is "
        "exact. Two RTX 3090 leave 0.9 GiB less for Kimi-Linear in steps of 64,000 tokens, inside of the range. "
        "MiniMax-M2.5 ran in a version of early 2026, which the page doesn't state, with a smaller default share. "
        "Weights in NVFP4 differ between checkpoints.",
        "serve",
        "available",
        "",
    ),
    "vLLM, blocks of hybrids by the GPU alone": Section(
        REFUSALS,
        refused_blocks,
        "Starts that are refused because `max_num_seqs` exceeds the blocks. At a stated memory, blocks are exact, so "
        "these errors are those of the memory that is left for the cache. Most pages don't state all flags, and many "
        "not the version. Two starts on one H100 have more blocks than weights in 16 bits would leave. GLM-5.3-Flash "
        "has 512 blocks in versions before 0.30, whose layout is not described.",
        "serve",
        "blocks",
        "",
    ),
}  # fmt: skip
