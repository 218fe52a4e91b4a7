"""A training step on a given layout, read from the arguments of ``step_time``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..calc.sharding import MESH, Mesh
from ..core.errors import InputError, SizeError
from ..core.record import changed
from ..core.setting import check_values, read_lengths, read_texts
from ..estimate.cost import AS_GIVEN, Machine, Span
from ..fitting.layouts import divisors
from ..inputs.defaults import default_seq
from ..inputs.gpus import read_gpus
from ..inputs.models import read_model
from ..inputs.settings import ADAPTERS, GPU, check_expert_ranks
from ..inputs.training_settings import PRECISION, STEP
from .kernels import FLASH
from .layouts import layout_on, training_time
from .machine import precision_of
from .programs import program
from .run import Run
from .step import NO_RECOMPUTATION, TrainingLayout
from .training_time import TrainingTime

MICRO_BATCHES = 2**6  # sequences of the largest micro-batch that is tried
OF_MESH = tuple(each for each in MESH if each.name not in ("micro_batches", "vocabulary_multiple"))
SETTINGS = (changed(GPU, kind=str, needs=()), *OF_MESH, *STEP, PRECISION, *ADAPTERS)


def timed_step(given: Mapping[str, Any]) -> TrainingTime:
    """Return the time of the step that arguments of ``step_time`` describe, with the fastest of its micro-batches."""
    found = [training_time(run, layout) for run, layout in read_step(given)]
    return min((each for each in found if each), key=lambda each: each.seconds)


def read_step(given: Mapping[str, Any]) -> Iterator[tuple[Run, TrainingLayout]]:
    """Yield the run and the layouts that arguments of ``step_time`` describe, one for each possible micro-batch."""
    own = read_lengths({**{setting.name: setting.default for setting in SETTINGS}, **given})
    check_values(SETTINGS, own)
    architecture, gpus = read_model(own["model"]), read_gpus(own["gpu"])
    if gpus.accelerator is None:
        raise InputError("requires a named accelerator", parameter="gpu", hint="use a name, as in {gpu=h100:8}")
    accelerator, count = gpus.accelerator, gpus.count or 1
    if not architecture.is_single_stack:
        raise InputError("the time of a step is modelled only for one stack of layers", parameter="model")
    if network := own["network_gbytes_per_gpu"]:
        accelerator = changed(accelerator, network=network * 1e9)
    machine = Machine(accelerator, count, precision_of(accelerator, own["precision"]), Span(1, 1, 1), AS_GIVEN)
    mesh = _mesh(own, count)
    seq = int(default_seq(architecture) if own["seq"] is None else own["seq"])
    batch = own["batch"] or mesh.dp
    if batch % mesh.dp:
        raise SizeError(f"dp ({mesh.dp}) does not divide the sequences of a step ({batch})", parameter="batch")
    targets = own["lora_targets"] and read_texts(own["lora_targets"], "lora_targets")
    run = Run(
        architecture, batch * seq, seq, batch_tokens=batch * seq, machine=machine, extend=True, mesh=mesh,
        adapters={"lora_rank": own["lora_rank"], "lora_targets": targets}, program=program(own["stack"]),
        attention=own["attention"] or FLASH, is_compiled=own["compile"], zero_group=own["zero_group"],
        dispatcher=own["dispatcher"] or "",
    )  # fmt: skip
    again = own["recompute"] or NO_RECOMPUTATION
    if own["micro_batch"]:
        if batch // mesh.dp % own["micro_batch"]:
            text = f"micro-batches of {own['micro_batch']} do not divide the sequences of a rank ({batch // mesh.dp})"
            raise SizeError(text, parameter="micro_batch")
        sizes = [own["micro_batch"]]
    else:
        sizes = [size for size in divisors(batch // mesh.dp) if size <= MICRO_BATCHES]
    for size in sizes:
        yield run, layout_on(mesh, size, again, batch, run.zero_group)


def _mesh(own: Mapping[str, Any], count: int) -> Mesh:
    """Return the mesh of a step. The data-parallel ranks are those that the other ones leave, and ZeRO is that of most
    programs: sharded optimizer states with pipeline stages, and sharded weights without.
    """
    sizes = {name: own[name] or 1 for name in ("tp", "pp", "cp")}
    others = sizes["tp"] * sizes["pp"] * sizes["cp"]
    dp = own["dp"] or max(count // others, 1)
    if dp * others != count:
        raise SizeError(f"dp · tp · pp · cp ({dp * others}) is not the number of GPUs ({count})", parameter="gpu")
    ep, zero = own["ep"] or 1, own["zero"]
    if zero is None:
        zero = 0 if dp == 1 else 3 if sizes["pp"] == 1 else 1
    etp = own["etp"] or (1 if ep > 1 else None)
    mesh = Mesh(
        dp, **sizes, ep=ep, etp=etp, sp=own["sp"] if own["sp"] is not None else sizes["tp"] > 1, zero=zero,
        vocabulary_multiple=1, virtual_stages=own["virtual_stages"] or 1,
    )  # fmt: skip
    check_expert_ranks(mesh)
    return mesh
