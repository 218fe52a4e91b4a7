"""Placement of an architecture's layers in a NumPy model, and the names of their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..core.architecture import Architecture, Block, Branch, Stack, Sublayer
from ..core.errors import DescriptionError, UnsupportedError
from ..core.zoo_search import find_module
from .coverage import check_fields
from .weights import Array, Sizes, Weight, Weights

NO_MODULES: Mapping[str, Any] = {}


@dataclass(frozen=True)
class PlacedLayer:
    """A layer with its position in the model, the module that runs it, and its weight names."""

    layer: Any
    module: Any
    weights: list[Weight]
    names: dict[str, str]
    keys: tuple[str, ...]
    number: int
    sublayer: int
    sublayer_name: str
    branch: str
    stack: Stack
    block: str

    def weights_in(self, tensors: Mapping[str, Array]) -> Weights:
        """Return the layer's weights from the model's tensors."""
        return Weights({name: tensors[full] for name, full in self.names.items()})


@dataclass(frozen=True)
class PlacedBranch:
    """A branch of a sub-layer, including its norms."""

    pre: PlacedLayer | None
    layer: PlacedLayer
    post: PlacedLayer | None
    joins: str


@dataclass(frozen=True)
class PlacedSublayer:
    """A sub-layer that computes ``x = after(x + scale · post(Σ branches(pre(x))))``."""

    part: Sublayer
    pre: PlacedLayer | None
    branches: tuple[PlacedBranch, ...]
    post: PlacedLayer | None
    after: PlacedLayer | None

    def layers(self) -> Iterator[PlacedLayer]:
        """Yield all layers of the sub-layer, in execution order."""
        inner = (part for branch in self.branches for part in (branch.pre, branch.layer, branch.post))
        yield from (layer for layer in (self.pre, *inner, self.post, self.after) if layer)


@dataclass(frozen=True)
class PlacedStack:
    """A stack with its stored blocks and their execution order."""

    stack: Stack
    inputs: tuple[PlacedLayer, ...]
    blocks: tuple[tuple[PlacedSublayer, ...], ...]
    order: tuple[int, ...]
    outputs: tuple[PlacedLayer, ...]

    def layers(self) -> Iterator[PlacedLayer]:
        """Yield every stored layer once."""
        yield from self.inputs
        for block in self.blocks:
            for sublayer in block:
                yield from sublayer.layers()
        yield from self.outputs

    def input_shape(self, tokens: int) -> Sizes | None:
        """Return the input data shape for a number of tokens, or None if the stack reads token ids."""
        shape_of = getattr(self.inputs[0].module, "input_shape", None) if self.inputs else None
        return shape_of and shape_of(self.inputs[0].layer, tokens)

    @property
    def n_learned_queries(self) -> int:
        """Number of learned queries of a resampler, or 0 if the stack is not a resampler."""
        first: Any = self.inputs[0].layer if self.inputs and self.stack.role == "tower" else None
        if getattr(first, "use", "") != "side_tokens" or not any(hasattr(part.layer, "sees") for part in self.layers()):
            return 0
        return int(first.rows)

    @property
    def takes_handover(self) -> bool:
        """Whether the stack reads patch or byte vectors from the previous stack (see ``PatchHandover``)."""
        asks = any(hasattr(part.layer, "asks") for part in self.layers())
        return bool(self.stack.patch) or (asks and not self.inputs)

    @property
    def input_width(self) -> int:
        """Width of the input vectors."""
        return int(getattr(self.inputs[0].layer if self.inputs else None, "d_in", self.stack.d_model))

    @property
    def vocab(self) -> int:
        """Number of rows of the token table, or of the shortest token table if there are several."""
        tables = [placed.layer for placed in self.inputs if getattr(placed.layer, "table", "") in ("token", "other")]
        looked_up = [table for table in tables if not table.unused and table.use == "tokens" and not id_input(table)]
        return int(min((table.rows for table in looked_up), default=0))


def id_input(layer: Any) -> str:
    """Return the name of the separate id input of an embedding table, or an empty string."""
    ids = getattr(layer, "ids", None)
    return str(ids.own) if ids else ""


def place(architecture: Architecture, modules: Mapping[str, Any] = NO_MODULES) -> list[PlacedStack]:
    """Place every layer of an architecture, naming shared tensors after their first use.

    ``modules`` maps layer kinds that this package does not implement to their modules.

    Unused towers and towers without a NumPy model are omitted, since a text-only pass does not need them.

    Raises:
        UnsupportedError: The architecture lists unmodelled features, or a text stack cannot run, reads an omitted
            tower's output, or has neither token nor data input.
    """
    if architecture.unmodelled:
        reasons = "; ".join(architecture.unmodelled)
        raise UnsupportedError(f"{architecture.name} cannot be run as a NumPy model: {reasons}")
    shared: dict[str, str] = {}
    has_text = any(stack.role != "tower" for stack in architecture.stacks)
    stacks = []
    for stack in architecture.stacks:
        if stack.unused and stack.role == "tower":
            continue
        known = dict(shared)
        try:
            placed = _Placer(stack, known, modules).place_stack()
            if not (placed.vocab or placed.input_shape(1) or placed.n_learned_queries or placed.takes_handover):
                raise UnsupportedError(f"{stack.name} has neither a token table nor data input, so it cannot run")
        except UnsupportedError:
            if stack.role == "tower" and has_text:
                continue
            raise
        shared.update(known)
        stacks.append(placed)
    if len(stacks) < len(architecture.stacks) and not architecture.is_encoder_decoder:
        for layer in (layer.layer for stack in stacks for layer in stack.layers()):
            if getattr(layer, "cross", False) and not layer.unused:
                raise UnsupportedError("the stack reads from a tower that has no NumPy model")
    return stacks


def place_stack(stack: Stack, modules: Mapping[str, Any] = NO_MODULES) -> PlacedStack:
    """Place the layers of one stack. A stack without inputs reads vectors."""
    return _Placer(stack, {}, modules).place_stack()


def omitted_tower_layers(architecture: Architecture, stacks: list[PlacedStack]) -> Iterator[PlacedLayer]:
    """Yield the layers of all towers that are not in ``stacks``, without modules or weights."""
    run = [placed.stack for placed in stacks]
    for stack in architecture.stacks:
        if stack not in run:
            yield from _Outline(stack, {}).place_stack().layers()


class _Placer:
    """Places the layers of one stack. ``shared`` maps the identities of shared tensors to their names."""

    def __init__(self, stack: Stack, shared: dict[str, str], modules: Mapping[str, Any] = NO_MODULES) -> None:
        self.stack, self.shared, self.modules = stack, shared, modules
        self.taken: set[str] = set()
        self.number = 0
        self.block_name = self.shared_as = ""

    def place_stack(self) -> PlacedStack:
        inputs = tuple(self.outer_layer("inputs", *named) for named in self.stack.inputs)
        blocks: list[tuple[PlacedSublayer, ...]] = []
        order: list[int] = []
        for run in self.stack.runs:
            stored = 1 if run.shared else run.count
            order += [len(blocks) + (0 if run.shared else index) for index in range(run.count)]
            blocks += [self.block(run.block) for _ in range(stored)]
        outputs = tuple(self.outer_layer("outputs", *named) for named in self.stack.outputs)
        return PlacedStack(self.stack, inputs, tuple(blocks), tuple(order), outputs)

    def outer_layer(self, section: str, name: str, layer: Any) -> PlacedLayer:
        return self.layer(layer, name, keys=(name, name.rstrip("0123456789"), f"{section}/{layer.kind()}"), branch=name)

    def block(self, block: Block) -> tuple[PlacedSublayer, ...]:
        self.block_name, before = block.name, self.n_stored()
        placed = tuple(self.sublayer(part, self.number, index) for index, part in enumerate(block.sublayers))
        _check_weight_sources([layer for part in placed for layer in part.layers()])
        self.number += self.n_stored() > before
        return placed

    def n_stored(self) -> int:
        """Return the number of weights placed so far. Blocks that add no weights are not numbered."""
        return len(self.taken) + len(self.shared)

    def sublayer(self, part: Sublayer, number: int, index: int) -> PlacedSublayer:
        mixer, sort = part.branches[0].layer.layout_name(), part.name.rstrip("0123456789")
        self.shared_as = part.share

        def norm(layer: Any, name: str, branch: str = "") -> PlacedLayer | None:
            if layer is None:
                return None
            own = () if layer.kind() == "norm" else (f"{sort}/{layer.kind()}", layer.kind())
            keys = (*own, f"{sort}/{name}", f"{mixer}.{name}", f"sublayer{index}.{name}")
            return self.layer(layer, name, part.name, number, index, keys, branch)

        def inner(branch: Branch) -> PlacedBranch:
            own = branch.layer.layout_name()
            layer = self.layer(branch.layer, branch.name, part.name, number, index, (f"{sort}/{own}", own), branch.name)
            pre = norm(branch.pre, f"{branch.name}_pre_norm", branch.name)
            return PlacedBranch(pre, layer, norm(branch.post, f"{branch.name}_post_norm", branch.name), branch.joins)

        pre = norm(part.pre, "pre_norm")
        branches = tuple(inner(branch) for branch in part.branches)
        post, after = norm(part.post, "post_norm"), norm(part.after, "norm")
        self.shared_as = ""
        return PlacedSublayer(part, pre, branches, post, after)

    def layer(
        self,
        layer: Any,
        name: str,
        sublayer: str = "",
        number: int = 0,
        index: int = 0,
        keys: tuple[str, ...] = (),
        branch: str = "",
    ) -> PlacedLayer:
        module, weights = self.implementation(layer)
        if self.shared_as:  # all uses of a shared sub-layer have the same weights
            whole = f".{self.shared_as}.{name}"
            weights = [weight._replace(share=weight.share or f"{whole}.{weight.name}") for weight in weights]
        block = ["blocks", str(number), sublayer] if sublayer else []
        path = [self.stack.name, *block, *([] if name == sublayer else [name])]
        source = getattr(layer, "weights_of", "")
        if source:  # the source norm places and stores the weights
            names = {weight.name: ".".join([self.stack.name, *block[:2], source, weight.name]) for weight in weights}
            weights = []
        else:
            names = {weight.name: self.weight_name(weight, ".".join([*path, weight.name])) for weight in weights}
        return PlacedLayer(
            layer, module, weights, names, keys, number, index, sublayer, branch, self.stack, self.block_name
        )

    def implementation(self, layer: Any) -> tuple[Any, list[Weight]]:
        """Return the module that runs a layer, and the weights of the layer."""
        if layer.kind() in self.modules:
            own = self.modules[layer.kind()]
            return own, own.weights(layer)
        place = find_module("twins", layer.kind())
        if place is None:
            raise UnsupportedError(f"{layer.kind()} layers have no NumPy model, so this architecture cannot be run")
        module = import_module(place)
        check_fields(layer, module)
        return module, module.weights(layer)

    def weight_name(self, weight: Weight, name: str) -> str:
        """Return the full name of a weight, taken from the first use if the weight is shared."""
        if not weight.share:
            if name in self.taken:
                raise DescriptionError(f"two weights are named {name}", hint="rename one of the two layers")
            self.taken.add(name)
            return name
        identity = self.stack.name + weight.share if weight.share.startswith(".") else weight.share
        return self.shared.setdefault(identity, name)


class _Outline(_Placer):
    """Places the layers of a stack that does not run, without modules or weights."""

    n_layers = 0

    def n_stored(self) -> int:
        return self.n_layers

    def implementation(self, layer: Any) -> tuple[Any, list[Weight]]:
        self.n_layers += 1
        return None, []


def _check_weight_sources(block: list[PlacedLayer]) -> None:
    """Check that each norm named by a ``weights_of`` field exists in the block and has matching weights."""
    own = {layer.names[weight.name] for layer in block for weight in layer.weights}
    for layer in block:
        source = getattr(layer.layer, "weights_of", "")
        if source and not own.issuperset(layer.names.values()):
            text = f"weights_of is {source}, but the block has no such norm with matching weights"
            raise DescriptionError(text, where=f"{layer.block}.{layer.sublayer_name}")
