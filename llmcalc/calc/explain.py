"""Trees that explain FLOPs, state and memory as products of named axes.

The trees multiply the same factors as the calculators, and give each factor a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import prod
from typing import Any

from ..core.amount import group_by, summed
from ..core.architecture import Architecture, layer_glossary
from ..core.axes import GLOSSARY
from ..core.axes import WORKLOAD as AXES
from ..core.form import Form
from ..core.layer import Layer
from ..core.ledger import Entry
from ..core.record import NamedTuple, changed
from ..core.tree import WORKLOAD, Node, Place, derivation, product_texts, total, tree
from .communication import Communication
from .flops import Flops
from .kernels import EXECUTED, TOUCHED
from .kv_cache import CACHED, ROLE_DTYPES, CachedTensor, StateSize
from .memory.inference import InferenceMemory
from .memory.number_formats import BITS_A_BYTE
from .memory.pipeline import ParallelMemory
from .traffic import Traffic
from .walk import PAIRS, Extent
from .work import STAGES, Work

FLOPS, BYTES, ELEMENTS = "FLOPs", "bytes", "elements"
MEANINGS = {WORKLOAD[axis]: meaning for axis, meaning in AXES.items()} | {
    PAIRS: "visible (query, key) pairs",
    STAGES: "stages of a Fourier transform",
    "n_passes": "forward and backward contractions per forward contraction",
    TOUCHED: "experts that at least one token selects, expected under uniform routing",
    EXECUTED: "1 if the equation has rows in this step, else 0",
    "n_beams": "beams per sequence",
    "n_bytes": "bytes per element, or bytes of the whole",
    "n_bits": "bits per element, or bits of the whole",
    "n_params": "elements of the tensors on one rank before ZeRO",
    "n_ranks": "ranks that shard the tensor",
    "n_ring_steps": "messages of 1/n_ranks of the tensor that a rank sends in a ring algorithm",
    "n_times": "executions in a step: blocks and micro-batches",
    "n_readers": "equations of a block that read the tensor",
    "n_writers": "equations of a block that write the tensor",
    "n_temporaries": "copies of the largest tensor in an optimizer step",
    "n_largest": "elements of the largest tensor",
    "n_tables": "gradients of a tied token table",
    "elements_in_whole_blocks": "elements of a paged cache, padded to whole blocks",
}


class Leaf(NamedTuple):
    """A product of named factors and its position in the tree. Equal leaves from several runs of blocks are merged."""

    place: Place
    label: str
    factors: tuple[tuple[str, int], ...]
    note: str = ""


def flops_tree(result: Flops, *, matmul_only: bool = False) -> Node:
    """Return a tree of the FLOPs of a step, grouped by stack, block, layer and equation.

    ``matmul_only``: leave out functions, whose FLOPs are modelled.
    """
    found = ((_leaf(result, work), work.entry.applied) for work in result.works if work.matmul or not matmul_only)
    leaves = summed((leaf, applied) for leaf, applied in found if all(value for _, value in leaf.factors))
    return _tree(result.architecture, leaves, FLOPS)


def state_tree(result: StateSize) -> Node:
    """Return a tree of state elements, grouped by stack, block, layer and tensor."""
    leaves = summed(
        (Leaf(_place(tensor.entry), tensor.state.name, _state_factors(tensor, result.values)), tensor.entry.applied)
        for tensor in result.tensors
    )
    return _tree(result.architecture, leaves, ELEMENTS)


def _state_factors(tensor: CachedTensor, values: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Return the named factors of the elements of a state tensor in one layer."""
    beams = (("n_beams", tensor.beams),) * (tensor.beams > 1)
    named = beams + _named_factors(tensor.entry.layer, tensor.factors, values)
    count = int(tensor.elements(**values))
    is_padded = prod(value for _, value in named) != count  # to whole pages
    return (("elements_in_whole_blocks", count),) if is_padded else named


def traffic_tree(result: Traffic) -> Node:
    """Return a tree of the bytes that a step reads and writes, grouped by stack, block, layer and tensor."""
    parts = []
    for access, size in result.sizes:
        work, verb = access.work, "write" if access.is_write else "read"
        named = _named_factors(work.entry.layer, access.factors, result.values)
        note = "state between steps" if access.between_steps else f"{access.kind}: {_equation(work)}"
        place = _place(work.entry, work.part)
        times, run, counted = work.entry.applied, work.entry.run, "n_writers" if access.is_write else "n_readers"
        parts.append(Moved(place, f"{verb} {access.label}", named, access.bits, "", size, times, note, run, counted))
    return tree(result.architecture.name, result.architecture.stacks, _moved_nodes(parts), BYTES)


def communication_tree(result: Communication) -> Node:
    """Return a tree of the bytes that a rank sends, grouped by stack, block, layer and tensor."""
    stacks, parts = result.architecture.stacks, []
    for each, _, sent in result.sizes:
        named = _named_factors(each.place and each.place.entry.layer, each.factors, result.values)
        outside = (stacks[0].name, "weights and streams", (0, ""), each.component)
        place = _place(each.place.entry, each.place.part) if each.place else outside
        divisor, factors = f" / {each.ranks * each.shards}", (*named, ("n_ring_steps", each.ring_steps))
        note = f"{each.kind} over {each.ranks} ranks ({each.group}), {each.phase}"
        label = f"{each.tensor}, {each.kind}"
        parts.append(Moved(place, label, factors, Fraction(each.bits), divisor, sent, each.times, note))
    return tree(result.architecture.name, stacks, _moved_nodes(parts, "n_times"), BYTES)


class Moved(NamedTuple):
    """Bytes of a tensor that a step moves ``times`` times, with the named factors and the bits of an element.

    If ``each`` is not empty, it names the number of accesses in each of the ``times`` blocks of the run.
    """

    place: Place
    label: str
    factors: tuple[tuple[str, int], ...]
    bits: Fraction
    divisor: str
    size: int
    times: int
    note: str
    run: int | None = None
    each: str = ""


def _moved_nodes(parts: Iterable[Moved], times: str = "n_blocks") -> list[tuple[Place, Node]]:
    """Return a node for each tensor. Equal nodes from several runs of blocks are merged."""

    def key(part: Moved) -> tuple[Place, str, str, str, str]:
        texts = product_texts((*part.factors, ("n_bytes", float(Fraction(part.bits, BITS_A_BYTE)))))
        return part.place, part.label, *texts, part.divisor

    nodes = []
    for (place, label, formula, substituted, divisor), same in group_by(parts, key).items():
        count, size = sum(part.times for part in same), sum(part.size for part in same)
        blocks = sum({part.run: part.times for part in same}.values()) if same[0].each else count
        counts = ((times, blocks), (same[0].each, count // blocks))
        for name, number in reversed(counts if count % blocks == 0 else ((times, count),)):
            if number > 1:
                formula, substituted = f"{name}·{formula}", f"{number}·{substituted}"
        formula, substituted = formula + divisor, substituted + divisor
        nodes.append((place, Node(label, size, BYTES, formula, substituted, note=same[0].note)))
    return nodes


def memory_tree(result: InferenceMemory | ParallelMemory) -> Node:
    """Return a tree of inference memory or of peak training memory."""
    if isinstance(result, InferenceMemory):
        transient = changed(derivation("transient", result.transient, BYTES), note="modelled: buffers of a prefill")
        return total("memory", [_weights(result), _state(result.state_size), transient], BYTES)
    moment = result.worst.largest
    parts = {name: size for name, size in moment._asdict().items() if isinstance(size, int) and size}
    nodes = [derivation(name.replace("_", " "), size, BYTES) for name, size in parts.items()]
    return total(f"at the peak: {moment.phase}", nodes, BYTES)


def _state(result: StateSize) -> Node:
    """Return a tree of the bytes of the state on one rank, grouped by role."""
    roles: dict[str, list[Node]] = {}
    for tensor, size in result.sizes:
        entry, role, ranks = tensor.entry, tensor.state.role, tensor.n_ranks
        named = (("n_blocks", entry.applied),) * (entry.applied > 1) + _state_factors(tensor, result.values)
        each = Fraction(size * ranks, prod(value for _, value in named) or 1)
        texts = product_texts((*named, ("n_bytes", float(each))))
        formula, substituted = (texts[0] + " / n_ranks", f"{texts[1]} / {ranks}") if ranks > 1 else texts
        stored = result.cache.name if result.cache and role in CACHED else ROLE_DTYPES[role] or result.dtype
        label, note = ".".join((*entry.path, tensor.state.name)), f"elements in {stored}"
        roles.setdefault(role, []).append(Node(label, size, BYTES, formula, substituted, note=note))
    return total("state", [total(role, nodes, BYTES) for role, nodes in roles.items()], BYTES)


def _weights(result: InferenceMemory) -> Node:
    """Return a tree of weight bytes by component and format. Values are rounded so that the total is preserved."""
    children, bits = [], 0
    for name, entries in group_by(result.stored, lambda entry: entry.component).items():
        leaves = []
        for chosen, same in group_by(entries, lambda entry: entry.format.name).items():
            elements, own = sum(entry.elements for entry in same), sum(entry.bits for entry in same)
            size = -(-(bits + own) // BITS_A_BYTE) - -(-bits // BITS_A_BYTE)
            bits += own
            texts = "n_params·n_bits / 8", f"{elements}·{own / elements:.6g} / {BITS_A_BYTE}"
            leaves.append(Node(chosen, size, BYTES, *texts))
        children.append(total(name, leaves, BYTES))
    return total("weights", children, BYTES)


def _leaf(result: Flops, work: Work) -> Leaf:
    passes = (("n_passes", 1 + work.backward_passes),) if result.workload.mode == "train" else ()
    named = _named_factors(work.entry.layer, (*passes, *work.factors), result.values)
    text = _equation(work)
    note = text if work.matmul else f"{text}; modelled"
    return Leaf(_place(work.entry, work.part), work.equation.out.name, named, note)


def _equation(work: Work) -> str:
    """Return the text of an equation without spaces where lines of a formula are broken."""
    return work.equation.text.replace(" = ", "=")


def _named_factors(
    layer: Layer | None, parts: Iterable[tuple[str, Extent]], values: Mapping[str, Any]
) -> tuple[tuple[str, int], ...]:
    """Return the name and value of each factor. Constants are named by their value, and factors of 1 are omitted."""
    names, found = layer_glossary(layer) if layer else GLOSSARY, []
    for axis, factor in parts:
        value = factor(**values) if isinstance(factor, Form) else factor
        if axis or value != 1:
            name = WORKLOAD.get(axis) or names.get(axis, (axis, ""))[0]
            found.append((name or str(value), value))
    return tuple(found)


def _place(entry: Entry, part: tuple[str, ...] = ()) -> Place:
    return entry.stack.name, entry.section, (entry.number, entry.sublayer), ".".join((entry.name, *part))


def _tree(architecture: Architecture, leaves: Mapping[Leaf, int], unit: str) -> Node:
    """Build a tree from leaves, multiplying each leaf by the number of times that the layer is applied."""
    nodes = []
    for leaf, applied in leaves.items():
        named = (("n_blocks", applied),) * (applied > 1) + leaf.factors
        value = prod(value for _, value in named)
        nodes.append((leaf.place, Node(leaf.label, value, unit, *product_texts(named), note=leaf.note)))
    return tree(architecture.name, architecture.stacks, nodes, unit)
