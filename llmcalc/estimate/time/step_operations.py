"""Operations of the steps on a layout. Equal layers are found once for all layouts, and each is evaluated once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby, zip_longest
from typing import NamedTuple

from ...calc.collectives import Collective
from ...calc.layer_collectives import layer_collectives
from ...calc.layer_collectives.recorder import FollowedLayer
from ...calc.memory.number_formats import BITS_A_BYTE
from ...calc.sharding import Mesh
from ...calc.walk import Conventions, walk
from ...calc.work import Work, works
from ...core.architecture import Architecture
from ...core.form import Form
from ...core.record import OF_LAYERS, remembered
from .cost import ClassFormats
from .layer_groups import Key
from .layer_operations import layer_key, layer_operations, operations
from .operations import Attention, Convolution, Operation, Scan

PHASES = DECODE, PREFILL = ("decode", "prefill")
Pair = Mapping[str, Operation]  # operations of both phases with the same weights


class EqualLayers(NamedTuple):
    """Layers with the same operations and number formats.

    Attributes:
        works: equations of the first layer by phase.
        applied: number of applications of all layers in one step.
    """

    works: Mapping[str, list[Work]]
    applied: int


class Group(NamedTuple):
    """Operations of equal layers, which have the same cost.

    Attributes:
        phases: operations of the first layer by phase.
        weight_bytes: bytes of the weights of one operation on one rank.
        applied: number of applications of all operations in one step.
    """

    phases: Pair
    weight_bytes: float
    applied: int


class Exchange(NamedTuple):
    """Equal collectives of a step.

    Attributes:
        phases: the first of them by phase, with the closed form of its elements.
        number: number of these collectives.
    """

    phases: Mapping[str, tuple[Collective, Form]]
    number: int


def step_conventions(phase: str, attention: str = "causal") -> Conventions:
    """Return the conventions of a step, which computes the logits of the last position."""
    return Conventions(phase, attention, None, "last")


def equal_layers(architecture: Architecture, formats: ClassFormats) -> tuple[EqualLayers, ...]:
    """Return the layers, with equal ones listed once."""

    def compute() -> tuple[EqualLayers, ...]:
        found: dict[Key, dict[str, list[Work]]] = {}
        for phase in PHASES:
            for _, group in groupby(works(architecture, step_conventions(phase)), key=lambda work: id(work.place)):
                layer = list(group)
                entry = layer[0].entry
                position = (entry.stack.name, entry.section, entry.run, entry.number, entry.name, layer[0].part)
                found.setdefault(position, {})[phase] = layer
        classes: dict[Key, EqualLayers] = {}
        tables = {id(table): table for table in formats.tables}.values()
        for layers in found.values():
            first = next(iter(layers.values()))[0].place
            keys = ((phase, *layer_key(layer[0].place)) for phase, layer in layers.items())
            key = (*keys, *(table.all_of(first) for table in tables))
            known = classes.setdefault(key, EqualLayers(layers, 0))
            classes[key] = known._replace(applied=known.applied + first.entry.applied)
        return tuple(classes.values())

    return remembered(architecture, "_equal_layers", formats, compute, most=64)


def groups(architecture: Architecture, mesh: Mesh, formats: ClassFormats) -> dict[Key, Group]:
    """Return the groups of operations with the same cost, by their ``cost_key``."""

    def compute() -> dict[Key, Group]:
        found: dict[Key, Group] = {}
        for equal in equal_layers(architecture, formats):
            own = ((phase, each) for phase, layer in equal.works.items()
                   for _, each in layer_operations(architecture, layer, mesh))  # fmt: skip
            for pair in paired(own):
                size = weight_bytes(pair, formats)
                key = cost_key(pair, size, formats)
                known = found.get(key, Group(pair, size, 0))
                found[key] = known._replace(applied=known.applied + equal.applied)
        return dict(sorted(found.items(), key=lambda item: DECODE not in item[1].phases))  # in the order of ``paired``

    return remembered(architecture, "_step_groups", (mesh, formats), compute, most=256)


def all_pairs(architecture: Architecture, mesh: Mesh) -> list[Pair]:
    """Return the operations of both phases of all layers, in execution order."""
    return paired(
        (phase, operation) for phase in PHASES for operation in operations(architecture, mesh, step_conventions(phase))
    )


def paired(found: Iterable[tuple[str, Operation]]) -> list[Pair]:
    """Return operations in pairs of the same operation in a prefill and a decode step, which share their weights."""
    pairs: dict[Key, dict[str, Operation]] = {}
    for phase, operation in found:
        is_shared = not isinstance(operation, (Attention, Scan, Convolution))
        names = operation.names if is_shared else (phase, *operation.names)
        pairs.setdefault((*operation.key, *names), {})[phase] = operation
    return [*pairs.values()]


def weight_bytes(pair: Pair, formats: ClassFormats) -> float:
    """Return the bytes of all weights of an operation on one rank."""
    operation = next(iter(pair.values()))
    table, place = formats.of(operation), operation.place
    bits = (float(table.of(place, weight.tensor.name)) * weight.elements for weight in operation.weights)
    return sum(bits) / BITS_A_BYTE


def cost_key(pair: Pair, size: float, formats: ClassFormats) -> Key:
    """Return what the cost of a pair depends on. The operations of equal layers share their sizes."""
    operation = next(iter(pair.values()))
    table, place = formats.of(operation), operation.place
    names = (table.format_of(place, weight.tensor.name) for weight in operation.weights)
    sizes = ((phase, type(each), *map(id, each.sizes)) for phase, each in pair.items())
    return (size, *(each and each.name for each in names), *sizes)


def exchanges(architecture: Architecture, mesh: Mesh, bits: int) -> tuple[Exchange, ...]:
    """Return the collectives of the steps, with ``bits`` bits per element of activations. Equal ones are counted."""

    def compute() -> tuple[Exchange, ...]:
        found: dict[Key, Exchange] = {}
        of_phases = (collectives(architecture, mesh, step_conventions(phase, "dense"), bits) for phase in PHASES)
        for pair in zip_longest(*of_phases):
            phases = {phase: (each, each.elements) for phase, each in zip(PHASES, pair, strict=True) if each}
            keys = ((phase, *each[2:5], *each[7:], each.place and id(each.place.declaration))
                    for phase, (each, _) in phases.items())  # fmt: skip
            known = found.setdefault(key := tuple(keys), Exchange(phases, 0))
            found[key] = known._replace(number=known.number + 1)
        return tuple(found.values())

    return remembered(architecture, "_exchanges", (mesh, bits), compute, most=256)


def collectives(architecture: Architecture, mesh: Mesh, conventions: Conventions, bits: int) -> tuple[Collective, ...]:
    """Return the collectives of one step, with ``bits`` bits per element of activations."""
    known = remembered(architecture, f"{OF_LAYERS}_collectives", (conventions, bits), dict[Key, FollowedLayer])
    return tuple(layer_collectives(walk(architecture, conventions), mesh, bits, bits, training=False, known=known))
