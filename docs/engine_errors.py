"""KV cache memory that serving engines log at start-up, and the memory that ``serve`` predicts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress

from engine_logs import MODELS, Log, logs

import llmcalc
from llmcalc.core.errors import LlmcalcError

GIB = 2**30
PARALLEL = (("--tensor-parallel-size", "-tp"), ("--pipeline-parallel-size", "-pp"), ("--data-parallel-size", "-dp"))
GPUS = {  # cards of the logs
    "H100-80GB-HBM3": "h100", "H100": "h100", "A100-80GB": "a100-sxm-80gb", "RTX 3090": "rtx-3090", "GB10": "gb10",
    "RTX 5090 Laptop": "rtx-5090",
}  # fmt: skip
HIDDEN = ("--gpu-memory-utilization", "--trust-remote-code", "--no-enable-prefix-caching")  # in the name of a case


def cache_memory(engine: str, program: str) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the logged and the predicted memory of the KV cache of each log whose model and GPU are known."""
    seen = set()
    for log in logs(engine):
        if not {"kv_cache_gib", "gpu_memory_gib"} <= log.figures.keys() or log.card not in GPUS:
            continue
        with suppress(LlmcalcError):  # a model without a preset
            row = _name(log), log.figures["kv_cache_gib"], _predicted(log, engine, program)
            if row not in seen:
                seen.add(row)
                yield row


def _predicted(log: Log, engine: str, program: str) -> float:
    preset, weights = MODELS.get(log.model, (log.model, ""))
    n_gpus = 1
    for names in PARALLEL:
        n_gpus *= int(log.flag(*names, default="1"))
    result = llmcalc.serve(
        command=f"{program} {log.model if weights else preset} {log.flags}", gpu=f"{GPUS[log.card]}:{n_gpus}",
        gpu_memory=f"{log.figures['gpu_memory_gib']}GiB", engine_version=log.version or None,
    )  # fmt: skip
    return result.memory.available.best / GIB


def _name(log: Log) -> str:
    """Return the version, the model and the flags that differ between logs."""
    words, shown = shlex.split(log.flags), []
    for place, word in enumerate(words):
        flag = word if word.startswith("--") else words[place - 1]
        if flag not in HIDDEN:
            shown.append(word.removeprefix("--"))
    return f"{log.version} {log.model.rpartition('/')[2]}, {' '.join(shown)}"
