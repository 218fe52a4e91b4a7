"""Scope of a declaration: its weights, and the latest version of each tensor that its equations compute."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ...core.declaration import Tensor
from ...core.equation import Equation, Operand
from ...core.form import Form
from ...core.record import NamedTuple
from ..walk import Extent, Placed
from .recorder import Recorder

MOVES = ("copy", "cast", "gather")  # functions whose input has the same values as the result


class Partial(NamedTuple):
    """Group of ranks with partial sums of a tensor."""

    group: str
    ranks: int


class Version:
    """The latest value of a tensor.

    Attributes:
        name, axes: name and axes of the tensor.
        scope: scope of the equation that computes the tensor.
        partial: ranks that have partial sums of the tensor.
        source: tensor whose elements the tensor consists of, or empty.
        factors: tensors whose product it is, if none of them is a weight.
        is_read: whether an equation reads the partial sums.
    """

    def __init__(self, out: Operand, scope: DeclarationScope, partial: Partial | None = None, source: str = "") -> None:
        self.name, self.axes, self.scope, self.partial, self.source = out.name, out.axes, scope, partial, source
        self.factors: tuple[str, ...] = ()
        self.is_read = False

    def copied(self, recorder: Recorder, place: Placed, partial: Partial | None) -> Version:
        """Return the same tensor of an equal layer in another place."""
        scope = DeclarationScope(recorder, place, self.scope.input_place)
        return Version(Operand(self.name, self.axes), scope, partial)


class DeclarationScope:
    """Equations of one declaration in its place, their weights, and the latest version of each tensor.

    Attributes:
        recorder: collectives of the model.
        weights: weights of the declaration, by name.
        used: axes of the experts that each token uses.
        versions: latest version of each tensor, by name.
        in_experts: tensors with one row per token and expert.
        input_place: identity of the input, which parallel branches and inner layers can share, or None if an outer
            declaration computes it.
    """

    def __init__(self, recorder: Recorder, place: Placed, input_place: tuple[object, ...] | None) -> None:
        self.recorder, self.mesh, self.place, self.declaration = recorder, recorder.mesh, place, place.declaration
        self.input_place = input_place
        self.weights = {tensor.name: tensor for tensor in self.declaration.tensors}
        self.used = {tensor.active[1] for tensor in self.weights.values() if self.is_expert(tensor) and tensor.active}
        self.versions: dict[str, Version] = {}
        self.in_experts: set[str] = set()
        self._made_of: dict[str, tuple[Tensor, ...]] = {}  # weights from which tensors without a batch are computed

    # ------------------------------------------------------------------ tensors

    def is_expert(self, tensor: Tensor | None) -> bool:
        """Return whether expert parallelism divides a weight."""
        active = tensor.active if tensor else None
        return active is not None and self.declaration.division(active[0]) in ("expert", "null_experts")

    def shards(self, axes: tuple[str, ...]) -> int:
        """Return the number of ranks over which tensor parallelism divides a tensor."""
        return self.recorder.shards(axes, self.declaration)

    def is_sequence(self, axes: tuple[str, ...]) -> bool:
        """Return whether a tensor has one row per token."""
        return "b" in axes and any(axis != "b" and isinstance(self.place.extent(axis), Form) for axis in axes)

    def axes_of(self, operand: Operand) -> tuple[str, ...]:
        """Return the axes of an operand, which functions do not repeat."""
        version = self.versions.get(operand.name)
        return operand.axes or (version.axes if version else ())

    def weights_of(self, name: str) -> tuple[Tensor, ...]:
        """Return the weights from which a tensor without a batch is computed."""
        return self._made_of.get(name) or ((self.weights[name],) if name in self.weights else ())

    @property
    def replicas(self) -> int:
        """Number of ranks of an expert-parallel group that have the same tokens."""
        return 1 if self.mesh.sp else min(self.mesh.ep, max(self.mesh.tp // self.mesh.expert_tp, 1))

    @property
    def has_all_tokens(self) -> bool:
        """Whether each rank of an expert-parallel group has all tokens, and computes those of its own experts."""
        return self.replicas == self.mesh.ep

    @property
    def sends_shares(self) -> bool:
        """Whether each of the ranks with the same tokens sends a share of the tokens to experts on other ranks."""
        return self.replicas > 1 and not self.has_all_tokens

    def expert_group(self, n_shards: int | None = None) -> tuple[str, int]:
        """Return the group of ranks that compute different experts, or parts of an expert, for the same tokens.

        An expert has ``n_shards`` parts (default: one on each rank that stores a part of it).
        """
        return "tp", self.mesh.ep * (n_shards or self.mesh.expert_tp)

    # ------------------------------------------------------------------ versions

    def compute(self, equation: Equation, partial: Partial | None) -> Version:
        """Add the version that an equation computes."""
        out, names = equation.out, [operand.name for operand in equation.operands]
        if "b" not in out.axes:
            self._made_of[out.name] = tuple(dict.fromkeys(w for name in names for w in self.weights_of(name)))
        earlier = self.versions.get(out.name)
        is_part = equation.function and out.name in names  # a part of the tensor changes
        if earlier and is_part and self._is_larger(earlier.axes, out.axes):
            out = Operand(out.name, earlier.axes)
        version = self.versions[out.name] = Version(out, self, partial, self._source(equation))
        if equation.function is None and not self.weights.keys() & {*names}:
            version.factors = tuple(names)
        return version

    def _source(self, equation: Equation) -> str:
        """Return the name of the tensor whose elements a result consists of, if it has no other elements."""
        moved = [operand.name for operand in equation.operands if operand.name not in self.weights]
        if equation.function not in MOVES or len(moved) != 1 or moved[0] == equation.out.name:
            return ""
        version, axes = self.versions.get(moved[0]), equation.out.axes
        if version is None:
            return moved[0]
        is_joined = not {*version.axes} <= {*axes} and self._is_larger(axes, version.axes)  # with other elements
        return "" if is_joined or self._is_larger(version.axes, axes) else moved[0]

    def _is_larger(self, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        """Return whether a tensor is larger than another one. Axes that depend on the workload are not compared."""
        return self._fixed_size({*one} - {*other}) > self._fixed_size({*other} - {*one})

    def _fixed_size(self, axes: Iterable[str]) -> int:
        extents = (self.place.extent(axis) for axis in axes if axis in self.declaration.axes)  # not of inner layers
        return prod(extent for extent in extents if isinstance(extent, int))

    # ------------------------------------------------------------------ collectives

    def is_first(self, *key: object) -> bool:
        """Return whether no collective of this layer with this key has been recorded yet."""
        return self.recorder.is_first(self.place.entry.path, self.place.part, *key)

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
    ) -> None:
        """Record a collective of a tensor with the given axes, and perhaps additional factors."""
        mesh = self.mesh
        if group[0] == "cp":
            shards *= self.shards(axes)
        elif self.is_sequence(axes):
            shards *= mesh.cp
        if group[0] == "etp":
            shards *= mesh.tp // group[1] if mesh.sp else self.replicas
        factors = (*self.place.extents(axes), *factors)
        self.recorder.add(self.place, kind, group, tensor, phase, factors, shards=shards, bits=bits)
