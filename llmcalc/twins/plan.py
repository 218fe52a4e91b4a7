"""Where each layer of a model stands, and the logical names of its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from ..core.architecture import Architecture, Block, Branch, Stack, Sublayer
from ..core.errors import DescriptionError, UnsupportedError
from ..core.search_path import find_module
from .coverage import check_fields
from .weights import Array, Sizes, Weight, Weights


@dataclass(frozen=True)
class Placed:
    """A layer in its place: the module that runs it, its weights, and each one's name in the model."""

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
        """The layer's arrays, found among those of the model."""
        return Weights({name: tensors[full] for name, full in self.names.items()})


@dataclass(frozen=True)
class PlacedBranch:
    """A branch of a sub-layer with the norms of its own."""

    pre: Placed | None
    layer: Placed
    post: Placed | None
    joins: str


@dataclass(frozen=True)
class PlacedSublayer:
    """``x = after(x + scale · post(Σ branches(pre(x))))``."""

    name: str
    pre: Placed | None
    branches: tuple[PlacedBranch, ...]
    post: Placed | None
    after: Placed | None
    residual: bool
    scale: float
    residual_scale: float
    residual_normed: bool
    depth_scaled: bool
    input_from: str
    residual_from: str
    concat_input: bool

    def layers(self) -> Iterator[Placed]:
        """All its layers, in the order in which they run."""
        inner = (part for branch in self.branches for part in (branch.pre, branch.layer, branch.post))
        yield from (layer for layer in (self.pre, *inner, self.post, self.after) if layer)


@dataclass(frozen=True)
class PlacedStack:
    """A stack: its blocks as they are stored, and the order in which they are applied."""

    stack: Stack
    inputs: tuple[Placed, ...]
    blocks: tuple[tuple[PlacedSublayer, ...], ...]
    order: tuple[int, ...]
    outputs: tuple[Placed, ...]

    def layers(self) -> Iterator[Placed]:
        """All layers, each stored one once."""
        yield from self.inputs
        for block in self.blocks:
            for sublayer in block:
                yield from sublayer.layers()
        yield from self.outputs

    def data(self, tokens: int) -> Sizes | None:
        """The shape of what so many of its tokens are made of; None: they are looked up in a table."""
        first = self.inputs[0] if self.inputs else None
        if first is None or not hasattr(first.module, "data"):
            return None
        found: Sizes | None = first.module.data(first.layer, tokens)
        return found

    @property
    def n_asking(self) -> int:
        """Learned vectors that a tower begins with, which look at what another one gives; 0: it begins otherwise."""
        first: Any = self.inputs[0].layer if self.inputs and self.stack.role == "tower" else None
        if getattr(first, "use", "") != "side_tokens" or not any(hasattr(part.layer, "sees") for part in self.layers()):
            return 0
        return int(first.rows)

    @property
    def is_handed(self) -> bool:
        """Whether it runs on what the stack before it has made of the text: on patches, or on bytes behind them."""
        return bool(self.stack.patch) or (
            not self.inputs and any(hasattr(part.layer, "asks") for part in self.layers())
        )

    @property
    def width_in(self) -> int:
        """The width of what is handed to it."""
        first = self.inputs[0].layer if self.inputs else None
        return int(getattr(first, "d_in", self.stack.d_model))

    @property
    def vocab(self) -> int:
        """Rows of the token table, or of the shortest of several."""
        tables = [placed.layer for placed in self.inputs if getattr(placed.layer, "table", "") in ("token", "other")]
        looked_up = [table for table in tables if not table.unused and table.use == "tokens" and not table.own_ids]
        return int(min((table.rows for table in looked_up), default=0))


def place(architecture: Architecture) -> list[PlacedStack]:
    """Every layer of an architecture in its place; a shared tensor goes by the name of its first place.

    A tower that has no NumPy model, or is stored alone, is left out: a text without images does without it.

    Raises:
        UnsupportedError: a stack of text that cannot be run, or that reads what only such a tower could give; one that
            starts from neither tokens nor data; or what changes results is known not to be described.
    """
    if architecture.unmodelled:
        reasons = "; ".join(architecture.unmodelled)
        raise UnsupportedError(f"{architecture.name} is counted, but not run: {reasons}")
    shared: dict[str, str] = {}
    texts = [stack for stack in architecture.stacks if stack.role != "tower"]
    stacks = []
    for stack in architecture.stacks:
        idle = stack.unused and stack.role == "tower"
        placed = None if idle else _placed(stack, shared, left_out=bool(texts) and stack.role == "tower")
        stacks += [placed] if placed else []
    if len(stacks) < len(architecture.stacks) and not architecture.is_encoder_decoder:
        _check_sources(stacks)
    return stacks


def _placed(stack: Stack, shared: dict[str, str], left_out: bool) -> PlacedStack | None:
    """A stack's layers in their places; None: it cannot be run, and may be left out."""
    known = dict(shared)
    try:
        placed = _Placer(stack, known).placed()
        if not (placed.vocab or placed.data(1) or placed.n_asking or placed.is_handed):
            raise UnsupportedError(f"{stack.name} has no table of tokens, so there is nothing to run it on")
    except UnsupportedError:
        if left_out:
            return None
        raise
    shared.update(known)
    return placed


def left_out(architecture: Architecture, stacks: list[PlacedStack]) -> Iterator[Placed]:
    """Every layer of the towers that are not among ``stacks``, without what would run it and without weights."""
    run = [placed.stack for placed in stacks]
    for stack in architecture.stacks:
        if stack not in run:
            yield from _Outline(stack, {}).placed().layers()


def _check_sources(stacks: list[PlacedStack]) -> None:
    """Raise an UnsupportedError if a layer reads what only a tower could give."""
    for layer in (placed.layer for stack in stacks for placed in stack.layers()):
        if getattr(layer, "cross", False) and not layer.unused:
            raise UnsupportedError("it reads what a tower gives that has no NumPy model; it is not run")


class _Placer:
    """Names the weights of one stack; ``shared`` maps the identity of a shared tensor to its name."""

    def __init__(self, stack: Stack, shared: dict[str, str]) -> None:
        self.stack, self.shared = stack, shared
        self.taken: set[str] = set()
        self.number = 0
        self.block_name = self.shared_as = ""

    def placed(self) -> PlacedStack:
        inputs = tuple(self.outer("inputs", *named) for named in self.stack.inputs)
        blocks: list[tuple[PlacedSublayer, ...]] = []
        order: list[int] = []
        for run in self.stack.runs:
            stored = 1 if run.shared else run.count
            order += [len(blocks) + (0 if run.shared else index) for index in range(run.count)]
            blocks += [self.block(run.block) for _ in range(stored)]
        outputs = tuple(self.outer("outputs", *named) for named in self.stack.outputs)
        return PlacedStack(self.stack, inputs, tuple(blocks), tuple(order), outputs)

    def outer(self, section: str, name: str, layer: Any) -> Placed:
        keys = (name, name.rstrip("0123456789"), f"{section}/{layer.kind()}")
        return self.layer(layer, name, keys=keys, branch=name)

    def block(self, block: Block) -> tuple[PlacedSublayer, ...]:
        self.block_name, before = block.name, self.stored()
        placed = tuple(self.sublayer(part, self.number, index) for index, part in enumerate(block.sublayers))
        _check_lenders([layer for part in placed for layer in part.layers()])
        self.number += self.stored() > before
        return placed

    def stored(self) -> int:
        """Weights that have a place so far; a block that adds none has no number of its own."""
        return len(self.taken) + len(self.shared)

    def sublayer(self, part: Sublayer, number: int, index: int) -> PlacedSublayer:
        mixer, sort = _called(part.branches[0].layer), part.name.rstrip("0123456789")
        self.shared_as = part.share

        def norm(layer: Any, name: str, branch: str = "") -> Placed | None:
            if layer is None:
                return None
            own = () if layer.kind() == "norm" else (f"{sort}/{layer.kind()}", layer.kind())
            keys = (*own, f"{sort}/{name}", f"{mixer}.{name}", f"sublayer{index}.{name}")
            return self.layer(layer, name, part.name, number, index, keys, branch)

        def inner(branch: Branch) -> PlacedBranch:
            keys = (f"{sort}/{_called(branch.layer)}", _called(branch.layer))
            layer = self.layer(branch.layer, branch.name, part.name, number, index, keys, branch.name)
            pre = norm(branch.pre, f"{branch.name}_pre_norm", branch.name)
            return PlacedBranch(pre, layer, norm(branch.post, f"{branch.name}_post_norm", branch.name), branch.joins)

        pre = norm(part.pre, "pre_norm")
        branches = tuple(inner(branch) for branch in part.branches)
        post, after = norm(part.post, "post_norm"), norm(part.after, "norm")
        self.shared_as = ""
        sums = (part.residual, part.scale, part.residual_scale, part.residual_normed, part.depth_scaled)
        return PlacedSublayer(
            part.name, pre, branches, post, after, *sums, part.input_from, part.residual_from, part.concat_input
        )

    def layer(
        self,
        layer: Any,
        name: str,
        sublayer: str = "",
        number: int = 0,
        index: int = 0,
        keys: tuple[str, ...] = (),
        branch: str = "",
    ) -> Placed:
        module = _module(layer.kind())
        check_fields(layer, module)
        weights = module.weights(layer)
        if self.shared_as:  # all places of a shared sub-layer hold the same weights
            whole = f".{self.shared_as}.{name}"
            weights = [
                weight if weight.share else weight._replace(share=f"{whole}.{weight.name}") for weight in weights
            ]
        block = ["blocks", str(number), sublayer] if sublayer else []
        path = [self.stack.name, *block, *([] if name == sublayer else [name])]
        lender = _lender(layer)
        if lender:  # whose weights they are places and stores them
            names = {weight.name: ".".join([self.stack.name, *block[:2], lender, weight.name]) for weight in weights}
            weights = []
        else:
            names = {weight.name: self.named(weight, ".".join([*path, weight.name])) for weight in weights}
        return Placed(layer, module, weights, names, keys, number, index, sublayer, branch, self.stack, self.block_name)

    def named(self, weight: Weight, name: str) -> str:
        """The name that a weight goes by: that of its first place, if it is shared."""
        if not weight.share:
            if name in self.taken:
                raise DescriptionError(f"two weights are called {name}", hint="give one of the two layers another name")
            self.taken.add(name)
            return name
        identity = self.stack.name + weight.share if weight.share.startswith(".") else weight.share
        return self.shared.setdefault(identity, name)


class _Outline(_Placer):
    """Places the layers of a stack without their weights; each is one that is stored."""

    n_layers = 0

    def stored(self) -> int:
        return self.n_layers

    def layer(
        self,
        layer: Any,
        name: str,
        sublayer: str = "",
        number: int = 0,
        index: int = 0,
        keys: tuple[str, ...] = (),
        branch: str = "",
    ) -> Placed:
        self.n_layers += 1
        return Placed(layer, None, [], {}, keys, number, index, sublayer, branch, self.stack, self.block_name)


def _lender(layer: Any) -> str:
    """Where in the block the norm stands whose weights a layer uses; empty: it has its own."""
    return getattr(layer, "weights_of", "")


def _check_lenders(block: list[Placed]) -> None:
    """Raise a DescriptionError unless a block has the weights that its layers use of each other."""
    own = {layer.names[weight.name] for layer in block for weight in layer.weights}
    for layer in block:
        if _lender(layer.layer) and not own.issuperset(layer.names.values()):
            where = f"{layer.block}.{layer.sublayer_name}"
            text = f"weights_of is {_lender(layer.layer)}, but the block has no such norm with the same weights"
            raise DescriptionError(text, where=where)


def _module(kind: str) -> ModuleType:
    place = find_module("twins", kind)
    if place is None:
        raise UnsupportedError(f"the kind {kind} has no NumPy model, so this architecture cannot be run")
    return import_module(place)


def _called(layer: Any) -> str:
    """What layouts call a layer."""
    return "cross_attention" if getattr(layer, "cross", False) else str(layer.kind())
