"""Liveness of activations, determined by traversing the equations of a block in execution order.

The forward traversal records saved tensors. The reverse traversal yields the transient gradients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ...core.amount import Sum, largest, largest_items
from ...core.architecture import Block, Sublayer, declare
from ...core.declaration import Declaration
from ...core.layer import Layer
from ...core.record import NamedTuple
from ...core.type_names import Any
from ..sharding import Mesh
from ..walk import Conventions, executed
from .saved_tensors import MASK_BYTES, SHARED, ActivationPolicy, Recorder, Saving, Step, TensorVersions

SOURCE = "src"  # the encoder's output
RESIDUAL = "r"  # the residual stream, in layers that scale it
STREAM = "stream#in"  # the input of a segment


class Passage(NamedTuple):
    """What one traversal of a layer recorded, which another one repeats with other names.

    Attributes:
        declaration: declaration of the layer, whose identity remains unique while it is kept.
        place: prefix of the names of the layer's own tensors.
        inputs: names of the tensors that the layer reads.
        savings: saved tensors, in order.
        steps: backward steps of the equations.
        output: name of the output tensor.
    """

    declaration: Declaration
    place: str
    inputs: tuple[str, ...]
    savings: list[Saving]
    steps: list[Step]
    output: str


Passages = dict[tuple[object, ...], Passage]  # by the identity of the declaration, and which of its inputs are equal


class Liveness(Recorder):
    """Recorder that traverses blocks and layers to find saved tensors."""

    def __init__(
        self, policy: ActivationPolicy, symbols: Mapping[str, Any], values: Mapping[str, int], mesh: Mesh
    ) -> None:
        super().__init__(policy, symbols, values, mesh)
        self.conventions = Conventions(
            "prefill", "dense", policy.convention, kernel=policy.attention, dropout=policy.dropout
        )
        self.outputs: set[str] = set()  # sub-layer and head outputs, whose gradients come from outside
        self.stream_outputs: set[str] = set()  # outputs whose gradient is the gradient of the residual stream
        self.shared: dict[str, int] = {}  # bytes of tensors that all blocks read, see ``save_shared``
        self.stream_bytes = 0
        self.residual = STREAM  # the input of the current sub-layer
        self.n_names = 0
        self.passages: Passages = {}

    def block(self, block: Block, stream: str) -> str:
        """Traverse a block with the input tensor ``stream`` and return the name of the output tensor."""
        stream = self.sublayers(block, stream)
        for name in [name for name in self.saved if is_shared(name)]:
            self.shared[name] = self.saved.pop(name).bytes
        return stream

    def sublayers(self, block: Block, stream: str) -> str:
        """Traverse all executed sub-layers of a block and return the name of the output tensor."""
        inputs: dict[str, str] = {}
        joins: set[str] = set()
        for sublayer in block.sublayers:
            inputs[sublayer.name] = stream
            if all(declare(branch.layer).is_only_stored for branch in sublayer.branches):
                continue
            stream = self.sublayer(sublayer, inputs[sublayer.input_from or sublayer.name])
            joins |= {branch.joins for branch in sublayer.branches}
            stream = self.new_name("stream") if sublayer.name in joins else stream
        return stream

    def save_shared(self, blocks: Iterable[Liveness]) -> None:
        """Save tensors that several blocks read, such as the encoder output, once."""
        for block in blocks:
            for name, size in block.shared.items():
                self.save(name, size)

    def sublayer(self, sublayer: Sublayer, stream: str) -> str:
        """Traverse the norms, parallel branches and residual addition of a sub-layer."""
        self.residual = stream
        stream = self.new_name("concatenated") if sublayer.concat_input else stream
        normed = self.layer(sublayer.pre, stream) if sublayer.pre else stream
        out = ""
        for branch in sublayer.branches:
            result = self.layer(branch.layer, self.layer(branch.pre, normed) if branch.pre else normed, normed)
            result = self.layer(branch.post, result) if branch.post else result
            self.mark_output(result, stream=True)
            out = out if branch.joins else result
        if sublayer.post:
            out = self.layer(sublayer.post, out)
            self.mark_output(out, stream=True)
        if sublayer.residual:
            if self.policy.residual_dropout:
                axes = declare(sublayer.branches[0].layer).axes
                width = axes["d"] if isinstance(axes.get("d"), int) else 0
                self.save(self.new_name("residual_mask"), self.size(("b", "q", "d"), {"d": int(width)}, MASK_BYTES))
            out = self.new_name("stream")
        if sublayer.after:
            out = self.layer(sublayer.after, out)
            self.mark_output(out, stream=True)
        return out

    def mark_output(self, name: str, stream: bool) -> None:
        """Mark a tensor whose gradient is computed outside the traversed layers."""
        self.outputs.add(name)
        self.stream_outputs |= {name} if stream else set()

    def layer(self, layer: Layer, x: str, unnormed: str = "") -> str:
        """Traverse a layer and return the output tensor's name. ``unnormed`` is the input before the norm."""
        self.n_names += 1
        declaration, place = declare(layer), f"{layer.kind()}#{self.n_names}"
        inputs = x, unnormed or x, self.residual
        key = id(declaration), *map((*inputs, STREAM).index, (*inputs, STREAM))
        known = self.passages.get(key)
        if known is not None:
            return self.repeat(known, place, inputs)
        n_savings, n_steps = len(self.savings), len(self.steps)
        output = self.declaration(declaration, declaration, x, place, unnormed or x)
        savings = [(name, size, fixed, step - n_steps) for name, size, fixed, step in self.savings[n_savings:]]
        self.passages[key] = Passage(declaration, place, inputs, savings, self.steps[n_steps:], output)
        return output

    def repeat(self, known: Passage, place: str, inputs: tuple[str, ...]) -> str:
        """Record what an equal layer has recorded, and return the output tensor's name."""
        names = dict(zip(known.inputs, inputs, strict=True))
        before, n_steps = f"{known.place}.", len(self.steps)

        def renamed(name: str) -> str:
            found = names.get(name)
            if found is None:
                found = f"{place}.{name[len(before) :]}" if name.startswith(before) else name
                names[name] = found
            return found

        for name, size, fixed_size, step in known.savings:
            self.save(renamed(name), size, fixed_size=fixed_size, step=n_steps + step)
        for label, out, out_bytes, operands, *rest in known.steps:
            read = tuple([(renamed(name), size) for name, size in operands])
            self.steps.append(Step._make((label, renamed(out), out_bytes, read, *rest)))
        return renamed(known.output)

    def declaration(self, declaration: Declaration, layer: Declaration, x: str, place: str, unnormed: str) -> str:
        """Traverse a declaration of a layer and its inner ones, and return the name of the last output tensor."""
        names = {"x": x, "unnormed": unnormed, "first": STREAM}
        if RESIDUAL in getattr(declaration.layer, "EXTERNAL_TENSORS", ()):
            names[RESIDUAL] = self.residual
        versions = TensorVersions(self, declaration, layer, place, names)
        self.parts(versions, layer, after_equations=False)
        for equation in executed(declaration, self.conventions):
            versions.equation(equation)
        self.parts(versions, layer, after_equations=True)
        return versions.last

    def parts(self, versions: TensorVersions, layer: Declaration, *, after_equations: bool) -> None:
        """Traverse the inner layers of a declaration that run before or after the declaration's equations."""
        for name, part in versions.declaration.parts:
            source, result_name = versions.declaration.links.get(name, ("x", ""))
            if after_equations != (source != "x"):
                continue
            place = f"{versions.place}.{name}"
            unnormed = versions.versions["unnormed"]
            result = self.declaration(part, layer, versions.versions[source], place, unnormed)
            if result_name:
                versions.versions[result_name] = versions.last = result

    def new_name(self, stem: str) -> str:
        """Return an unused tensor name."""
        self.n_names += 1
        return f"{stem}#{self.n_names}"


def is_shared(name: str) -> bool:
    """Return whether all layers of a stack share a tensor."""
    return name == SOURCE or name.startswith(SHARED)


@lru_cache(maxsize=4096)
def label(name: str) -> str:
    """Return a tensor's name without layer and version numbers, as shown in traces.

    >>> label("attention#3.q@5"), label("norm#1.y@0:1")
    ('attention.q', 'norm.y:1')
    """
    return re.sub(r"[#@]\w+", "", name)


def peak_live_bytes(trace: Liveness) -> Sum:
    """Return the peak number of live bytes in a forward pass that frees each tensor after its last use."""
    last = {name: number for number, step in enumerate(trace.steps) for name, _ in step.operands}
    live: dict[str, int] = {}
    moments: list[dict[str, int]] = []
    for number, step in enumerate(trace.steps):
        for name, size in step.operands:
            live.setdefault(name, size)
        live[step.out] = step.out_bytes
        moments.append(dict(live))
        for name in [name for name in live if last.get(name, -1) <= number and name != step.out]:
            del live[name]
    peaks = largest_items(moments, lambda sizes: sum(sizes.values()))
    return largest(Sum(), *(Sum(*((label(name), size) for name, size in sizes.items())) for sizes in peaks))
