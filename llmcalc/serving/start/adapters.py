"""Buffers that vLLM and SGLang allocate for LoRA adapters when they start, by the matrices that they can adapt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...calc.memory.inference import InferenceMemory
from ...calc.params import params
from ...calc.sharding import Mesh
from ...checkpoint.stored_tensors import declared
from ...core.interval import Interval
from ...core.record import NamedTuple
from ...core.traits import EMBEDDING, EXPERTS, HEAD
from .weights import length_on_rank

ALL = "all"  # SGLang: every matrix
EMBEDDED = ("embed_tokens", "lm_head")  # names of vocabulary tables as targets


class Adapted(NamedTuple):
    """A matrix that an adapter of rank 1 extends, on one rank.

    Attributes:
        name: name of the stored tensor.
        inputs: elements of the adapter's first matrix.
        outputs: elements of its second matrix.
        copies: number of equal matrices, such as experts.
        n_parts: number of matrices of the model that are stored as one, and may have first matrices of their own.
        is_divided: whether tensor parallelism divides the outputs of the matrix.
    """

    name: str
    inputs: int
    outputs: int
    copies: int
    n_parts: int
    is_divided: bool


def adapter_bytes(memory: InferenceMemory, settings: Mapping[str, Any], width: int) -> Interval:
    """Return the bytes of the buffers of all adapters on a rank.

    A slot has the largest rank for each matrix. The high value also has vocabulary tables, which only some classes of
    models let adapters change. In the low value, experts that are stored as one share their first matrix.
    """
    slots, rank = settings["max_loras"], settings["max_lora_rank"]
    targets = [name for name in (settings.get("lora_targets") or ALL).split() if name != ALL]
    found = [each for each in _matrices(memory, settings["lora_experts"]) if _is_target(each.name, targets)]
    part = memory.mesh.tp if settings.get("fully_sharded_loras") else 1  # of the first matrix, or of whole outputs
    low = high = 0
    for each in found:
        first, outputs = (-(-rank // part), each.outputs) if each.is_divided else (rank, -(-each.outputs // part))
        low += (first * each.inputs + rank * outputs) * each.copies
        high += (first * each.inputs * each.n_parts + rank * outputs) * each.copies
    size = Interval(*(slots * width * elements for elements in (low, high, high)))
    if targets and not set(EMBEDDED) & set(targets):
        return size
    tables = slots * width * rank * sum(_tables(memory))
    extra = slots * width * (settings.get("lora_extra_vocab") or 0) * memory.architecture.main.d_model * len(EMBEDDED)
    return size + Interval(0, 0, tables + extra)


def _is_target(name: str, targets: list[str]) -> bool:
    """Return whether a component of a tensor's name is a target such as ``q_proj``. Without targets, all are."""
    return not targets or bool(set(name.split(".")) & set(targets))


def _matrices(memory: InferenceMemory, with_experts: bool) -> Iterator[Adapted]:
    """Yield the matrices of the layers. Those that a checkpoint stores as one share the adapter's first matrix."""
    architecture, mesh = memory.architecture, memory.mesh
    for tensor in declared(params(architecture), architecture.layout, each=False):
        row = tensor.rows[0]
        if tensor.number is None or not row.tensor.linear:
            continue
        if row.tensor.active is not None and not with_experts:
            continue
        outputs = sum(length_on_rank(own, mesh, own.tensor.groups[-1]) for own in tensor.rows)
        whole = sum(length_on_rank(own, Mesh(), own.tensor.groups[-1]) for own in tensor.rows)
        inputs = length_on_rank(row, mesh, row.tensor.groups[-2])
        is_expert = row.declaration.number_class(row.tensor) == EXPERTS
        copies = mesh.share_of_weight(row.tensor, row.declaration, row.size) // (
            inputs * length_on_rank(row, mesh, row.tensor.groups[-1])
        )
        yield Adapted(tensor.name, inputs, outputs, copies, len(tensor.rows) if is_expert else 1, outputs < whole)


def _tables(memory: InferenceMemory) -> Iterator[int]:
    """Yield the elements of an adapter of rank 1 for the table of inputs and for the head, on one rank."""
    for tensor in declared(params(memory.architecture), memory.architecture.layout):
        row = tensor.rows[0]
        if row.declaration.number_class(row.tensor) in (EMBEDDING, HEAD):
            yield sum(tensor.shape)
