"""Architectures as stacks of blocks. Blocks consist of sub-layers with norms.

Architecture
├── Stack "encoder"             inputs (tables, projections, norms) → runs of blocks → outputs (norm, head)
│   └── Run  12 × Block         consecutive equal blocks with separate weights (``shared``: one set)
│       └── Sublayer            x + scale · post(Σ branches(pre(x))), then ``after``
│           └── Branch          a layer with optional norms; branches run in parallel
└── Stack "decoder" ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from itertools import accumulate

from .declaration import Declaration
from .errors import SizeError
from .layer import Layer
from .notebook_display import NotebookDisplay
from .printable import plural
from .record import NamedTuple, fields, record
from .traits import glossary
from .type_names import Any

PREDICTION = "prediction"  # role of a module for multi-token prediction
PREDICTION_LAYERS = "prediction_layers"  # key of ``Architecture.inputs``: modules for multi-token prediction

NO_INPUTS: dict[str, Any] = {}  # shared default, never modified


class Named(NamedTuple):
    """A layer with a name that identifies it within a stack or sub-layer."""

    name: str
    layer: Layer


@record
class Branch:
    """A mixer or feed-forward layer in a sub-layer, with optional norms before and after the layer.

    If ``joins`` names a later sub-layer of the block, the branch output is added to the residual stream after that
    sub-layer (shortcut-connected experts [cai2024]).
    """

    name: str
    layer: Layer
    pre: Layer | None = None
    post: Layer | None = None
    joins: str = ""


@record
class Sublayer:
    """A sub-layer that computes ``x = after(x + scale · post(Σ branch(pre(x))))``. Norms set to None are skipped.

    Attributes:
        name: unique name within the block.
        branches: parallel layers whose outputs are summed.
        pre: norm applied to the input (pre-norm models).
        post: norm applied to the output before the residual addition (with ``pre``: Gemma's sandwich norm).
        after: norm applied after the residual addition (post-norm models).
        residual: whether the input is added to the output.
        share: sharing key. Sub-layers with the same ``share`` use the same tensors (Zamba).
        scale: constant factor applied to the output (Granite).
        residual_scale: constant factor applied to the residual stream.
        residual_normed: whether the output is added to ``pre(x)`` instead of ``x`` (MiniMax).
        depth_scaled: whether the n-th residual addition of the stack, counting from 2, scales the output by
            ``√(1/n)`` and the stream by ``√((n - 1)/n)`` (Beam).
        input_from: earlier sub-layer in the block whose input this sub-layer also reads.
        residual_from: current or earlier sub-layer in the block whose input is added to the output.
        concat_input: whether the input is concatenated with the first block's input, doubling the width (Zamba).
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
    depth_scaled: bool = False
    input_from: str = ""
    residual_from: str = ""
    concat_input: bool = False

    def layers(self) -> Iterator[Named]:
        """Yield all layers, including norms, in execution order."""
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
    """A sequence of sub-layers, repeated within a run."""

    name: str
    sublayers: tuple[Sublayer, ...]

    def __hash__(self) -> int:
        return self._hash

    def layers(self) -> Iterator[Named]:
        """Yield all layers of the sub-layers, in execution order."""
        return (layer for sublayer in self.sublayers for layer in sublayer.layers())

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.sublayers))  # cached, because many runs contain the same block

    def __post_init__(self) -> None:
        names = [sublayer.name for sublayer in self.sublayers]
        for place, sublayer in enumerate(self.sublayers):
            references = [("input_from", sublayer.input_from), ("residual_from", sublayer.residual_from)]
            for key, named in (*references, *(("joins", branch.joins) for branch in sublayer.branches)):
                allowed = names[place + 1 :] if key == "joins" else names[: place + 1]
                if named and allowed.count(named) != 1:
                    which = "a later sub-layer" if key == "joins" else "this sub-layer or an earlier one"
                    message = f"{key} of {sublayer.name} is {named}; it must be the unique name of {which}"
                    raise SizeError(message, where=self.name)
            if sublayer.residual_from and not sublayer.residual:
                raise SizeError(f"{sublayer.name} sets residual_from, but residual is false", where=self.name)
            if all(branch.joins for branch in sublayer.branches):
                raise SizeError(
                    f"all branches of {sublayer.name} set joins; at least one branch must not set it", where=self.name
                )


@record
class Run:
    """A sequence of ``count`` identical blocks. If ``shared``, all blocks use the same weights (ALBERT, Zamba)."""

    block: Block
    count: int
    shared: bool = False


@record
class Stack:
    """A sequence of blocks with one residual stream.

    Attributes:
        name: unique name within the architecture.
        d_model: width of the residual stream.
        inputs: embeddings, projections and norms before the blocks.
        runs: blocks in execution order.
        outputs: norms and heads after the blocks.
        role: ``decoder`` (the main text stack), ``auxiliary`` (reads the same tokens on behalf of the decoder),
            ``encoder`` (the source of cross-attention), ``tower`` (runs on image patches or audio frames) or
            ``prediction`` (predicts one more token from the stream of the stack before it).
        tokens: sequence length of a tower as an expression in ``a`` (audio frames) or ``p`` (image patches), such
            as ``ceil(a, 2)``. If empty, each patch is one token.
        patch: number of text tokens per patch, for a stack that runs on text patches.
        extra_patches: number of additional patches in the PyTorch implementation, where every token is a patch.
        frozen: whether the weights of the stack are frozen.
        unused: whether the stack is stored but never executed.
        reversible: whether the stack has two residual streams. Sub-layers alternately read one stream and add to
            the other, and the output layers read the concatenated streams (Reformer [kitaev2020, Section 3]).
        replaces_placeholder_tokens: whether the output vectors of a tower replace placeholder tokens of the text.
    """

    name: str
    d_model: int
    inputs: tuple[Named, ...]
    runs: tuple[Run, ...]
    outputs: tuple[Named, ...]
    role: str = "decoder"
    tokens: str = ""
    patch: int | None = None
    extra_patches: int = 0
    frozen: bool = False
    unused: bool = False
    reversible: bool = False
    replaces_placeholder_tokens: bool = False

    @cached_property
    def n_layers(self) -> int:
        """Number of blocks, counting each application of a shared block."""
        return sum(run.count for run in self.runs)

    @cached_property
    def first_blocks(self) -> tuple[int, ...]:
        """Index of the first block of each run."""
        return tuple(accumulate((run.count for run in self.runs[:-1]), initial=0))

    @cached_property
    def first_runs(self) -> tuple[int, ...]:
        """Index of the first run with an equal block, for each run."""
        by_identity: dict[int, int] = {}  # comparing blocks by value is slow
        by_value: dict[Block, int] = {}
        found = []
        for index, run in enumerate(self.runs):
            first = by_identity.get(id(run.block))
            if first is None:
                first = by_identity[id(run.block)] = by_value.setdefault(run.block, index)
            found.append(first)
        return tuple(found)

    @cached_property
    def distinct_runs(self) -> dict[int, tuple[int, int]]:
        """Numbers of stored and executed blocks, summed over the runs of equal blocks, by index of the first run."""
        found: dict[int, tuple[int, int]] = {}
        for first, run in zip(self.first_runs, self.runs, strict=True):
            stored, applied = found.get(first, (0, 0))
            found[first] = stored + (1 if run.shared else run.count), applied + run.count
        return found

    @property
    def is_audio_tower(self) -> bool:
        """Whether the stack is an audio tower."""
        return bool(self.tokens) and "a" in re.findall(r"\w+", self.tokens)


@record
class Extra:
    """A component excluded from the totals, such as a pre-training head or a multi-token prediction module.

    ``count`` is the number of equal modules with separate weights.
    """

    name: str
    stack: Stack
    reason: str
    count: int = 1


@record
class Expectation:
    """A published figure that the architecture must reproduce within ``tolerance``. ``note`` explains exceptions."""

    quantity: str
    value: float
    tolerance: float
    source: str
    printed: str = ""
    note: str = ""


@record
class TrainingFact:
    """A published fact about a training run, such as its token count. Facts enter calculations only on request.

    ``value`` is a string, or a number in the quantity's unit. ``confirmed`` facts were checked against the source.
    """

    quantity: str
    value: float | str
    source: str
    printed: str = ""
    note: str = ""
    confirmed: bool = True


@record
class Architecture(NotebookDisplay):
    """A complete description of a model. All results are computed from this description.

    Attributes:
        name: short name.
        stacks: stacks in execution order.
        title: display name.
        family: model family.
        source: citation key.
        status: ``published`` or ``rumoured``.
        extras: components excluded from the totals.
        expect: published figures to reproduce.
        notes: assumptions, omissions and discrepancies.
        warnings: important notes, shown as warnings.
        inputs: sources of the description (ignored in comparisons).
        layout: name of the checkpoint layout, if known.
        facts: published facts about the training run.
        unmodelled: features that change outputs but not counts. Any entry rules out a NumPy model.
        remarks: the ``notes`` that only explain the structure or published figures. Results for which these are not
            the question show them on request.
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
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.stacks:
            raise SizeError(f"{self.name} has no stacks", where=self.name)

    @property
    def summary(self) -> str:
        """One-line summary of the stacks."""
        stacks = (f"{stack.name} {plural(stack.n_layers, 'layer')}, d_model {stack.d_model}" for stack in self.stacks)
        return f"{self.name}: {'; '.join(stacks)}"

    def __eq__(self, other: object) -> bool:
        """Compare all fields except ``inputs``."""
        if type(other) is not type(self):
            return NotImplemented
        names = (entry.name for entry in fields(self) if entry.name != "inputs")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def __hash__(self) -> int:
        return hash((self.name, self.stacks))

    @property
    def main(self) -> Stack:
        """Main text stack (the decoder, or the first stack if there is no decoder)."""
        return next((stack for stack in self.stacks if stack.role == "decoder"), self.stacks[0])

    @property
    def predictions(self) -> tuple[Stack, ...]:
        """Modules for multi-token prediction."""
        return tuple(stack for stack in self.stacks if stack.role == PREDICTION)

    @property
    def is_single_stack(self) -> bool:
        """Whether all layers outside the modules for multi-token prediction are in one stack."""
        return len(self.stacks) == 1 + len(self.predictions)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the architecture has both an encoder and a decoder."""
        return {"encoder", "decoder"} <= {stack.role for stack in self.stacks}

    def shrink(self) -> Architecture:
        """Return a smaller architecture with the same structure for fast tests of the NumPy model."""
        from importlib import import_module  # avoids a circular import

        small: Architecture = import_module("llmcalc.core.shrink").shrink(self)
        return small


@record
class PipelineStage(Architecture):
    """The part of a model that one pipeline stage executes. ``first_layer`` is the index of its first layer."""

    model: Architecture | None = None
    first_layer: int = 0

    __eq__, __hash__ = Architecture.__eq__, Architecture.__hash__


def model_of(architecture: Architecture) -> tuple[Architecture, int]:
    """Return the model that contains a pipeline stage, and the index of the first layer of the stage."""
    if isinstance(architecture, PipelineStage) and architecture.model:
        return architecture.model, architecture.first_layer
    return architecture, 0


def declare(layer: Layer) -> Declaration:
    """Return the declaration of a layer, which equal layers share.

    A layer keeps its declaration, so its identity can be used as a key as long as the layer exists.
    """
    own = layer.__dict__
    if "_declaration" not in own:
        own["_declaration"] = shared_declaration(layer)
    found: Declaration = own["_declaration"]
    return found


@lru_cache(maxsize=8192)
def shared_declaration(layer: Layer) -> Declaration:
    """Return the cached declaration of layers that are equal to this one."""
    return layer.declare().bind(layer)


@lru_cache(maxsize=1024)
def layer_glossary(layer: Layer) -> dict[str, tuple[str, str]]:
    """Return the name and meaning of each axis of a layer and of its inner layers."""
    found: dict[str, tuple[str, str]] = {}
    for _, declaration in declare(layer).walk():
        found = glossary(type(declaration.layer)) | found  # type: ignore[arg-type]
    return found
