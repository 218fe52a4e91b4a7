"""Collectives of the parallel branches of a sub-layer, found by following the equations in execution order."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from ...core.errors import UnsupportedError
from ..collectives import UPDATE, Collective
from ..sharding import Mesh
from ..walk import Placed
from . import experts, partial_sums, replicated_tensors, rows
from .declaration_scope import DeclarationScope, Partial, Version
from .recorder import FollowedLayer, Recorder


def layer_collectives(
    places: Iterable[Placed],
    mesh: Mesh,
    bits: int,
    gradient_bits: int,
    training: bool,
    known: dict[tuple[object, ...], FollowedLayer] | None = None,
) -> list[Collective]:
    """Return the collectives of all layers. ``known`` has layers that were followed before, also on other meshes."""
    if mesh.tp == mesh.cp == mesh.ep == mesh.expert_tp == 1:
        return []
    recorder = Recorder(mesh, bits, gradient_bits, training, {} if known is None else known)
    for _, group in groupby(places, key=lambda place: (place.entry.stack.name, *place.entry[1:4])):
        recorder.enter_sublayer()
        layers = (list(layer) for _, layer in groupby(group, key=lambda place: place.entry.name))
        _reduce_outputs([output for layer in layers for output in _follow_layer(recorder, layer)])
    return recorder.found


def _reduce_outputs(outputs: list[tuple[bool, Version]]) -> None:
    """Reduce the outputs of parallel branches. Branches whose outputs are summed share one reduction."""
    reduced: set[tuple[tuple[str, ...], Partial | None]] = set()
    for is_summed, version in outputs:
        key = version.axes, version.partial
        if not (is_summed and key in reduced):
            partial_sums.reduce(version)
        reduced |= {key} if is_summed else set()


def _follow_layer(recorder: Recorder, places: list[Placed]) -> list[tuple[bool, Version]]:
    """Record the collectives of a layer. The equations of equal layers are followed once.

    Return the output if it is a partial sum, and whether it is added to the outputs of parallel branches.
    """
    entry = places[0].entry
    if recorder.mesh.cp > 1 and any(place.reads_previous_tokens for place in places):
        problem = f"context parallelism is not modelled for the recurrence or convolution {'.'.join(entry.path)}"
        raise UnsupportedError(problem, parameter="cp")
    branches = () if entry.run is None else entry.stack.runs[entry.run].block.sublayers[entry.number].branches
    branch = next((each for each in branches if each.name == entry.name), None)
    is_summed = branch is not None and branch.post is None and not branch.joins
    shares_input = branch is not None and branch.pre is None
    is_shared = bool(entry.share) or any(tensor.share for place in places for tensor in place.declaration.tensors)
    if is_shared or (shares_input and len(branches) > 1):  # the collectives depend on other layers
        return [(is_summed, output) for output in _follow_places(recorder, places, shares_input)]
    own = ((place.identity, recorder.mesh.division_of(place.declaration)) for place in places)
    key = (*((entry.stored, entry.stack.frozen) if recorder.training else ()), *own)
    if key not in recorder.layers:
        first = len(recorder.found)
        outputs = _follow_places(recorder, places, shares_input)
        partial = [(output, output.partial) for output in outputs]  # a reduction ends the partial sums
        recorder.layers[key] = places, recorder.found[first:], partial
        return [(is_summed, output) for output in outputs]
    known, collectives, partial = recorder.layers[key]
    place_of = {id(old): place for old, place in zip(known, places, strict=True)}
    for each in collectives:
        times = each.times if each.phase == UPDATE else recorder.executions(places[0])
        recorder.found.append(each._replace(place=place_of[id(each.place)], times=times))
    return [
        (is_summed, version.copied(recorder, place_of[id(version.scope.place)], ranks)) for version, ranks in partial
    ]


def _follow_places(recorder: Recorder, places: list[Placed], shares_input: bool) -> list[Version]:
    """Record the collectives of a layer. Inner layers come before the equations that read their outputs.

    Return the output if it is a partial sum.
    """
    input_place: tuple[object, ...] = () if shares_input else (places[0].entry.path, ())
    reads_input: dict[tuple[str, ...], bool] = {(): True}  # whether inner layers read the input of the layer
    for place in places:
        for name, _ in place.declaration.parts:
            reads_input[*place.part, name] = place.declaration.link(name)[0] == place.declaration.input
    outputs: dict[tuple[str, ...], Version] = {}
    found: list[Version] = []
    for place in reversed(places):
        scope = DeclarationScope(recorder, place, input_place if reads_input[place.part] else None)
        for name, _ in place.declaration.parts:
            if output := outputs.get((*place.part, name)):
                scope.versions[place.declaration.link(name)[1]] = output
        last = _follow_equations(scope)
        if last and place.part:
            outputs[place.part] = last
        elif last and last.partial:
            found.append(last)
    return found


def _follow_equations(scope: DeclarationScope) -> Version | None:
    """Record the collectives of all equations of a declaration, and return the result of the last one."""
    computed: list[Version] = []
    for equation in scope.place.equations:
        combined = experts.route(scope, equation)
        partial = partial_sums.partial_operands(scope, equation)
        replicated_tensors.enter_operands(scope, equation, partial)
        rows.reduce_statistics(scope, equation)
        computed.append(scope.compute(equation, combined or partial_sums.contracted(scope, equation) or partial))
    for version in computed[:-1]:
        if not version.is_read:  # other outputs, such as those of global tokens
            partial_sums.reduce(version)
    if computed:
        rows.reduce_loss(scope, computed[-1])
    return computed[-1] if computed else None
