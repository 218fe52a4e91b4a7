"""Training runs: compute, time, cost, energy and checkpoint sizes."""

from __future__ import annotations

from collections.abc import Iterable

from ..calc.memory.fit import Fit
from ..calc.sharding import Mesh
from ..core.aliases import accepts_aliases
from ..estimate.cost import Machine
from ..inputs.models import Source
from ..serving.calibration import Calibration
from ..training.result import Training
from ..training.run import read_run


@accepts_aliases(attention="count", machine="gpu")
def train(
    model: Source,
    tokens: float | str | None = None,
    *,
    seq: int | str | None = None,
    target_seq: int | str | None = None,
    count: str = "causal",
    batch_tokens: float | str | None = None,
    gpu: Machine | str | None = None,
    step_time: float | str | None = None,
    tokens_per_s: float | str | None = None,
    hours: float | str | None = None,
    calibration: Calibration | str | None = None,
    stack: str | None = None,
    mesh: Mesh | None = None,
    zero_group: int | None = None,
    micro_batch: int = 1,
    recompute: str = "none",
    price: float | None = None,
    watts: float | None = None,
    pue: float | None = None,
    carbon: float | None = None,
    dtype: str = "bf16",
    optimizer: str = "adamw",
    fit: Fit | None = None,
    lora_rank: int | None = None,
    lora_targets: Iterable[str] | None = None,
    extend: bool = False,
) -> Training:
    """Estimate the compute, time, cost, energy and checkpoint sizes of a training run.

    >>> import llmcalc
    >>> llmcalc.train("gpt3", "300B", gpu="v100-sxm2-32gb:1024").compute
    318565498060800000000000

    Args:
        model: an architecture, or anything ``load`` reads.
        tokens: training tokens, such as ``15e12`` or ``"15T"`` (default: as published), rounded to whole sequences.
        seq: tokens per sequence (default: 2048, or the model's learned positions if fewer).
        target_seq: number of decoder tokens of an encoder-decoder model (default: ``seq``).
        count: ``causal`` counts visible query-key pairs, ``dense`` all pairs.
        batch_tokens: number of tokens per optimizer step, such as ``"4M"``.
        gpu: GPUs: a string such as ``"h100:512"``, or the result of ``machine``.
        step_time: measured time of a step in seconds, or such as ``"350ms"``. Hours, cost and energy follow from it,
            and ``result.measured`` has the utilisation by each convention and where the step lost time.
        tokens_per_s: measured tokens per second on all GPUs, such as ``"400k"``, in place of ``step_time``.
        hours: measured GPU-hours of the run, such as ``"2.4M"``, in place of ``step_time``.
        calibration: result of ``calibrate``, or its file, whose factor calibrates the time of a step.
        stack: training program, such as ``torchtitan``. Without one, the interval of a step is wider.
        mesh: number of ranks of each kind of parallelism (adds the memory per GPU to the result).
        zero_group: data-parallel ranks that share the weights with ZeRO-3 (default: all).
        micro_batch: sequences per micro-batch on each rank, for the memory per GPU and the time of a step.
        recompute: activation recomputation, for the memory per GPU and the time of a step.
        price: US dollars per accelerator-hour (default: quoted prices).
        watts: measured power per accelerator in W, including its share of the system (default: the rated power).
        pue: power usage effectiveness of the data centre.
        carbon: kg CO2e per kWh.
        dtype: number format of the weights in a checkpoint.
        optimizer: optimizer whose states are part of a resumable checkpoint.
        fit: memory per GPU, if already computed.
        lora_rank: train only LoRA adapters of this rank, so that no gradients of weights are computed.
        lora_targets: matrices to adapt, such as ``wq``, ``q_proj`` or ``all-linear`` (default).
        extend: allow sequences longer than the learned positions.

    Raises:
        SizeError: fewer tokens than one sequence or one step.
        InputError: settings that conflict or require ``gpu``.
    """
    return read_run(locals()).answer()
