"""Collectives that the ranks of a mesh execute in a layer, derived from the equations and their divided axes.

A contraction over a divided axis gives a partial sum on each rank. The sum is reduced as late as possible: sums and
products with replicated tensors apply to partial sums, so the outputs of all experts or of parallel branches are
reduced once. A replicated tensor that enters divided equations has a partial gradient, which is reduced once, even
if several matrices read the tensor.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from math import prod

from ..core.declaration import Tensor
from ..core.equation import Equation, Operand
from ..core.errors import UnsupportedError
from ..core.form import Form
from ..core.functions import FUNCTIONS
from ..core.ledger import elements, identity
from .collectives import (
    ALL_GATHER,
    ALL_REDUCE,
    ALL_TO_ALL,
    BACKWARD,
    FORWARD,
    REDUCE_SCATTER,
    UPDATE,
    Collective,
    Partial,
    Version,
)
from .sharding import Mesh
from .walk import Extent, Placed

SUMS = ("add", "mul", "scale", "copy", "cast")  # functions of a partial sum that give a partial sum
MOVES = ("copy", "cast", "gather")  # functions whose input has the same values as the result
LOSS_REDUCTIONS = ("maximum", "sum of exponentials", "target logit")
FP32_BITS = 32


class SublayerCollectives:
    """Collectives of the parallel branches of a sub-layer, found by following the equations in execution order."""

    def __init__(self, mesh: Mesh, bits: int, gradient_bits: int, training: bool, weights: set[object]) -> None:
        self.mesh, self.bits, self.gradient_bits, self.training = mesh, bits, gradient_bits, training
        self.weights = weights  # weights whose gradients are reduced, also by other sub-layers
        self.found: list[Collective] = []
        self.entered: set[tuple[object, ...]] = set()
        self.results: list[tuple[bool, Version]] = []

    def collectives(self) -> list[Collective]:
        """Return all collectives. Branches whose outputs are summed share one reduction."""
        reduced: set[tuple[tuple[str, ...], Partial | None]] = set()
        for is_summed, version in self.results:
            key = version.axes, version.partial
            if not (is_summed and key in reduced):
                LayerCollectives(self, [version.place]).reduce(version)
            reduced |= {key} if is_summed else set()
        return self.found


class LayerCollectives:
    """Collectives of one layer, including its inner layers."""

    def __init__(self, sublayer: SublayerCollectives, places: list[Placed]) -> None:
        self.owner, self.mesh, self.places, self.place = sublayer, sublayer.mesh, places, places[0]
        entry = places[0].entry
        self.has_gradient = sublayer.training and not entry.stack.frozen
        branches = () if entry.run is None else entry.stack.runs[entry.run].block.sublayers[entry.number].branches
        branch = next((each for each in branches if each.name == entry.name), None)
        self.shares_input = branch is not None and branch.pre is None
        self.is_summed = branch is not None and branch.post is None and not branch.joins
        self.outputs: dict[tuple[str, ...], Version] = {}
        inner = ((place, link) for place in places for link in place.declaration.links.items())
        self.reads = {(*place.part, name): of for place, (name, (of, _)) in inner}  # inputs of inner layers
        if self.mesh.cp > 1 and any(place.reads_previous_tokens for place in places):
            problem = f"context parallelism is not modelled for the recurrence or convolution {'.'.join(entry.path)}"
            raise UnsupportedError(problem, parameter="cp")

    def follow(self) -> None:
        """Record the collectives of all equations. Inner layers come before the equations that read their outputs."""
        for place in reversed(self.places):
            last = self._follow_part(place)
            if last and place.part:
                self.outputs[place.part] = last
            elif last and last.partial:
                self.owner.results.append((self.is_summed, last))

    def _follow_part(self, place: Placed) -> Version | None:
        self.place, declaration = place, place.declaration
        self.weights = {tensor.name: tensor for tensor in declaration.tensors}
        self.used = {tensor.active[1] for tensor in declaration.tensors if self.is_expert(tensor) and tensor.active}
        self.versions: dict[str, Version] = {}
        self.in_experts: set[str] = set()
        self.made_of: dict[str, tuple[Tensor, ...]] = {}  # weights from which tensors without a batch are computed
        for name, _ in declaration.parts:
            if found := self.outputs.get((*place.part, name)):
                self.versions[declaration.links.get(name, ("", ""))[1] or name] = found
        last = None
        for equation in place.equations:
            last = self._follow_equation(equation)
        if last and declaration.logits and (ranks := self.shards(last.axes)) > 1:
            self._logits(last, ranks)
        return last

    def is_expert(self, tensor: Tensor | None) -> bool:
        """Return whether expert parallelism divides a weight."""
        active = tensor.active if tensor else None
        return active is not None and self.place.declaration.division(active[0]) in ("expert", "null_experts")

    def shards(self, axes: tuple[str, ...]) -> int:
        """Return the number of ranks over which tensor parallelism divides a tensor."""
        return self.mesh.shards(axes, self.place.declaration)

    def _follow_equation(self, equation: Equation) -> Version:
        names = [operand.name for operand in equation.operands]
        routed = any(self.is_expert(self.weights.get(name)) for name in names)
        from_experts = [name for name in names if name in self.in_experts]
        combined = None
        stays = self.used & set(equation.out.axes)
        if self.mesh.ep > 1 and (routed or (from_experts and stays and self.replicas == self.mesh.ep)):
            for operand in equation.operands:
                if operand.name not in (*self.weights, *self.in_experts):
                    self._dispatch(operand)
        if self.mesh.ep > 1 and from_experts and not stays:
            combined = self._combine(self.versions[from_experts[0]])
        if (routed or from_experts) and stays:
            self.in_experts.add(equation.out.name)
        partial = self._partial(equation)
        self._enter_all(equation, partial)
        group, ranks = self.mesh.reduction(equation, self.place.declaration)
        partial = Partial(group, ranks) if group else partial
        if combined:
            partial = combined
        self._statistics(equation)
        if "b" not in equation.out.axes:
            self.made_of[equation.out.name] = tuple(dict.fromkeys(w for name in names for w in self._weights_of(name)))
        out, earlier = equation.out, self.versions.get(equation.out.name)
        if earlier and out.name in names and self._is_larger(earlier.axes, out.axes):  # a part of the tensor changes
            out = Operand(out.name, earlier.axes)
        version = Version(out, self.place, partial, self._source(equation))
        self.versions[out.name] = version
        return version

    def _weights_of(self, name: str) -> tuple[Tensor, ...]:
        """Return the weights from which a tensor without a batch is computed."""
        return self.made_of.get(name) or ((self.weights[name],) if name in self.weights else ())

    def _source(self, equation: Equation) -> str:
        """Return the name of the tensor whose elements a result consists of, unless that tensor is larger."""
        moved = [operand.name for operand in equation.operands if operand.name not in self.weights]
        if equation.function not in MOVES or len(moved) != 1 or moved[0] == equation.out.name:
            return ""
        version = self.versions.get(moved[0])
        return "" if version and self._is_larger(version.axes, equation.out.axes) else moved[0]

    def _is_larger(self, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        """Return whether a tensor is larger than another one. Axes that depend on the workload are not compared."""
        extents = (
            [self.place.extent(axis) for axis in {*some} - {*rest}] for some, rest in ((one, other), (other, one))
        )
        larger, smaller = (prod(extent for extent in each if isinstance(extent, int)) for each in extents)
        return larger > smaller

    # ------------------------------------------------------------------ partial sums

    def _partial(self, equation: Equation) -> Partial | None:
        """Return the ranks with partial sums of a function's result. Reduce partial operands of other equations."""
        names = dict.fromkeys(operand.name for operand in equation.operands)
        partial = [self.versions[name] for name in names if name in self.versions and self.versions[name].partial]
        known = {version.partial for version in partial}
        scaled_by = [name for name in names if name in self.weights]
        linear = equation.function in SUMS and len(known) == 1
        if linear and (equation.function != "mul" or (len(partial) == 1 and not scaled_by)):
            return known.pop()
        for version in partial:
            self.reduce(version)
        return None

    def reduce(self, version: Version) -> None:
        """Reduce the partial sums of a tensor, once. Sequence parallelism scatters the result over the sequence."""
        if version.partial is None:
            return
        group, version.partial = version.partial, None
        current, self.place = self.place, version.place
        if self.shards(version.axes) > 1 or (self.mesh.sp and self.is_sequence(version.axes)):
            self.add(REDUCE_SCATTER, group, version.name, FORWARD, version.axes)
            self.add(ALL_GATHER, group, f"d{version.name}", BACKWARD, version.axes)
        else:
            self.add(ALL_REDUCE, group, version.name, FORWARD, version.axes)
        self.place = current

    # ------------------------------------------------------------------ replicated tensors in divided equations

    def _enter_all(self, equation: Equation, partial: Partial | None) -> None:
        """Record the collectives of operands that are less divided than the result."""
        is_constant, divided = "nograd" in equation.tags, self.shards(equation.out.axes)
        axes_used = {axis for term in (equation.out, *equation.operands) for axis in term.axes}
        group = self.mesh.group("tensor", routed=bool(self.used & axes_used))
        if divided == 1:  # a product with a partial sum
            group = (partial.group, partial.ranks) if partial and equation.function == "mul" else ("", 1)
        has_weight = any(operand.name in self.weights for operand in equation.operands)
        for operand in equation.operands:
            if operand.name in self.weights:
                for tensor in self._weights_of(operand.name) if not is_constant else ():
                    self._weight_gradient(tensor, divided)
                continue
            version = self.versions.get(operand.name)
            if version and version.partial:
                continue
            axes = operand.axes or (version.axes if version else ())
            if "b" not in axes:
                for tensor in self._weights_of(operand.name) if divided > self.shards(axes) else ():
                    self._weight_gradient(tensor, divided)
                continue
            if self.mesh.cp > 1 or self.mesh.sp:
                self._exchange(operand, equation)
            if group[1] > 1 and self.shards(axes) == 1:
                self._enter(operand.name, axes, group, has_weight and equation.function is None, not is_constant)
            for name in self.place.declaration.pieces.get(operand.name, ()) if group[1] > 1 else ():
                self._enter(name, self.versions[name].axes, group)

    def _enter(self, name: str, axes: tuple[str, ...], group: tuple[str, int], is_gathered_again: bool = False,
               has_gradient: bool = True) -> None:  # fmt: skip
        """Record that a replicated tensor enters divided equations, once per tensor."""
        scattered = self.mesh.sp and self.mesh.ep > 1 and self.used & set(axes)
        version = self.versions.get(name)
        while version and version.source and not scattered:
            name, axes = version.source, tuple(axis for axis in axes if axis not in self.used)
            version = self.versions.get(name)
        axes = version.axes if version else axes
        is_input = version is None and name == "x" and self.reads.get(self.place.part, "x") == "x"
        entry, part = self.place.entry, () if is_input else self.place.part
        where = () if is_input and self.shares_input else (entry.path, part)
        key = (*where, name, id(version) if version else 0, group)
        is_scattered = self.mesh.sp and self.is_sequence(axes)
        if is_scattered and self._is_first((FORWARD, *key)):
            self.add(ALL_GATHER, group, name, FORWARD, axes)
        if not (has_gradient and self._is_first((BACKWARD, *key))):
            return
        if is_scattered and is_gathered_again:
            self.add(ALL_GATHER, group, f"{name}, gathered again", BACKWARD, axes)
        self.add(REDUCE_SCATTER if is_scattered else ALL_REDUCE, group, f"d{name}", BACKWARD, axes)

    def _weight_gradient(self, tensor: Tensor, divided: int) -> None:
        """Record the reduction of the gradient of a weight that several tensor-parallel ranks store."""
        entry, declaration = self.place.entry, self.place.declaration
        copies = self.mesh.tp // self.shards(tensor.axes)
        if tensor.buffer or self.is_expert(tensor) or copies == 1 or (divided == 1 and not self.mesh.sp):
            return
        where = (entry.stack.name, entry.share, entry.name) if entry.share else entry.path
        shared = identity(entry.stack, tensor)
        key = shared or (where, self.place.part, tensor.name)
        if key not in self.owner.weights:
            self.owner.weights.add(key)
            count = self.mesh.share_of_weight(tensor, declaration, elements(tensor, declaration))
            factors, times = (("n_params", count),), 1 if shared else entry.stored
            self.add(ALL_REDUCE, ("tp", copies), f"d{tensor.name}", UPDATE, (), factors, times=times)

    def _exchange(self, operand: Operand, equation: Equation) -> None:
        """Record the exchange of keys, values and other tensors of which each query reads all tokens."""
        own = {axis for axis in operand.axes if axis != "b" and isinstance(self.place.extent(axis), Form)}
        if not own or "q" in own or "q" not in equation.out.axes or operand.name in self.weights:
            return
        divided = max(self.shards(operand.axes), self.shards(equation.out.axes))
        groups = [("cp", self.mesh.cp), ("tp", self.mesh.tp if self.mesh.sp and divided == 1 else 1)]
        version = self.versions.get(operand.name)
        for group in groups:
            key = (self.place.entry.path, self.place.part, operand.name, id(version), group)
            if group[1] > 1 and self._is_first((FORWARD, *key)):
                self.add(ALL_GATHER, group, operand.name, FORWARD, operand.axes)
            if group[1] > 1 and "nograd" not in equation.tags and self._is_first((BACKWARD, *key)):
                self.add(ALL_GATHER, group, f"{operand.name}, gathered again", BACKWARD, operand.axes)
                self.add(REDUCE_SCATTER, group, f"d{operand.name}", BACKWARD, operand.axes)

    # ------------------------------------------------------------------ experts

    @property
    def replicas(self) -> int:
        """Number of ranks of an expert-parallel group that have the same tokens."""
        return 1 if self.mesh.sp else min(self.mesh.ep, self.mesh.tp // self.mesh.expert_tp)

    def _dispatch(self, operand: Operand) -> None:
        """Record that the inputs of routed experts are sent to the experts' ranks, once per tensor."""
        version = self.versions.get(operand.name)
        axes = operand.axes or (version.axes if version else ())
        if "b" not in axes or not self._is_first((self.place.entry.path, self.place.part, "dispatch", operand.name)):
            return
        if self.replicas == self.mesh.ep:  # each rank has all tokens and computes those of its own experts
            self._enter(operand.name, axes, ("tp", self.mesh.ep * self.mesh.expert_tp))
            return
        routed = (*axes, *(axis for axis in sorted(self.used) if axis not in axes))
        self._all_to_all(operand.name, routed)
        if self.replicas > 1:
            tokens = tuple(axis for axis in axes if axis not in self.used)
            self.add(ALL_GATHER, ("tp", self.replicas), "dx", BACKWARD, tokens)

    def _combine(self, version: Version) -> Partial | None:
        """Record that outputs of routed experts are sent back, and return the ranks with partial sums of the result."""
        partial = version.partial
        if self.replicas == self.mesh.ep:
            version.partial = None
            return Partial("tp", self.mesh.ep * self.mesh.expert_tp)
        if self.mesh.sp:
            self.reduce(version)
            partial = None
        self._all_to_all(version.name, version.axes)
        if self.replicas > 1:
            tokens = tuple(axis for axis in version.axes if axis not in self.used)
            self.add(ALL_GATHER, ("tp", self.replicas), "y", FORWARD, tokens)
        return partial

    def _all_to_all(self, name: str, axes: tuple[str, ...]) -> None:
        for phase, tensor in ((FORWARD, name), (BACKWARD, f"d{name}")):
            self.add(ALL_TO_ALL, ("ep", self.mesh.ep), tensor, phase, axes,
                     shards=self.mesh.tp if self.mesh.sp else self.replicas)  # fmt: skip

    # ------------------------------------------------------------------ statistics and logits

    def _statistics(self, equation: Equation) -> None:
        """Record the reduction of the statistics of rows that are divided over ranks, such as those of a norm."""
        rows, count = equation.rows, FUNCTIONS[equation.function].statistics if equation.function else 0
        ranks = self.shards(equation.out.axes) // self.shards(rows)
        if count and ranks > 1:
            name, axes = f"statistics of {equation.out.name}", tuple(a for a in rows if a in equation.out.axes)
            for phase in (FORWARD, BACKWARD):
                self.add(ALL_REDUCE, ("tp", ranks), name, phase, axes, (("n_statistics", count),), bits=FP32_BITS)

    def _logits(self, logits: Version, ranks: int) -> None:
        """Record the vocabulary-parallel loss, or the gathering of the logits in serving."""
        if not self.owner.training:
            division, extent = self.place.declaration.division, self.place.extent
            sizes = ((axis, extent(axis), division(axis) == "vocabulary") for axis in logits.axes)
            padded = tuple((axis, self.mesh.padded(size) if is_divided and isinstance(size, int) else size)
                           for axis, size, is_divided in sizes)  # fmt: skip
            self.add(ALL_GATHER, ("tp", ranks), logits.name, FORWARD, (), padded)
            return
        axes = tuple(axis for axis in logits.axes if self.shards((axis,)) == 1)
        for name in LOSS_REDUCTIONS:
            self.add(ALL_REDUCE, ("tp", ranks), name, FORWARD, axes, bits=FP32_BITS)

    # ------------------------------------------------------------------ records

    def is_sequence(self, axes: tuple[str, ...]) -> bool:
        """Return whether a tensor has one row per token."""
        return "b" in axes and any(axis != "b" and isinstance(self.place.extent(axis), Form) for axis in axes)

    def _is_first(self, key: tuple[object, ...]) -> bool:
        """Return whether a collective with this key has not been recorded."""
        is_first = key not in self.owner.entered
        self.owner.entered.add(key)
        return is_first

    def add(
        self,
        kind: str,
        group: tuple[str, int],
        tensor: str,
        phase: str,
        axes: tuple[str, ...],
        factors: tuple[tuple[str, Extent], ...] = (),
        *,
        shards: int = 1,
        bits: int | None = None,
        times: int = 0,
    ) -> None:
        """Record a collective of a tensor. Gradients are recorded only in the training of a layer that is trained."""
        if phase != FORWARD and not self.has_gradient:
            return
        place, mesh = self.place, self.mesh
        if group[0] == "cp":
            shards *= self.shards(axes)
        elif self.is_sequence(axes):
            shards *= mesh.cp
        if group[0] == "etp" and mesh.sp:
            shards *= mesh.tp // group[1]
        elif group[0] == "etp" and 1 < self.replicas < mesh.ep:
            shards *= self.replicas
        entry, factors = place.entry, (*place.extents(axes), *factors)
        times = times or entry.applied * (mesh.batches if self.owner.training else 1)
        component = entry.layer.component()
        width = bits or (self.owner.gradient_bits if phase == UPDATE else self.owner.bits)
        self.owner.found.append(
            Collective(place, component, kind, *group, tensor, phase, factors, shards, times, width)
        )


def sublayers(places: Iterable[Placed], mesh: Mesh, bits: int, gradient_bits: int, training: bool) -> list[Collective]:
    """Return the collectives of all layers."""
    found: list[Collective] = []
    weights: set[object] = set()
    for _, group in groupby(places, key=lambda place: (place.entry.stack.name, *place.entry[1:4])):
        sublayer = SublayerCollectives(mesh, bits, gradient_bits, training, weights)
        for _, layer in groupby(group, key=lambda place: place.entry.name):
            LayerCollectives(sublayer, list(layer)).follow()
        found += sublayer.collectives()
    return found
