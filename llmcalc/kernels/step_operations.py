"""Operations of the steps on a layout. Equal layers are found once for all layouts, and each is evaluated once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest

from ..calc.collectives import Collective
from ..calc.layer_collectives import layer_collectives
from ..calc.layer_collectives.recorder import FollowedLayer
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.sharding import Mesh
from ..calc.walk import Conventions, Placed, division, executed, executed_declarations, walk
from ..calc.work import Work, place_works
from ..core.architecture import Architecture
from ..core.declaration import Declaration, Tensor
from ..core.equation import Equation
from ..core.form import Form
from ..core.record import OF_LAYERS, NamedTuple, changed, remembered
from .cost import ClassFormats
from .layer_groups import Key
from .layer_operations import layer_key, layer_operations, operations
from .operations import Attention, Operation, Recurrence

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


class DividedLayer(NamedTuple):
    """What a mesh must divide in the steps of both phases, found once for all layouts.

    Attributes:
        declaration: the layer, whose identity is kept.
        equations: equations of the steps.
        axes: axes of their operands.
        weights: tensors that they read.
        checked: divisions that are known to be possible.
    """

    declaration: Declaration
    equations: list[Equation]
    axes: list[tuple[str, ...]]
    weights: list[Tensor]
    checked: set[Key]

    def check(self, mesh: Mesh) -> None:
        """Check that a mesh divides the layer."""
        if (division := mesh.division_of(self.declaration)) in self.checked:
            return
        for axes in self.axes:
            mesh.shards(axes, self.declaration)
        for equation in self.equations:
            mesh.reduction(equation, self.declaration)
        for tensor in self.weights:
            mesh.share_of_weight(tensor, self.declaration, 0)
        self.checked.add(division)


def check_division(architecture: Architecture, mesh: Mesh) -> None:
    """Check that a mesh divides every tensor of the steps, before their operations are found.

    Raises:
        SizeError: a number of ranks that does not divide an axis.
        UnsupportedError: a layer kind that does not declare how tensor parallelism divides an axis.
    """
    known = remembered(architecture, f"{OF_LAYERS}_divided", None, dict[int, DividedLayer])
    for declaration in executed_declarations(architecture) if mesh.ranks > 1 else ():
        own = known.get(id(declaration)) or known.setdefault(id(declaration), _divided_layer(declaration))
        own.check(mesh)


def _divided_layer(declaration: Declaration) -> DividedLayer:
    of_phases = (executed(declaration, step_conventions(phase)) for phase in PHASES)
    equations = [*{id(equation): equation for own in of_phases for equation in own}.values()]
    axes = dict.fromkeys(operand.axes for equation in equations for operand in (equation.out, *equation.operands))
    read = {each.name for equation in equations if equation.function != "gather" for each in equation.operands}
    weights = [tensor for tensor in declaration.tensors if tensor.name in read]
    return DividedLayer(declaration, equations, [*axes], weights, set())


def equal_layers(
    architecture: Architecture, formats: ClassFormats, phases: tuple[str, ...] = PHASES
) -> tuple[EqualLayers, ...]:
    """Return the layers that are executed in steps of some phases, with equal ones listed once."""

    def compute() -> tuple[EqualLayers, ...]:
        found: dict[Key, dict[str, Placed]] = {}
        for phase in phases:
            for place in walk(architecture, step_conventions(phase)):
                entry = place.entry
                position = (entry.stack.name, entry.section, entry.run, entry.number, entry.name, place.part)
                found.setdefault(position, {})[phase] = place
        classes: dict[Key, tuple[dict[str, Placed], int]] = {}
        tables = [*{id(table): table for table in formats.tables}.values()]
        for places in found.values():
            first = next(iter(places.values()))
            keys = ((phase, *layer_key(place)) for phase, place in places.items())
            key = (*keys, *(table.all_of(first) for table in tables))
            known = classes.get(key)
            classes[key] = (known[0], known[1] + first.entry.applied) if known else (places, first.entry.applied)
        listed = ((_works(architecture, places), applied) for places, applied in classes.values())
        return tuple(EqualLayers(own, applied) for own, applied in listed if own)

    return remembered(architecture, "_equal_layers", (formats, phases), compute, most=64)


def _at(place: Placed, operation: Operation) -> Operation:
    """Return an operation at the place of its layer, because equal layers can have weights in other formats."""
    return operation if operation.place is place else changed(operation, place=place)


def _works(architecture: Architecture, places: Mapping[str, Placed]) -> dict[str, list[Work]]:
    """Return the equations of a layer in the phases that execute some."""
    own = ((phase, place_works(architecture, place)) for phase, place in places.items())
    return {phase: found for phase, found in own if found}


def groups(
    architecture: Architecture, mesh: Mesh, formats: ClassFormats, phases: tuple[str, ...] = PHASES
) -> dict[Key, Group]:
    """Return the groups of operations with the same cost in steps of some phases, by their ``cost_key``."""

    def compute() -> dict[Key, Group]:
        found: dict[Key, Group] = {}
        for equal in equal_layers(architecture, formats, phases):
            own = ((phase, _at(layer[0].place, each)) for phase, layer in equal.works.items()
                   for _, each in layer_operations(architecture, layer, mesh))  # fmt: skip
            for pair in paired(own):
                size = weight_bytes(pair, formats)
                key = cost_key(pair, size, formats)
                known = found.get(key, Group(pair, size, 0))
                found[key] = known._replace(applied=known.applied + equal.applied)
        return dict(sorted(found.items(), key=lambda item: DECODE not in item[1].phases))  # in the order of ``paired``

    key = (division(architecture, mesh), formats, phases)
    return remembered(architecture, "_step_groups", key, compute, most=256)


def all_pairs(architecture: Architecture, mesh: Mesh, phases: tuple[str, ...] = PHASES) -> list[Pair]:
    """Return the operations of some phases of all layers, in execution order."""
    return paired(
        (phase, operation) for phase in phases for operation in operations(architecture, mesh, step_conventions(phase))
    )


def paired(found: Iterable[tuple[str, Operation]]) -> list[Pair]:
    """Return operations in pairs of the same operation in a prefill and a decode step, which share their weights."""
    pairs: dict[Key, dict[str, Operation]] = {}
    for phase, operation in found:
        is_shared = not isinstance(operation, (Attention, Recurrence))
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


def exchanges(
    architecture: Architecture, mesh: Mesh, bits: int, phases: tuple[str, ...] = PHASES
) -> tuple[Exchange, ...]:
    """Return the collectives of steps of some phases, with ``bits`` bits per element of activations. Equal ones are
    counted.
    """

    def compute() -> tuple[Exchange, ...]:
        found: dict[Key, Exchange] = {}
        of_phases = (collectives(architecture, mesh, step_conventions(phase, "dense"), bits) for phase in phases)
        for pair in zip_longest(*of_phases):
            own = [(phase, each) for phase, each in zip(phases, pair, strict=True) if each]
            key = tuple(
                (phase, *each[2:5], *each[7:], each.place and id(each.place.declaration)) for phase, each in own
            )
            known = found.get(key) or Exchange({phase: (each, each.elements) for phase, each in own}, 0)
            found[key] = known._replace(number=known.number + 1)
        return tuple(found.values())

    key = (division(architecture, mesh), bits, phases)
    return remembered(architecture, "_exchanges", key, compute, most=256)


def collectives(architecture: Architecture, mesh: Mesh, conventions: Conventions, bits: int) -> tuple[Collective, ...]:
    """Return the collectives of one step, with ``bits`` bits per element of activations."""
    known = remembered(architecture, f"{OF_LAYERS}_collectives", bits, dict[Key, FollowedLayer])
    return tuple(layer_collectives(walk(architecture, conventions), mesh, bits, bits, training=False, known=known))
