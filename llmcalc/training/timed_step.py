"""A training step on a given layout, read from the arguments of ``step_time``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..calc.memory.recomputation import NONE
from ..calc.sharding import Mesh
from ..core.errors import InputError, SizeError
from ..core.record import changed
from ..core.setting import check_values, read_lengths
from ..estimate.cost import AS_GIVEN, Machine, Span
from ..fitting.layouts import divisors
from ..inputs.defaults import default_seq
from ..inputs.effects import check_effects
from ..inputs.gpus import read_gpus
from ..inputs.models import read_model
from ..inputs.settings import IS_TRAINING, check_expert_ranks, mesh_on
from ..inputs.training_settings import OF_MESH
from ..inputs.training_settings import TIMED_STEP as SETTINGS
from .kernels import FLASH
from .layouts import layout_on, training_time
from .machine import precision_of
from .programs import program
from .run import Run, read_adapters
from .step import TrainingLayout
from .training_time import TrainingTime

GIGA = 10**9
MICRO_BATCHES = 2**6  # sequences of the largest micro-batch that is tried


def timed_step(given: Mapping[str, Any]) -> TrainingTime:
    """Return the time of the step that arguments of ``step_time`` describe, on the fastest layout that they allow."""
    run, layouts = read_step(given)
    chosen: list[TrainingLayout | None] = [*layouts] or [None]
    found = [training_time(run, layout) for layout in chosen]
    return min((each for each in found if each), key=lambda each: each.seconds)


def read_step(given: Mapping[str, Any]) -> tuple[Run, list[TrainingLayout]]:
    """Return the run and the layouts that arguments of ``step_time`` describe, one for each possible micro-batch.

    Without any rank there are none: the layout is to be chosen.
    """
    own = read_lengths({**{setting.name: setting.default for setting in SETTINGS}, **given})
    check_values(SETTINGS, own)
    architecture, gpus = read_model(own["model"]), read_gpus(own["gpu"])
    if gpus.accelerator is None:
        raise InputError("requires a named accelerator", parameter="gpu", hint="use a name, as in {gpu=h100:8}")
    accelerator, count = gpus.accelerator, gpus.count or 1
    if not architecture.is_single_stack:
        raise InputError("the time of a step is modelled only for one stack of layers", parameter="model")
    if network := own["network_gbytes_per_gpu"]:
        accelerator = changed(accelerator, network=network * GIGA)
    machine = Machine(accelerator, count, precision_of(accelerator, own["precision"]), Span(1, 1, 1), AS_GIVEN)
    seq = int(default_seq(architecture) if own["seq"] is None else own["seq"])
    tokens = (own["batch"] or count) * seq
    run = Run(
        architecture, tokens, seq, batch_tokens=tokens, machine=machine, extend=True,
        adapters=read_adapters(own), program=program(own["stack"]),
        attention=own["attention"] or FLASH, is_compiled=own["compile"], zero_group=own["zero_group"],
        dispatcher=own["dispatcher"] or "",
    )  # fmt: skip
    if not any(own[each.name] for each in OF_MESH) and count > 1:
        for name in ("recompute", "micro_batch", "zero_group"):
            if own[name]:
                text = "has no effect on a layout that is chosen"
                raise InputError(text, parameter=name, hint="set {dp}, {tp} or {pp}")
        return run, []
    sizes = {each.name: own[each.name] for each in OF_MESH}
    of_experts = {name: sizes[name] for name in ("ep", "etp")}
    check_effects((*OF_MESH, IS_TRAINING), {**of_experts, "training": True}, architecture)
    mesh = mesh_on(sizes, count)
    check_expert_ranks(mesh)
    return run, [*_layouts(run, mesh, own)]


def _layouts(run: Run, mesh: Mesh, own: Mapping[str, Any]) -> Iterator[TrainingLayout]:
    """Yield the layouts on a mesh, with the given micro-batch or all that divide the sequences of a rank."""
    batch = own["batch"] or mesh.dp
    each, rest = divmod(batch, mesh.dp)
    if rest:
        raise SizeError(f"dp ({mesh.dp}) does not divide the sequences of a step ({batch})", parameter="batch")
    sizes = [size for size in divisors(each) if size <= MICRO_BATCHES]
    if size := own["micro_batch"]:
        if each % size:
            text = f"micro-batches of {size} do not divide the sequences of a rank ({each})"
            raise SizeError(text, parameter="micro_batch")
        sizes = [size]
    for size in sizes:
        yield layout_on(mesh, size, own["recompute"] or NONE, batch, run.zero_group)
