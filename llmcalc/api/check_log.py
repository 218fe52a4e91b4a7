"""Comparison of an engine's start-up log with the prediction of ``serve``."""

from __future__ import annotations

import os

from ..serving.check_log import CheckedLog, compare_log


def check_log(
    path: str | os.PathLike[str],
    gpu: str | None = None,
    *,
    model: str | None = None,
    engine_version: str | None = None,
    gpu_memory: str | None = None,
) -> CheckedLog:
    """Compare the start-up log of a serving engine with the prediction of ``serve`` for the arguments that it prints.

    Args:
        path: log file of vLLM, SGLang, TensorRT-LLM or llama.cpp, or ``-`` for standard input.
        gpu: GPU name (default: as printed).
        model: name of the model (default: as printed).
        engine_version: version of the engine (default: as printed).
        gpu_memory: memory of one GPU (default: as printed).

    Raises:
        InputError: the file can't be read, is not the log of an engine, or doesn't name the model or the GPU.
    """
    return compare_log(path, gpu, model, engine_version, gpu_memory)
