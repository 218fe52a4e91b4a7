"""Calibration of the times of serving and of training steps by a user's own measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import InputError
from ..search.serving_answer import point_of
from ..serving.calibrate import Rows, file_name, fit_calibration
from ..serving.calibration import Calibration
from ..serving.service import read_service
from ..training.calibrate import fit_steps, is_training, numbered


def calibrate(rows: Rows, step: Mapping[str, Any] | None = None) -> Calibration:
    """Fit factors of the time per output token, or of training steps, to your own measurements.

    Each measured deployment (a model on a GPU with an engine and a format of the weights) has three: a factor of the
    kernels of decoding, a factor of the prefills of other requests, and the milliseconds of a step outside the kernels.
    Priors keep them near the usual values, so that a few measurements are enough. ``serve(..., calibration=...)`` uses
    them.

    >>> import llmcalc
    >>> row = {"model": "llama3.1-8b", "gpu": "h100", "isl": 1000, "osl": 500, "concurrency": 16, "tpot_ms": 9.5}
    >>> result = llmcalc.calibrate([row])
    >>> result.n_rows, result.deployments[0].factors.decode > 1
    (1, True)

    Rows of training steps have the arguments of ``step_time``, and ``seconds`` or the path of a ``log`` of Megatron-LM
    or torchtitan. The time of a log is the median after warm-up. A model on a GPU in a number format and a training
    program has one factor, measured relative to modelled, which ``train(..., calibration=...)`` uses.

    >>> row = {"model": "llama3-8b", "gpu": "h100:8", "dp": 8, "zero": 3, "batch": 64, "seq": 8192, "seconds": 9.3}
    >>> llmcalc.calibrate([row]).steps[0].n_steps
    1

    Args:
        rows: path of a CSV file with a header (lines that begin with # are comments), or mappings. The columns
            ``model``, ``gpu``, ``isl``, ``osl``, ``concurrency`` and ``tpot_s`` or ``tpot_ms`` are needed. ``engine``,
            ``tp``, ``dp``, ``ep``, ``weights``, ``experts``, ``attention_weights``, ``cache`` and
            ``max_num_batched_tokens`` are settings of ``serve``. With ``requests_per_s`` and ``latency_s`` (or
            ``ttft_s``), Little's law is checked. Or rows of training steps, or a log of a training program.
        step: arguments of ``step_time`` that all training steps have in common, such as those of a log.

    Raises:
        InputError: a file that cannot be read, an unknown or missing column, an invalid value, or no row that passes
            the checks: that its requests fit on the GPUs, that Little's law holds, and that its unit is plausible.
    """
    read = numbered(rows)
    if is_training(read[0][2]):
        return fit_steps(read, step or {}, file_name(rows))
    if step:
        raise InputError("has no effect on measurements of serving", parameter="step", hint="omit it")
    return fit_calibration(
        read, lambda model, gpu, settings: point_of(read_service(model, gpu, settings)), file_name(rows)
    )
