"""Calibration of the times of serving by a user's own measurements."""

from __future__ import annotations

from ..search.serving_answer import point_of
from ..serving.calibrate import Rows, fit_calibration
from ..serving.calibration import Calibration
from ..serving.service import read_service


def calibrate(rows: Rows) -> Calibration:
    """Fit factors of the time per output token to your own measurements of serving.

    Each measured deployment (a model on a GPU with an engine and a format of the weights) has three: a factor of the
    kernels of decoding, a factor of the prefills of other requests, and the milliseconds of a step outside the kernels.
    Priors keep them near the usual values, so that a few measurements are enough. ``serve(..., calibration=...)`` uses
    them.

    >>> import llmcalc
    >>> row = {"model": "llama3.1-8b", "gpu": "h100", "isl": 1000, "osl": 500, "concurrency": 16, "tpot_ms": 9.5}
    >>> result = llmcalc.calibrate([row])
    >>> result.n_rows, result.deployments[0].factors.decode > 1
    (1, True)

    Args:
        rows: path of a CSV file with a header (lines that begin with # are comments), or mappings. The columns
            ``model``, ``gpu``, ``isl``, ``osl``, ``concurrency`` and ``tpot_s`` or ``tpot_ms`` are needed. ``engine``,
            ``tp``, ``dp``, ``ep``, ``weights``, ``experts``, ``attention_weights``, ``cache`` and
            ``max_num_batched_tokens`` are settings of ``serve``. With ``requests_per_s`` and ``latency_s`` (or
            ``ttft_s``), Little's law is checked.

    Raises:
        InputError: a file that cannot be read, an unknown or missing column, an invalid value, or no row that passes
            the checks: that its requests fit on the GPUs, that Little's law holds, and that its unit is plausible.
    """
    return fit_calibration(rows, lambda model, gpu, settings: point_of(read_service(model, gpu, settings)))
