"""Whether a model fits on GPUs, and the workload, weight format or GPU count with which it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..core.setting import check_values
from ..fitting.fit import FIT, SETTINGS, FitResult, read_question
from ..inputs.models import Source
from ..inputs.settings import read_settings

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import FitSettings


def fit(
    model: Source,
    gpu: str | int | None = None,
    *,
    count: int | None = None,
    gpu_memory: str | int | None = None,
    reserve: str | int | None = None,
    solve: str | None = None,
    engine: str | None = None,
    **settings: Unpack[FitSettings],
) -> FitResult:
    """Check whether a model fits on GPUs, or solve for a workload, weight format or GPU count that fits.

    >>> import llmcalc
    >>> llmcalc.fit("llama3-8b", "h100", seq=8192).fits
    True
    >>> llmcalc.fit("llama3-8b", "h100", solve="seq").solution.value  # of 511,457 in memory
    8192

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100"`` or ``"h100:8"``; or the memory of one GPU, such as
            ``"24GB"`` or a number of bytes.
        count: number of GPUs. Without a mesh, serving uses the best layout and training uses ZeRO-3.
        gpu_memory: memory of one GPU, such as ``"79.6GiB"`` (overrides the specification).
        reserve: plain memory: memory per GPU for the runtime, in bytes, ``"2GiB"`` or ``"10%"`` (default: 1 GiB).
        solve: ``seq`` (the largest, also of the model unless ``extend``), ``batch`` (the largest), ``quant`` (the best
            format), ``gpus`` (the fewest), or what llama.cpp keeps in host memory: ``gpu-layers`` (the most on the
            GPU) or ``cpu-experts`` (the fewest layers).
        engine: serving engine that is asked whether it starts and holds the requests (default: the usual one), or
            ``none`` for plain memory, which also answers what no engine has.
        settings: parameters of ``memory``, ``training=True`` for training, or fields of ``Mesh`` such as ``tp=8``.

    Raises:
        InputError: an unknown GPU, or conflicting settings.
    """
    check_values(FIT, locals())
    if solve in settings:
        raise InputError("cannot be set because it is being solved for", parameter=str(solve), hint="omit it")
    given = read_settings("a fit", SETTINGS, settings)
    question = read_question(model, gpu, count, gpu_memory, reserve, solve, given)
    from ..search.engine_fit import ask_engine

    own = {**given, **({"reserve": reserve} if reserve is not None else {})}
    return ask_engine(question, own, solve, engine)
