"""Time of a training step on named GPUs, on a given layout or on the fastest one that is found to fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import log2, sqrt

from ..calc.flops import flops
from ..calc.memory.fit import read_size
from ..calc.memory.number_formats import Format
from ..calc.memory.pipeline import stage_memories, states_fit
from ..calc.memory.recomputation import FULL, NONE
from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.interval import Interval
from ..core.record import changed, remembered
from ..core.type_names import TYPE_CHECKING
from ..core.workload import Workload
from ..data import table
from ..fitting.check import has_room
from ..fitting.layouts import divisors
from ..inputs.defaults import RESERVE
from ..inputs.settings import check_expert_ranks
from ..kernels.efficiencies import efficiencies
from ..kernels.efficiency import Efficiency
from ..kernels.interval import time_interval
from .kernels import Execution, TrainingKernels
from .programs import coefficients
from .schedule import TrainingCoefficients
from .step import TrainingLayout, TrainingStep, stage_works, training_step
from .training_time import FASTEST, GIVEN, WITHOUT_ROOM, TrainingTime

if TYPE_CHECKING:
    from .run import Run

GPU_TOKENS = 2**10  # of a step on each GPU at least, if they are not given
BEST_TOKENS, BEST_EXPONENT = 0.2920, 0.3271  # of the best tokens per step by the FLOPs of a run [deepseek2024, Eq. 1]
MICRO_BATCH_TOKENS = 2**14  # of the largest micro-batch that is tried
MOST_STAGES, MOST_PADDED = 16, 0.1  # of a pipeline, and the share of layers that its stages may lack
MOST_TENSOR_RANKS, MOST_EXPERT_RANKS = 8, 64


def usual_step_tokens(count: int, compute: float) -> int:
    """Return the usual number of tokens of a step, a power of two: the best one for the FLOPs of a run.

    >>> usual_step_tokens(2048, 3.7e24), usual_step_tokens(16384, 3.7e24)  # DeepSeek-V3: 63 M tokens
    (33554432, 33554432)

    The law of DeepSeek LLM for the best batch holds for its own runs of 7B and 67B: 9.4 and 18.9 M tokens
    [deepseek2024, Equation 1]. More GPUs need more tokens.
    """
    return max(1 << max(round(log2(BEST_TOKENS * compute**BEST_EXPONENT)), 0), GPU_TOKENS * count)


def training_time(
    run: Run, layout: TrainingLayout | None = None, fitted: TrainingCoefficients | None = None
) -> TrainingTime | None:
    """Return the time of a training step, or None of a model with several stacks, whose steps are not modelled.

    Args:
        run: the model, its GPUs with the number format of matrix products, and the sizes of the step.
        layout: how the step is divided over the GPUs (default: the fastest layout that was found to fit).
        fitted: coefficients that are fitted to published steps (default: those of the data file).
    """
    architecture, machine = run.architecture, run.machine
    if machine is None or not architecture.is_single_stack:
        return None
    own = fitted or coefficients()
    origin = GIVEN if layout else FASTEST
    found = step_on(run, layout, own) if layout else fastest(run, own)
    if found is None:
        origin, whole = WITHOUT_ROOM, Mesh(dp=machine.count, zero=3 if machine.count > 1 else 0)
        found = step_on(run, layout_on(whole, 1, NONE, run.step_sequences), own)
    step, model = found
    interval = step_interval(run, step.seconds, model.efficiencies.values())
    counted = flops(architecture, seq=run.seq, extend=True, mode="train", attention=run.count)
    adapters = run.own_adapters
    products = counted.with_adapters(adapters.rank, adapters.targets) if adapters else counted.matmul
    sequences, gpus = step.layout.sequences, step.layout.mesh.ranks
    flops_of_step, title = float(products * sequences), run.program.title if run.program.name else ""
    sizes = sequences * run.seq, gpus, flops_of_step
    return TrainingTime(architecture, step, interval, *sizes, model.in_blocks.peak, origin, title, run.calibrated)


def step_interval(run: Run, seconds: float, used: Iterable[Efficiency]) -> Interval:
    """Return the interval of 80 % of the time of a step, which is wider for a program without published steps."""
    machine, errors = run.machine, table("training_time")
    assert machine is not None
    known = {name: run.program.spread * each for name, each in errors["known"].items()}
    if own := run.calibrated:  # layouts of one program on one kind of GPU deviate from each other
        inside = max(known["inside"], own.spread)
        return time_interval(seconds, {"between": inside / sqrt(own.n_rows), "inside": inside})
    if run.program.is_known_on(machine.accelerator, machine.number_format):
        return time_interval(seconds, known)  # its factor includes those of the kernels
    return time_interval(seconds, errors["unknown"], used)


def kernels_on(run: Run, mesh: Mesh) -> TrainingKernels:
    """Return the model of the kernels of a step on a mesh."""
    machine, known = run.machine, efficiencies()
    assert machine is not None
    slower = run.program.slower_attention(known.family_of(machine.accelerator.name))
    dispatcher = run.dispatcher or run.program.dispatcher
    gradient_bits = run.program.gradient_bits
    execution = Execution(run.attention, slower, run.is_compiled, run.own_adapters, dispatcher, gradient_bits)
    number_format = Format(known.kernel_with_peak(machine.number_format) or machine.number_format, 16)
    return TrainingKernels(machine.accelerator, mesh, number_format, known, execution)


def step_on(run: Run, layout: TrainingLayout, fitted: TrainingCoefficients) -> tuple[TrainingStep, TrainingKernels]:
    """Return the time of a step on a layout, and the model of its kernels."""
    model, machine, program = kernels_on(run, layout.mesh), run.machine, run.program
    assert machine is not None
    stages = stage_works(run.architecture, model, layout, run.seq, run.state_bytes)
    factor = program.factor_on(machine.accelerator, machine.number_format)
    factor *= run.calibrated.factor if run.calibrated else 1
    return training_step(layout, stages, machine.accelerator.node, fitted, program.overlaps, factor), model


def layout_on(
    mesh: Mesh, micro_batch: int, recompute: str, sequences: int, zero_group: int | None = None
) -> TrainingLayout:
    """Return the layout of a step on a mesh, whose micro-batches have all sequences unless their number is given."""
    each = -(-sequences // (mesh.dp * micro_batch))
    whole = mesh if mesh.micro_batches else changed(mesh, micro_batches=max(each, 1))
    return TrainingLayout(whole, micro_batch, recompute, zero_group)


def fastest(run: Run, fitted: TrainingCoefficients) -> tuple[TrainingStep, TrainingKernels] | None:
    """Return the fastest of the usual layouts that fit."""
    assert run.machine is not None
    found = list[tuple[TrainingStep, TrainingKernels]]()
    for choices in meshes(run.architecture, run.machine.count, run.machine.accelerator.node, run.step_sequences):
        for mesh in choices:
            with suppress(InputError):  # ranks that do not divide the model
                if layout := _largest(run, mesh):
                    found.append(step_on(run, layout, fitted))
                    break
    return min(found, key=lambda each: each[0].seconds / each[0].layout.sequences, default=None)


def meshes(architecture: Architecture, count: int, node: int, sequences: int) -> Iterator[Iterator[Mesh]]:
    """Yield the usual kinds of meshes of a number of GPUs, and the meshes of each in the order in which they are tried.

    The model is divided over none or most GPUs of a node by tensor parallelism, and over none or some pipeline stages.
    Each data-parallel rank has at least one sequence. Experts are divided over the GPUs of a node, or of several ones.
    """
    experts, n_layers = {layer.n_experts for layer in expert_layers(architecture)}, architecture.main.n_layers

    def with_stages(tp: int, stages: list[int], most: int) -> Iterator[Mesh]:
        for pp in stages:
            dp = count // (tp * pp)
            if dp <= sequences and pp <= MOST_STAGES and padding(n_layers, pp) <= n_layers * MOST_PADDED:
                shares = [ep for ep in divisors(dp) if not any(each % ep for each in experts)] if experts else [1]
                ep = max(ep for ep in shares if ep <= most)
                zero = 0 if dp == 1 else 3 if pp == 1 else 1
                if ep > node or most == node:
                    yield Mesh(dp=dp, tp=tp, pp=pp, ep=ep, etp=1 if ep > 1 else None, sp=tp > 1, zero=zero)

    for tp in sorted({1, max(each for each in divisors(count) if each <= min(node, MOST_TENSOR_RANKS))}):
        for most in sorted({node, MOST_EXPERT_RANKS}) if experts else [node]:
            yield with_stages(tp, [1], most)
            yield with_stages(tp, divisors(count // tp)[1:], most)


def padding(n_layers: int, stages: int) -> int:
    """Return the number of layers that pipeline stages lack of equal numbers.

    >>> padding(126, 16)
    2
    """
    return -n_layers % stages


def padded(architecture: Architecture, stages: int) -> Architecture:
    """Return an architecture whose stages have equal numbers of layers, for the memory of the largest stage."""
    stack = architecture.main
    more = padding(stack.n_layers, stages)
    if not more:
        return architecture
    runs = (*stack.runs[:-1], changed(stack.runs[-1], count=stack.runs[-1].count + more))
    stacks = changed(stack, runs=runs), *architecture.predictions
    return remembered(architecture, "_padded", stages, lambda: changed(architecture, stacks=stacks))


def _largest(run: Run, mesh: Mesh) -> TrainingLayout | None:
    """Return the layout with the largest micro-batch that fits, without recomputation if possible."""
    assert run.machine is not None
    check_expert_ranks(mesh)
    room = run.machine.accelerator.usable_bytes - read_size(RESERVE, "reserve")
    whole, trained = padded(run.architecture, mesh.pp), run.trained.worst
    if not states_fit(whole, trained.recipe, mesh, room):
        return None

    def fitting(size: int, recompute: str) -> TrainingLayout | None:
        if size * mesh.dp > run.step_sequences:
            return None
        layout = layout_on(mesh, size, recompute, run.step_sequences)
        workload = Workload(batch=size, seq=run.seq, mode="train", extend=True)
        policy = changed(trained.policy, recompute=recompute)
        stages = stage_memories(whole, workload, policy, trained.recipe, layout.mesh)
        return layout if all(has_room(stage, room) for stage in stages) else None

    if not (found := fitting(1, NONE)):
        return fitting(1, FULL)
    size = 2
    while size * run.seq <= MICRO_BATCH_TOKENS and (larger := fitting(size, NONE)):
        found, size = larger, 2 * size
    return found
