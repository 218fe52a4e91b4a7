"""What a step keeps in memory: the equations of a block walked in order, tensors followed by identity.

Each equation says what its derivative needs (core/functions.py; a contraction needs both of its operands). A tensor
that several equations need is kept once. The walk of the same equations backwards gives the transient gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.architecture import Block, Stack, Sublayer, declare
from ...core.declaration import Declaration, Tensor
from ...core.equation import Equation, read
from ...core.layer import Layer
from ...core.ledger import elements
from ..sharding import Mesh
from ..work import Conventions, extent, runs
from .recompute import BYTE, Kept, Policy, Step
from .saved_tensors import Scope

SOURCE = "src"  # the encoder's output
STREAM = "stream#in"  # what a segment gets


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
        stream = self.sublayers(block, stream)
        self.kept.pop(SOURCE, None)  # one tensor for all blocks, see ``source``
        return stream

    def sublayers(self, block: Block, stream: str) -> str:
        """Walk the sub-layers of a block; one that is never run is left out."""
        before: dict[str, str] = {}
        joining: set[str] = set()
        for sublayer in block.sublayers:
            before[sublayer.name] = stream
            if all(getattr(branch.layer, "unused", False) for branch in sublayer.branches):
                continue
            stream = self.sublayer(sublayer, before[sublayer.input_from or sublayer.name])
            joining |= {branch.joins for branch in sublayer.branches}
            if sublayer.name in joining:
                stream = self.name("stream")
        return stream

    def source(self, stack: Stack) -> None:
        """Keep what all cross-attention of a stack reads, the encoder's output, once."""
        for run in stack.runs:
            trace = Trace(self.policy, self.symbols, self.values, self.mesh)
            trace.sublayers(run.block, STREAM)
            if SOURCE in trace.kept:
                self.keep(SOURCE, trace.kept[SOURCE].bytes)

    def sublayer(self, sublayer: Sublayer, stream: str) -> str:
        """Walk a sub-layer: norms, parallel branches, the residual sum."""
        stream = self.name("beside") if sublayer.concat_input else stream
        given = self.layer(sublayer.pre, stream) if sublayer.pre else stream
        out = ""
        for branch in sublayer.branches:
            inner = self.layer(branch.pre, given) if branch.pre else given
            own = self.layer(branch.layer, inner, given)
            own = self.layer(branch.post, own) if branch.post else own
            self.end(own, stream=True)
            out = out if branch.joins else own
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

    def layer(self, layer: Layer, given: str, unnormed: str = "") -> str:
        """Walk one layer whose input ``x`` is the tensor ``given``, a norm of ``unnormed``; the name of its output."""
        self.fresh += 1
        return self.declaration(declare(layer), given, f"{layer.kind()}#{self.fresh}", unnormed or given)

    def declaration(self, declaration: Declaration, given: str, place: str, unnormed: str) -> str:
        """Walk a declaration and its parts."""
        weights = {tensor.name: tensor for tensor in declaration.tensors}
        scope = Scope(self, declaration, place, weights, {"x": given, "unnormed": unnormed, "first": STREAM})
        self.parts(scope, behind=False)
        for line in declaration.lines:
            equation = read(line)
            if self.takes_part(equation):
                scope.equation(equation)
        self.parts(scope, behind=True)
        return scope.last

    def parts(self, scope: Scope, *, behind: bool) -> None:
        """Walk those inner layers of a declaration that stand in front of its equations, or behind them."""
        for name, part in scope.declaration.parts:
            of, gives = scope.declaration.links.get(name, ("x", ""))
            if behind != (of != "x"):
                continue
            result = self.declaration(part, scope.identity[of], f"{scope.place}.{name}", scope.identity["unnormed"])
            if gives:
                scope.identity[gives] = scope.last = result

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

    def keep(self, name: str, size: int, *, whole: bool = True) -> None:
        """Keep a tensor, once; if it may be read in parts, as much of it as is needed by what needs most."""
        if not size:
            return
        if name not in self.kept:
            self.kept[name] = Kept(name, size, len(self.steps))
        elif not whole and size > self.kept[name].bytes:
            self.kept[name] = self.kept[name]._replace(bytes=size)

    def name(self, stem: str) -> str:
        """A new identity."""
        self.fresh += 1
        return f"{stem}#{self.fresh}"
