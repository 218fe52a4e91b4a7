"""What a step keeps in memory: the equations of a block walked in order, tensors followed by identity.

Each equation says what its derivative needs (core/functions.py; a contraction needs both of its operands). A tensor
that several equations need is kept once. The walk of the same equations backwards gives the transient gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..core.architecture import Block, Sublayer, declare
from ..core.declaration import Declaration, Tensor
from ..core.equation import Equation, Operand, read
from ..core.functions import FUNCTIONS
from ..core.layer import Layer
from ..core.ledger import elements
from ..core.record import record
from .optimizer import Adapters
from .shard import Mesh
from .work import Conventions, extent, runs

BYTE, HALF, SINGLE = 1, 2, 4


@record
class Policy:
    """What decides which tensors are kept.

    Attributes:
        attention: ``flash`` (a fused kernel) or ``eager`` (scores and probabilities are stored).
        recompute: ``none``, ``selective`` (the core of attention is computed again), ``full`` (whole blocks are).
        dropout: whether dropout is active, so that its masks are kept.
        bytes: width of the computation's number format.
        gradient_bytes: width of the weights' gradients.
        convention: None, or ``torch``.
        adapters: what is trained instead of the weights: a contraction with a frozen weight keeps nothing for it.
    """

    attention: str = "flash"
    recompute: str = "none"
    dropout: bool = False
    bytes: int = HALF
    gradient_bytes: int = HALF
    convention: str | None = None
    adapters: Adapters | None = None


class Kept(NamedTuple):
    """A tensor kept for the backward pass, and the place in the walk where it was first needed."""

    name: str
    bytes: int
    step: int


class Step(NamedTuple):
    """One equation, for the backward pass: bytes of the gradients of its result, of its operands and of its weights."""

    label: str
    out: str
    out_bytes: int
    operands: tuple[tuple[str, int], ...]
    weight_bytes: int
    flows: bool


class Trace:
    """Walks layers and collects what is kept. Sizes are evaluated for one workload and one rank of a mesh."""

    def __init__(self, policy: Policy, symbols: Mapping[str, Any], values: Mapping[str, int], mesh: Mesh) -> None:
        self.policy, self.symbols, self.values, self.mesh = policy, symbols, values, mesh
        self.conventions = Conventions("prefill", "dense", policy.convention)
        self.kept: dict[str, Kept] = {}
        self.steps: list[Step] = []
        self.ends: set[str] = set()  # results that get their gradient from outside: of sub-layers, of the head
        self.streams: set[str] = set()  # those whose gradient is that of the residual stream
        self.stream_bytes = 0
        self.fresh = 0

    # ------------------------------------------------------------------ blocks

    def block(self, block: Block, stream: str) -> str:
        """Walk a block whose input is the tensor ``stream``; the name of its output."""
        for sublayer in block.sublayers:
            stream = self.sublayer(sublayer, stream)
        return stream

    def sublayer(self, sublayer: Sublayer, stream: str) -> str:
        """Walk a sub-layer: norms, parallel branches, the residual sum."""
        given = self.layer(sublayer.pre, stream) if sublayer.pre else stream
        out = ""
        for branch in sublayer.branches:
            inner = self.layer(branch.pre, given) if branch.pre else given
            out = self.layer(branch.layer, inner)
            out = self.layer(branch.post, out) if branch.post else out
            self.end(out, stream=True)
        if sublayer.post:
            out = self.layer(sublayer.post, out)
            self.end(out, stream=True)
        if sublayer.residual:
            if self.policy.dropout:
                self.keep(self.name("residual_mask"), self.size(("b", "q", "d"), {"d": self.width(sublayer)}, BYTE))
            out = self.name("stream")
        if sublayer.after:
            out = self.layer(sublayer.after, out)
            self.end(out, stream=True)
        return out

    def end(self, name: str, stream: bool) -> None:
        """Mark a result whose gradient comes from outside of what is walked."""
        self.ends.add(name)
        if stream:
            self.streams.add(name)

    def width(self, sublayer: Sublayer) -> int:
        """The width of the residual stream at a sub-layer."""
        axes = declare(sublayer.branches[0].layer).axes
        return int(axes["d"]) if isinstance(axes.get("d"), int) else 0

    # ------------------------------------------------------------------ layers

    def layer(self, layer: Layer, given: str) -> str:
        """Walk one layer whose input ``x`` is the tensor ``given``; the name of its output."""
        self.fresh += 1
        return self.declaration(declare(layer), given, f"{layer.kind()}#{self.fresh}")

    def declaration(self, declaration: Declaration, given: str, place: str) -> str:
        """Walk a declaration and its parts."""
        for name, part in declaration.parts:
            self.declaration(part, given, f"{place}.{name}")
        weights = {tensor.name: tensor for tensor in declaration.tensors}
        scope = _Scope(self, declaration, place, weights, {"x": given})
        for line in declaration.lines:
            equation = read(line)
            if self.takes_part(equation):
                scope.equation(equation)
        return scope.last

    def takes_part(self, equation: Equation) -> bool:
        """Whether an equation runs, and stores, under the policy."""
        tags = equation.tags
        if "dropout" in tags and not self.policy.dropout:
            return False
        fused = self.policy.attention == "flash"
        if ("flash" in tags and not fused) or ("eager" in tags and fused):
            return False
        return runs(tags - {"flash", "dropout"}, self.conventions)

    # ------------------------------------------------------------------ sizes

    def size(self, axes: tuple[str, ...], declaration: Declaration | Mapping[str, int], width: int) -> int:
        """Bytes of a tensor on one rank: its axes' lengths, those that the mesh divides divided."""
        if not isinstance(declaration, Declaration):
            declaration = Declaration(dict(declaration))
        count = 1
        for axis in axes:
            length = extent(axis, declaration, self.symbols, self.policy.convention)
            count *= length if isinstance(length, int) else int(length(**self.values))
        return self.mesh.share_of_activation(axes, declaration, count) * width

    def weight_bytes(self, tensor: Tensor, declaration: Declaration) -> int:
        """Bytes of a weight's gradient on one rank."""
        return (
            self.mesh.share_of_weight(tensor, declaration, elements(tensor, declaration)) * self.policy.gradient_bytes
        )

    def keep(self, name: str, size: int) -> None:
        """Keep a tensor, once."""
        if size and name not in self.kept:
            self.kept[name] = Kept(name, size, len(self.steps))

    def name(self, stem: str) -> str:
        """A new identity."""
        self.fresh += 1
        return f"{stem}#{self.fresh}"


class _Scope:
    """The names of one declaration while it is walked: versions of tensors and their axes."""

    def __init__(
        self, trace: Trace, declaration: Declaration, place: str, weights: dict[str, Tensor], known: dict[str, str]
    ) -> None:
        self.trace, self.declaration, self.place, self.weights = trace, declaration, place, weights
        self.identity = dict(known)
        self.axes: dict[str, tuple[str, ...]] = {"x": ("b", "q", "d")}
        self.inside: set[str] = set()
        self.single: set[str] = set()  # tensors whose gradient is in fp32
        self.last = known["x"]

    def equation(self, equation: Equation) -> None:
        """Keep what the equation needs, then give its result a new identity."""
        policy = self.trace.policy
        core = "core" in equation.tags
        fused = core and (policy.attention == "flash" or policy.recompute == "selective")
        out = f"{self.place}.{equation.out.name}@{len(self.trace.steps)}"
        if "nograd" not in equation.tags:
            self.save(equation, out, fused)
        self.trace.steps.append(self.step(equation, out, fused))
        if equation.function == "cast" and policy.bytes == SINGLE:
            out = self.identity.get(equation.operands[0].name, out)
        self.identity[equation.out.name] = out
        self.axes[equation.out.name] = equation.out.axes or self.axes.get(equation.out.name, ())
        if core:
            self.inside.add(equation.out.name)
        self.last = out

    def save(self, equation: Equation, out: str, fused: bool) -> None:
        if equation.function is None:
            if not self.frozen(equation):
                for operand in equation.operands:
                    if not (fused and operand.name in self.inside):
                        self.save_operand(operand, equation)
            return
        if fused:
            return
        function = FUNCTIONS[equation.function]
        torch = self.trace.policy.convention == "torch"
        words = (function.torch if torch and function.torch is not None else function.saves).split()
        for number, word in enumerate(words):
            self.save_word(word, number, equation, out)

    def frozen(self, equation: Equation) -> bool:
        """Whether a contraction is with a weight that is not trained. An adapter keeps its input and its inner vector."""
        adapters = self.trace.policy.adapters
        weights = [operand.name for operand in equation.operands if operand.name in self.weights]
        if adapters is None or not weights:
            return False
        if not any(name in adapters.targets for name in weights):
            return True
        rows = tuple(axis for axis in equation.out.axes if axis in ("b", "q", "n", "s", "k", "o"))
        inner = self.trace.size(rows, self.declaration, self.trace.policy.bytes) * adapters.rank
        self.trace.keep(f"{self.place}.{weights[0]}.adapter", inner)
        return False

    def save_word(self, word: str, number: int, equation: Equation, out: str) -> None:
        trace, axes, width = self.trace, equation.out.axes, self.trace.policy.bytes
        first = equation.operands[0] if equation.operands else equation.out
        if word == "inputs":
            for operand in equation.operands:
                self.save_operand(operand, equation)
        elif word == "input" or (word == "input32" and width == SINGLE):
            self.save_operand(first, equation, axes)
        elif word == "input32":
            trace.keep(f"{out}:input32", trace.size(axes, self.declaration, SINGLE))
        elif word == "output":
            trace.keep(out, trace.size(axes, self.declaration, width))
        elif word == "output32":
            trace.keep(out if width == SINGLE else f"{out}:32", trace.size(axes, self.declaration, SINGLE))
        elif word == "hidden":
            trace.keep(f"{out}:{number}", trace.size(axes, self.declaration, width))
        elif word == "row":
            trace.keep(f"{out}:{number}", trace.size(axes[:-1], self.declaration, SINGLE))
        elif word == "mask":
            trace.keep(f"{out}:mask", trace.size(axes, self.declaration, BYTE))

    def save_operand(self, operand: Operand, equation: Equation, like: tuple[str, ...] = ()) -> None:
        if operand.name in self.weights:
            return
        axes = operand.axes or self.axes.get(operand.name) or like
        if not axes:
            return
        name = self.identity.setdefault(operand.name, f"{self.place}.{operand.name}")
        for inner, outer in equation.select:
            if inner in axes and self.trace.policy.convention == "torch":  # repeated for the heads that share it
                name += ":repeated"
                axes = tuple(outer if axis == inner else axis for axis in axes)
        self.trace.keep(name, self.trace.size(axes, self.declaration, self.trace.policy.bytes))

    def step(self, equation: Equation, out: str, fused: bool) -> Step:
        operands = []
        for operand in equation.operands:
            axes = operand.axes or self.axes.get(operand.name, ())
            if axes and operand.name not in self.weights and operand.name in self.identity:
                identity = self.identity[operand.name]
                operands.append((identity, self.gradient(axes, fused, equation, identity)))
        weights = [operand.name for operand in equation.operands if operand.name in self.weights]
        untrained = self.trace.policy.adapters is not None  # gradients of adapters are too small to time
        size = 0 if untrained else sum(self.trace.weight_bytes(self.weights[n], self.declaration) for n in weights)
        flows = "nograd" not in equation.tags
        gradient = self.gradient(equation.out.axes, fused, equation, out)
        return Step(equation.text, out, gradient, tuple(operands), size, flows)

    def gradient(self, axes: tuple[str, ...], fused: bool, equation: Equation, identity: str) -> int:
        """Bytes of a tensor's gradient; a fused kernel never stores that of scores and probabilities."""
        if fused and {"q"} < set(axes) and set(axes) & {"k", "s"}:
            return 0
        if equation.function == "softmax_fp32":
            self.single.add(identity)
        width = SINGLE if identity in self.single else self.trace.policy.bytes
        return self.trace.size(axes, self.declaration, width)
