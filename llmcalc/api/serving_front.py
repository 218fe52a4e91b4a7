"""The most tokens per second of a GPU at each speed of a request, over all layouts."""

from __future__ import annotations

import os
from typing import Any

from ..inputs.models import Source
from ..search.front import ServingFront
from ..search.serving_answer import timed
from ..serving.calibration import Calibration
from ..serving.service import read_service


def serving_front(
    model: Source,
    gpu: str,
    *,
    isl: int | str | None = None,
    osl: int | str | None = None,
    engine: str | None = None,
    weights: str | None = None,
    experts: str | None = None,
    attention_weights: str | None = None,
    cache: str | None = None,
    max_num_batched_tokens: int | str | None = None,
    price: float | None = None,
    sla: str | None = None,
    calibration: Calibration | str | os.PathLike[str] | None = None,
    watts: float | None = None,
    api_price: str | None = None,
    **settings: Any,
) -> ServingFront:
    """Find the most tokens per second of a GPU at each speed of a request.

    All layouts and numbers of requests are tried, and fp8 where no format is given.

    >>> import llmcalc
    >>> front = llmcalc.serving_front("llama3.1-8b", "h100:2", isl=1000, osl=500)
    >>> front.points[0].tokens_per_s_user > front.points[-1].tokens_per_s_user
    True

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100:8"``.
        isl: input tokens of a request.
        osl: output tokens of a request.
        engine: serving engine (default: as for ``latency``).
        weights: number format of the weights (default: as published, and fp8 if the GPU computes in it).
        experts: number format of routed experts (default: ``weights``).
        attention_weights: number format of layers that mix tokens (default: ``weights``).
        cache: number format of keys and values (default: 16 bits, and fp8 if the GPU computes in it).
        max_num_batched_tokens: largest number of tokens of prefill in a step.
        price: US dollars per GPU-hour (default: quoted prices).
        sla: longest times, such as ``"ttft<2s"``, that all points keep.
        calibration: result of ``calibrate``, or its file.
        watts: measured power per GPU (default: by what kernels read and compute, from the rated power).
        api_price: US dollars per million input and output tokens of an API to compare with, such as ``"0.5/1.5"``.
        settings: further settings of ``serve``, such as ``mix``, ``turns``, ``prefix_share``, ``draft`` or
            ``max_num_seqs``.
    """
    given = {name: value for name, value in locals().items() if name not in ("model", "gpu", "settings")}
    own = {name: value for name, value in given.items() if value is not None or name in ("isl", "osl")}
    found = timed(read_service(model, gpu, {"pareto": True, **own, **settings}))
    assert isinstance(found, ServingFront)
    return found
