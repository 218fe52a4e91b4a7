"""Operations of each layer, made of the groups of its equations (``layer_groups.py``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from ..calc.kernels import ACTIVATIONS, CACHE, STATE
from ..calc.kv_cache import CACHED
from ..calc.sharding import TENSOR_DIVISIONS, Mesh
from ..calc.walk import Conventions, Placed
from ..calc.work import Work, works_by_layer
from ..core.architecture import Architecture, declare
from ..core.equation import Equation, Operand
from ..core.form import Form, lift, product
from ..core.ledger import elements
from ..core.record import OF_LAYERS, changed, remembered
from ..core.type_names import Any
from .layer_groups import Key, LayerGroups, Moved
from .operations import (
    CONVOLVED,
    RECURRENT,
    Attention,
    Convolution,
    Elementwise,
    Gemm,
    GroupedGemm,
    Operation,
    Scan,
    Weight,
)

_NOTHING = dict.fromkeys((ACTIVATIONS, CACHE, STATE), lift(0))


def operations(architecture: Architecture, mesh: Mesh, conventions: Conventions) -> tuple[Operation, ...]:
    """Return the operations of one step on one rank of a mesh, in execution order. Equal blocks are listed once."""
    found: list[Operation] = []
    for layer in works_by_layer(architecture, conventions):
        for numbers, operation in layer_operations(architecture, layer, mesh):
            found.append(changed(operation, place=layer[0].place, works=tuple(map(layer.__getitem__, numbers))))
    return tuple(found)


def layer_operations(
    architecture: Architecture, layer: list[Work], mesh: Mesh, training: bool = False
) -> list[tuple[list[int], Operation]]:
    """Return the operations of a layer with the numbers of their equations, found once for equal layers.

    In training, the elements that operations move are those of the forward and the backward pass.
    """
    place = layer[0].place
    key = (*layer_key(place), _moved_states(place), training)  # of which the groups keep the ids
    groups = remembered(architecture, f"{OF_LAYERS}_groups", key, lambda: LayerGroups(layer, training))
    return remembered(
        architecture, f"{OF_LAYERS}_operations", (*key, mesh.division_of(place.declaration)),
        lambda: list(_LayerOperations(groups, mesh).operations()),
    )  # fmt: skip


def layer_key(place: Placed) -> Key:
    """Return the identity of a layer, which equal layers share because they have the same declaration."""
    return id(declare(place.entry.layer)), *place.identity


def _moved_states(place: Placed) -> str:
    """Return the phase of a step, or an empty string for a layer that moves the same states in both phases."""
    states = place.declaration.states
    return place.conventions.phase if any(state.role not in CACHED or state.tags for state in states) else ""


def divided(count: Form, ranks: int) -> Form:
    """Return a closed form divided by a number of ranks. Coefficients are rounded up."""
    return count if ranks == 1 else Form({atoms: -(-factor // ranks) for atoms, factor in count.terms.items()})


class _LayerOperations:
    """Makes operations of the groups of a layer's equations on one layout."""

    def __init__(self, layer: LayerGroups, mesh: Mesh) -> None:
        self.layer, self.mesh, self.place, self.declaration = layer, mesh, layer.place, layer.declaration
        self.weights = layer.weights
        self._shards: dict[tuple[str, ...], int] = {}

    def shards(self, axes: Iterable[str]) -> int:
        """Return the number of ranks over which tensor parallelism divides a tensor."""
        key = tuple(axes)
        if key not in self._shards:
            self._shards[key] = self.mesh.shards(key, self.declaration)
        return self._shards[key]

    def operations(self) -> Iterator[tuple[list[int], Operation]]:
        """Yield the operations of the layer, each with the numbers of its equations."""
        layer = self.layer
        groups = layer.groups({number: tuple(map(self.shards, roles)) for number, roles in layer.roles.items()})
        moved = self.moved_elements(layer.moved(groups))
        for group, (kind, numbers) in enumerate(groups):
            counted, members = moved.get(group, _NOTHING), [layer.works[number] for number in numbers]
            read = self.read_weights(members)
            classes = [layer.number_class(weight.tensor) for weight in read]
            common: dict[str, Any] = {
                "place": self.place, "works": tuple(members), "weights": read,
                "activations": counted[ACTIVATIONS], "cached": counted[CACHE], "states": counted[STATE],
                "number_class": max(classes, key=classes.count, default=""),
            }  # fmt: skip
            yield numbers, _READERS[kind](self, numbers if kind is Gemm else members, common)

    def moved_elements(self, moved: list[Moved]) -> dict[int, dict[str, Form]]:
        """Return the number of elements that each group reads and writes on one rank, by kind of tensor."""
        found: dict[int, dict[str, Form]] = {}
        for each in moved:
            totals = found.setdefault(each.group, dict(_NOTHING))
            ranks = self.shards(each.axes)
            if ranks == 1 and self.mesh.sp:  # ranks have different tokens
                ranks = self.mesh.tp
            totals[each.kind] += divided(each.elements, ranks)
        return found

    def read_weights(self, members: list[Work]) -> tuple[Weight, ...]:
        """Return the weights that equations read, except rows of tables."""
        read = {
            operand.name: operand
            for work in members
            for operand in work.equation.operands
            if operand.name in self.weights and work.equation.function != "gather"
        }
        return tuple(Weight(self.weights[name], self.share(operand)) for name, operand in read.items())

    def share(self, operand: Operand) -> int:
        """Return the number of elements of a weight that a rank reads, such as one of several adapters."""
        tensor = self.weights[operand.name]
        own = self.mesh.share_of_weight(tensor, self.declaration, elements(tensor, self.declaration))
        return own // self.layer.size(axis for axis in tensor.axes if operand.axes and axis not in operand.axes)

    def own_flops(self, members: list[Work]) -> Form:
        """Return the FLOPs of the contractions of a group on one rank."""
        total = lift(0)
        for work in members:
            if work.matmul:
                total += divided(work.flops, self.shards(work.equation.loops))
        return total

    def lengths(self, roles: tuple[tuple[str, ...], ...], routed: bool = False) -> list[int]:
        """Return the lengths of groups of axes of a weight on one rank, of which tensor parallelism divides one."""
        found = []
        division, length_of = self.declaration.division, self.declaration.axes
        for axes in roles:
            ranks, length = 1, 1
            for axis in axes:
                own = int(length_of[axis])
                if division(axis) in TENSOR_DIVISIONS:
                    ranks = max(ranks, self.mesh.divisor(self.declaration, axis, routed))
                    own = self.mesh.padded(own) if division(axis) == "vocabulary" else own
                length *= own
            found.append((ranks, length))
        most = max(ranks for ranks, _ in found)
        divided = next(place for place, (ranks, _) in enumerate(found) if ranks == most)
        return [length // ranks if place == divided else length for place, (ranks, length) in enumerate(found)]

    def product_of(self, axes: Iterable[str]) -> Form:
        """Return the number of elements of a tensor with these axes on one rank. Visible pairs replace q and k."""
        return divided(product(extent for _, extent in self.place.extents(tuple(axes))), self.shards(axes))

    def gemm(self, numbers: list[int], common: dict[str, Any]) -> Operation:
        """Return the product that merged contractions of the same activation are."""
        columns = 0
        for number in numbers:
            roles = self.layer.roles[number]
            batch, outer, inner = self.lengths(roles)
            columns += outer
        used = {axis for axes in roles for axis in axes}
        rows = self.product_of(tuple(axis for axis in common["works"][-1].equation.loops if axis not in used))
        return Gemm(**common, rows=rows, columns=columns, inner=inner, batch=batch)

    def grouped(self, members: list[Work], common: dict[str, Any]) -> Operation:
        """Return the products with the matrices of the chosen experts."""
        matrices: list[tuple[int, int]] = []
        tokens, whole, used = lift(0), "", ""
        for work in members:
            equation = work.equation
            weight = next((operand for operand in equation.operands if operand.name in self.weights), None)
            if not (work.matmul and weight and {*weight.axes} & {*self.layer.experts}):
                continue
            whole = next(axis for axis in weight.axes if axis in self.layer.experts)
            used = self.layer.experts[whole]
            inner, outer = (
                tuple(axis for axis in weight.axes if axis != whole and (axis in equation.contracted) is is_summed)
                for is_summed in (True, False)
            )
            own_outer, own_inner = self.lengths((outer, inner), routed=True)
            matrices.append((own_inner, own_outer))
            tokens = self.layer.rows(equation.out.axes)
        if not matrices:
            return self.elementwise(members, common)
        experts, chosen = (int(self.declaration.axes[axis]) for axis in (whole, used))
        return GroupedGemm(**common, tokens=tokens, experts=experts, chosen=chosen, matrices=tuple(matrices))

    def attention(self, members: list[Work], common: dict[str, Any]) -> Operation:
        """Return the attention of a fused kernel. Scores are contractions with keys, and sums over keys follow."""
        layer = self.layer
        products = [work.equation for work in members if work.equation.function is None]
        summed = {axis for each in products for axis in each.contracted} - layer.fixed
        keys = summed or layer.kernels.key_axes or {"k"}
        scores, sums = self.reads_of_keys(products, frozenset(keys))
        if not scores:
            return self.elementwise(members, common)
        first, stored = scores[0]
        pairs = self.token_pairs(first)
        counted = [each for each, _ in (*scores, *sums) if self.token_pairs(each) == pairs]
        heads = self.own_size(first.out.axes)
        tensors = {operand.name: self.own_size(operand.axes) for _, operand in (*scores, *sums)}
        return Attention(
            **common,
            sequences=lift(self.place.extent("b")),
            queries=layer.rows(axis for axis in self.token_axes(first.out.axes) if axis not in keys),
            pairs=pairs,
            heads=heads,
            key_heads=self.own_size(axis for axis in stored.axes if axis not in first.contracted),
            key_width=sum(layer.size(each.contracted) for each, _ in scores if each in counted),
            value_width=sum(self.own_size(each.out.axes) for each, _ in sums if each in counted) // heads,
            key_elements=sum(tensors.values()),
            other_flops=self.own_flops([work for work in members if work.equation not in counted]),
            is_latent=not {each.name for _, each in scores}.isdisjoint(each.name for _, each in sums),
            is_expanded=bool(self.place.entry.layer.STORED.head_keys) and not self.place.part,
        )

    def reads_of_keys(
        self, products: Iterable[Equation], keys: frozenset[str]
    ) -> tuple[list[tuple[Equation, Operand]], list[tuple[Equation, Operand]]]:
        """Return the contractions with tensors of cached tokens that compute scores, and those that sum over keys."""
        scores: list[tuple[Equation, Operand]] = []
        sums: list[tuple[Equation, Operand]] = []
        for each in products:
            queries = {*self.token_axes(each.out.axes)} - keys
            for operand in each.operands:
                if keys & {*operand.axes} and not queries & {*operand.axes}:
                    (sums if keys & {*each.contracted} else scores).append((each, operand))
        return scores, sums

    def token_axes(self, axes: Iterable[str]) -> tuple[str, ...]:
        """Return those of some axes whose length depends on the number of tokens."""
        return tuple(axis for axis in axes if axis != "b" and axis not in self.layer.fixed)

    def token_pairs(self, equation: Equation) -> Form:
        """Return the number of query-key pairs per sequence of an equation."""
        return product(length for _, length in self.place.extents(self.token_axes(equation.loops)))

    def own_size(self, axes: Iterable[str]) -> int:
        """Return the number of elements per token of a tensor on one rank."""
        own = [axis for axis in axes if axis in self.layer.fixed]
        return -(-self.layer.size(own) // self.shards(own))

    def state_elements(self, role: str) -> int:
        """Return the number of elements per sequence of the layer's states with a role on one rank."""
        return sum(self.own_size(state.axes) for state in self.place.states if state.role == role)

    def scan(self, members: list[Work], common: dict[str, Any]) -> Operation:
        """Return a recurrence with its state."""
        return Scan(
            **common,
            sequences=lift(self.place.extent("b")),
            tokens=lift(self.place.extent("q")),
            state_elements=self.state_elements(RECURRENT),
            flops=self.own_flops(members),
        )

    def convolution(self, members: list[Work], common: dict[str, Any]) -> Operation:
        """Return the depthwise convolutions of a layer as one operation."""
        channels = taps = 0
        for work in members:
            weight = next(operand for operand in work.equation.operands if operand.name in self.weights)
            channels += self.own_size(work.equation.out.axes)
            taps = max(taps, self.layer.size(axis for axis in weight.axes if axis in work.equation.contracted))
        tokens = self.layer.rows(axis for axis in members[0].equation.out.axes if axis != "b")
        return Convolution(
            **common, sequences=lift(self.place.extent("b")), tokens=tokens, channels=channels, taps=taps,
            state_elements=self.state_elements(CONVOLVED),
        )  # fmt: skip

    def elementwise(self, members: list[Work], common: dict[str, Any]) -> Operation:
        """Return a sequence of functions and small contractions."""
        return Elementwise(**common, flops=self.own_flops(members))


_READERS: Mapping[type[Operation], Callable[..., Operation]] = {
    Gemm: _LayerOperations.gemm,
    GroupedGemm: _LayerOperations.grouped,
    Attention: _LayerOperations.attention,
    Scan: _LayerOperations.scan,
    Convolution: _LayerOperations.convolution,
    Elementwise: _LayerOperations.elementwise,
}
