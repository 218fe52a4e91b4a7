"""An architecture: stacks of blocks of sub-layers, each a layer kind with its norms.

Architecture
├── Stack "encoder"             inputs (tables, projections, norms) → runs of blocks → outputs (norm, head)
│   └── Run  12 × Block         consecutive equal blocks, stored once each (or one for all: ``shared``)
│       └── Sublayer            x + scale · post(Σ branches(pre(x))), then ``after``
│           └── Branch          a layer with norms of its own; more than one run in parallel
└── Stack "decoder" ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from .declaration import Declaration
from .errors import SizeError
from .layer import Layer
from .notebook_display import Shown
from .record import fields, record

_WORD = re.compile(r"\w+")
NO_INPUTS: dict[str, Any] = {}  # shared, never written to


class Named(NamedTuple):
    """A layer and the name it goes by within its stack or sub-layer."""

    name: str
    layer: Layer


@record
class Branch:
    """A mixer or feed-forward layer of a sub-layer, with norms of its own (before and after it).

    ``joins`` names a later sub-layer of the block: the result is added to the stream behind that one, not behind the
    branch's own (shortcut-connected experts [cai2024]).
    """

    name: str
    layer: Layer
    pre: Layer | None = None
    post: Layer | None = None
    joins: str = ""


@record
class Sublayer:
    """``x = after(x + scale · post(Σ branch(pre(x))))``; a norm that is None is left out.

    Pre-norm models set ``pre``, post-norm models ``after``, Gemma's sandwich ``pre`` and ``post``. ``residual`` False:
    nothing is added back. Sub-layers of one ``share`` hold the same tensors, wherever they stand (Zamba). ``scale`` is
    a constant on what is added (Granite), ``residual_scale`` one on what it is added to, which is the stream behind
    ``pre`` where ``residual_normed`` (MiniMax). ``by_depth``: the result and what it is added to weigh ``√(1/n)`` and
    ``√((n - 1)/n)`` in the stack's n-th sum, the first of which is the second (Beam).

    ``reads`` and ``residual_from`` name an earlier sub-layer of the block, or this one: what is read, or what the
    result is added to, is the stream as it was before that one. ``beside_first``: what is read stands beside what the
    first block gets, as one vector of twice the width (Zamba).
    """

    name: str
    branches: tuple[Branch, ...]
    pre: Layer | None = None
    post: Layer | None = None
    after: Layer | None = None
    residual: bool = True
    share: str = ""
    scale: float = 1.0
    residual_scale: float = 1.0
    residual_normed: bool = False
    by_depth: bool = False
    reads: str = ""
    residual_from: str = ""
    beside_first: bool = False

    def layers(self) -> Iterator[Named]:
        """All layers in the order in which they run, norms included."""
        if self.pre:
            yield Named("pre_norm", self.pre)
        for branch in self.branches:
            if branch.pre:
                yield Named(f"{branch.name}_pre_norm", branch.pre)
            yield Named(branch.name, branch.layer)
            if branch.post:
                yield Named(f"{branch.name}_post_norm", branch.post)
        if self.post:
            yield Named("post_norm", self.post)
        if self.after:
            yield Named("norm", self.after)


@record
class Block:
    """What is repeated: an ordered list of sub-layers."""

    name: str
    sublayers: tuple[Sublayer, ...]

    def __post_init__(self) -> None:
        names = [sublayer.name for sublayer in self.sublayers]
        for place, sublayer in enumerate(self.sublayers):
            for key in ("reads", "residual_from"):
                self._must_be_one_of(names[: place + 1], getattr(sublayer, key), sublayer, key)
            if sublayer.residual_from and not sublayer.residual:
                raise SizeError(f"{sublayer.name} has a residual_from, but no residual", where=self.name)
            for branch in sublayer.branches:
                self._must_be_one_of(names[place + 1 :], branch.joins, sublayer, "joins")
            if all(branch.joins for branch in sublayer.branches):
                raise SizeError(f"no branch of {sublayer.name} is left; one of them joins nothing", where=self.name)

    def _must_be_one_of(self, names: list[str], named: str, sublayer: Sublayer, key: str) -> None:
        if named and names.count(named) != 1:
            side = "after" if key == "joins" else "before"
            raise SizeError(f"{key} of {sublayer.name} is {named}; it names one sub-layer {side} it", where=self.name)


@record
class Run:
    """``count`` consecutive equal blocks. ``shared``: one block applied ``count`` times (ALBERT, Zamba)."""

    block: Block
    count: int
    shared: bool = False


@record
class Stack:
    """One residual stream. ``role`` says whose tokens it sees: ``decoder`` (the main one), ``side`` (the same, for the
    main one to use), ``encoder`` (the source of cross-attention) or ``tower`` (patches or frames).

    ``patch``: it runs on patches of so many tokens each; as torch executes it, on one for each token and
    ``spare_patches`` more. ``frozen``: it is not trained. ``unused``: it is stored, but never run.
    ``reversible``: it has two residual streams, equal at first; sub-layers read one and add to the other, in turns, and
    the outputs read both side by side (Reformer [kitaev2020, Section 3]).

    ``in_text``, of a tower: each vector that it gives takes the place of a token that marks it.

    ``tokens``, of a tower: how many of them its blocks get, an expression of ``a``, the frames of sound, such as
    ``ceil(a, 2)``, or of ``p``, the patches of images; empty: each patch is one.
    """

    name: str
    d_model: int
    inputs: tuple[Named, ...]
    runs: tuple[Run, ...]
    outputs: tuple[Named, ...]
    role: str = "decoder"
    tokens: str = ""
    patch: int | None = None
    spare_patches: int = 0
    frozen: bool = False
    unused: bool = False
    reversible: bool = False
    in_text: bool = False

    @property
    def n_layers(self) -> int:
        """Blocks, each application counted."""
        return sum(run.count for run in self.runs)

    @property
    def hears(self) -> bool:
        """Whether it is a tower for sound: its tokens are made of frames."""
        return "a" in _WORD.findall(self.tokens)


@record
class Extra:
    """Something that exists but is not counted in the totals: pre-training heads, prediction modules, towers."""

    name: str
    stack: Stack
    reason: str


@record
class Expectation:
    """A published figure that the architecture must reproduce within ``tolerance``, or a note why it cannot."""

    quantity: str
    value: float
    tolerance: float
    source: str
    printed: str = ""
    note: str = ""


@record
class TrainingFact:
    """What a publication says of a training run, such as its tokens; nothing is computed from it unasked.

    ``value`` is a number in the quantity's unit, or a text. ``confirmed``: the source itself was read.
    """

    quantity: str
    value: float | str
    source: str
    printed: str = ""
    note: str = ""
    confirmed: bool = True


@record
class Architecture(Shown):
    """A complete description; everything that llmcalc computes is a fold over it.

    ``status`` is ``published`` or ``rumoured``. ``notes`` are visible lines of every result: what is assumed, what was
    not understood, where sources disagree; ``warnings`` are louder ones. ``layouts`` maps a stored layout's name to its
    renaming rules.
    ``unmodelled`` says what changes results but no count, and is not described here; such a model is counted, not run.
    """

    name: str
    stacks: tuple[Stack, ...]
    title: str = ""
    family: str = ""
    source: str = ""
    status: str = "published"
    extras: tuple[Extra, ...] = ()
    expect: tuple[Expectation, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    inputs: dict[str, Any] = NO_INPUTS
    layout: str = ""
    facts: tuple[TrainingFact, ...] = ()
    unmodelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.stacks:
            raise SizeError(f"{self.name} has no stack", where=self.name)

    def __eq__(self, other: object) -> bool:
        """Equal in everything but ``inputs``: where it was read from makes no difference."""
        if not isinstance(other, Architecture):
            return NotImplemented
        compared = [entry.name for entry in fields(self) if entry.name != "inputs"]
        return all(getattr(self, name) == getattr(other, name) for name in compared)

    def __hash__(self) -> int:
        return hash((self.name, self.stacks))

    @property
    def main(self) -> Stack:
        """The stack whose tokens are generated or classified: the decoder, or a lone encoder."""
        return next((stack for stack in self.stacks if stack.role == "decoder"), self.stacks[0])

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether there is both an encoder and a decoder."""
        return {"encoder", "decoder"} <= {stack.role for stack in self.stacks}

    def shrink(self) -> Architecture:
        """A small architecture of the same structure, whose NumPy model runs in milliseconds."""
        from .shrink import shrink

        return shrink(self)


@lru_cache(maxsize=8192)
def declare(layer: Layer) -> Declaration:
    """A layer's declaration, computed once for equal layers."""
    return layer.declare()
