"""Tensors that autograd saves for the backward pass, found by traversing the equations of a layer.

A contraction saves both operands. ``core/functions.py`` lists the tensors that each function saves. A tensor
needed by several equations is saved once.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ...core.amount import Product, Sum, largest, scaled
from ...core.declaration import Declaration, Tensor
from ...core.equation import Equation, Operand
from ...core.functions import FUNCTIONS, RECURRENCES, is_activation
from ...core.ledger import elements
from ...core.record import NamedTuple, record
from ...core.traits import ROUTER
from ...core.type_names import Any
from ..sharding import Mesh
from ..walk import extent, token_states
from .eager_code import SOFTMAX, EagerCode
from .optimizer import Adapters
from .recomputation import PRODUCT, equation_words

MASK_BYTES, FP8_BYTES, BF16_BYTES, FP32_BYTES = 1, 1, 2, 4
FP8_COPY = ":8"  # suffix of an operand in FP8
WIDTH = "n_bytes"  # bytes per element, as a factor
SHARED = "shared#"  # prefix of tensors that all layers of a stack share
EARLIER_LAYER = "elsewhere"  # prefix of tensors saved by an earlier layer


@record
class ActivationPolicy:
    """Settings that determine which activations are saved.

    Attributes:
        attention: ``flash`` (a fused kernel) or ``eager`` (scores and probabilities are stored).
        recompute: what the backward pass computes again (``recomputation.py``).
        dropout, residual_dropout: whether dropout is active for attention weights and for the outputs of sub-layers.
        loss: ``eager`` (log-probabilities and their gradients are stored), ``shifted`` (as ``eager`` in fp32, after a
            copy of the fp32 logits without the last token), ``fused`` (a kernel
            saves the logits and overwrites them with their gradient), ``parallel`` (fp32 probabilities become the
            gradient, which is converted) or ``chunked`` (logits exist for a few tokens).
        scan: ``eager`` (intermediates of recurrences are stored), ``fused`` (only inputs are stored) or ``chunks`` (as
            ``fused`` for chunked recurrences, and as ``eager`` for others).
        serving: whether an engine's kernels also select cached tokens without storing all of their scores.
        stream_bytes: bytes per element of the residual stream (0: ``bytes``). After PEFT's preparation, it has the
            format of the norms, fp32. Programs with FSDP and adapters take as much (docs/accuracy.md).
        is_head_cast: whether autocast copies an fp32 head for its product, which autograd saves.
        adapter_dropout: whether adapters drop elements of their inputs (PEFT, tuners/lora/layer.py: one dropout each).
        fp8: whether products in blocks compute in FP8 and save their inputs in FP8 (TransformerEngine,
            transformer_engine/pytorch/module/linear.py).
        fused_activation: whether one kernel computes a gated activation, and its function again in the backward pass
            (Megatron-Core, fusions/fused_bias_swiglu.py).
        code: facts about the eager implementation. They apply only to the convention ``torch``.
    """

    attention: str = "flash"
    recompute: str = "none"
    dropout: bool = False
    residual_dropout: bool = False
    bytes: int = BF16_BYTES
    gradient_bytes: int = BF16_BYTES
    convention: str | None = None
    adapters: Adapters | None = None
    loss: str = "eager"
    scan: str = "eager"
    serving: bool = False
    stream_bytes: int = 0
    is_head_cast: bool = False
    adapter_dropout: bool = False
    fp8: bool = False
    fused_activation: bool = False
    code: EagerCode = EagerCode()


class SavedTensor(NamedTuple):
    """A tensor saved for the backward pass, and the index of the first backward step that needs it."""

    name: str
    bytes: int
    step: int


class Count(NamedTuple):
    """Number of elements of an activation on one rank, the lengths of its axes, and its known sizes by element width.

    ``declaration`` keeps the declaration alive, so that its identity remains unique.
    """

    elements: int
    factors: tuple[tuple[str, int], ...]
    declaration: Declaration
    sizes: dict[int, int]


Counts = dict[tuple[int, tuple[str, ...]], Count]  # by the identity of the declaration, and axes
Saving = tuple[str, int, bool, int]  # arguments of ``Recorder.save``


class Step(NamedTuple):
    """Backward pass of an equation, with the sizes of output, operand and weight gradients in bytes.

    ``words`` name the equation for recomputation, and ``partial_bytes`` are those of a partial sum on each rank.
    """

    label: str
    out: str
    out_bytes: int
    operands: tuple[tuple[str, int], ...]
    weight_bytes: int
    has_gradient: bool
    words: frozenset[str]
    partial_bytes: int


class Recorder:
    """Record of saved tensors and backward steps, with sizes in bytes on one rank."""

    def __init__(
        self, policy: ActivationPolicy, symbols: Mapping[str, Any], values: Mapping[str, int], mesh: Mesh
    ) -> None:
        self.policy, self.symbols, self.values, self.mesh = policy, symbols, values, mesh
        self.saved: dict[str, SavedTensor] = {}
        self.steps: list[Step] = []
        self.counts: Counts = {}
        self.savings: list[Saving] = []

    def size(self, axes: tuple[str, ...], declaration: Declaration | Mapping[str, int], width: int) -> int:
        """Return the size of an activation in bytes, with ``width`` bytes per element."""
        if not isinstance(declaration, Declaration):
            declaration = Declaration(dict(declaration))
        count = self.counts.get((id(declaration), axes)) or self.count(axes, declaration)
        if width not in count.sizes:
            count.sizes[width] = Product(count.elements * width, (*count.factors, (WIDTH, width)))
        return count.sizes[width]

    def count(self, axes: tuple[str, ...], declaration: Declaration) -> Count:
        """Return the number of elements of an activation, and remember this number."""
        extents = [extent(axis, declaration, self.symbols, self.policy.convention) for axis in axes]
        lengths = [length if isinstance(length, int) else length(**self.values) for length in extents]
        own = self.mesh.share_of_activation(axes, declaration, prod(lengths))
        found = self.counts[id(declaration), axes] = Count(own, tuple(zip(axes, lengths, strict=True)), declaration, {})
        return found

    def weight_gradient(self, tensor: Tensor, declaration: Declaration) -> int:
        """Return the gradient size of a weight in bytes."""
        count = self.mesh.share_of_weight(tensor, declaration, elements(tensor, declaration))
        lengths = ((axis, int(declaration.axes[axis])) for axis in tensor.axes)
        width = self.policy.gradient_bytes
        return Product(count * width, (*lengths, (WIDTH, width)))

    def save(self, name: str, size: int, *, fixed_size: bool = True, step: int | None = None) -> None:
        """Record a saved tensor once. The first backward step that needs it is ``step`` (default: the next one).

        A larger size replaces the recorded size unless ``fixed_size`` is set.
        """
        if not size:
            return
        step = len(self.steps) if step is None else step
        self.savings.append((name, size, fixed_size, step))
        if name not in self.saved:
            self.saved[name] = SavedTensor(name, size, step)
        elif not fixed_size:
            self.saved[name] = self.saved[name]._replace(bytes=largest(size, self.saved[name].bytes))


class TensorVersions:
    """Tensor versions and saved tensors, recorded while traversing a declaration."""

    def __init__(
        self, recorder: Recorder, declaration: Declaration, layer: Declaration, place: str, versions: dict[str, str]
    ) -> None:
        self.recorder, self.policy, self.declaration, self.place = recorder, recorder.policy, declaration, place
        self.recompute_words = equation_words(declaration, layer)
        self.is_torch = recorder.policy.convention == "torch"
        self.weights = {tensor.name: tensor for tensor in declaration.tensors}
        self.states = {state.name for state in declaration.states}
        self.versions = versions | {name: f"{EARLIER_LAYER}.{name}" for name in declaration.elsewhere}
        self.axes: dict[str, tuple[str, ...]] = dict.fromkeys(
            ("x", "r") if "r" in versions else ("x",), ("b", "q", "d")
        )
        self.fused: set[str] = set()  # tensors that a fused kernel never stores
        self.token_states = token_states(declaration) if recorder.policy.scan == "fused" else frozenset()
        self.unstored: set[str] = set()  # versions of these states
        self.from_weights: set[str] = set()  # elementwise functions of weights
        self.fp32_gradients: set[str] = set()
        self.activated: set[str] = set()  # results of elementwise functions
        self.unconverted: set[str] = set()  # attention weights computed in the number format of the model
        self.has_weights = False  # whether a softmax has been traversed
        self.key_axes = {"k", "s"}  # axes of cached tokens
        self.last = versions["x"]
        self.first_step = len(recorder.steps)

    def equation(self, equation: Equation) -> None:
        """Save the tensors that the backward pass of an equation needs, then assign a new version to its output."""
        policy, core = self.policy, "core" in equation.tags
        fused = core and policy.attention == "flash"
        if self.is_in_scan(equation):
            fused = True
            self.fused |= self.states - self.versions.keys()  # initial zeros
        self.key_axes |= self.cached_axes(equation) if policy.serving else set()
        out = f"{self.place}.{equation.out.name}@{len(self.recorder.steps) - self.first_step}"
        if equation.function in RECURRENCES and equation.out.name in self.token_states:
            self.unstored.add(out)
            self.fused.add(equation.out.name)
        if equation.function and all(self.is_from_weights(operand, equation) for operand in equation.operands):
            self.from_weights.add(equation.out.name)  # cheap to recompute from the weights
        elif "nograd" not in equation.tags:
            self.save(equation, out, fused)
            besides = policy.code.saved_besides(equation, self.declaration, policy.bytes)
            for more, axes, width in besides if self.is_torch else ():
                self.recorder.save(f"{out}{more}", self.size(axes, width))
        self.recorder.steps.append(self.step(equation, out, fused))
        if is_activation(equation.function):
            self.activated.add(equation.out.name)
        if equation.function in SOFTMAX:
            self.has_weights = True
            self.unconverted |= {equation.out.name} if "output" in self.words(equation).split() else set()
        if equation.function == "cast" and (
            policy.bytes == FP32_BYTES or equation.operands[0].name in self.unconverted
        ):
            out = self.versions.get(equation.operands[0].name, out)
        if self.is_alias(equation):
            out = self.versions[equation.operands[0].name]
        self.versions[equation.out.name] = out
        self.axes[equation.out.name] = equation.out.axes or self.axes.get(equation.out.name, ())
        if core or "scan" in equation.tags:
            self.fused.add(equation.out.name)
        self.last = out

    def is_in_scan(self, equation: Equation) -> bool:
        """Return whether an equation is part of the fused kernel of a recurrence."""
        scan = self.policy.scan
        if scan == "eager" or "scan" in equation.tags:
            return scan != "eager"
        versions = {self.versions.get(operand.name, "") for operand in equation.operands}
        return scan == "fused" and (equation.function in RECURRENCES or not versions.isdisjoint(self.unstored))

    def cached_axes(self, equation: Equation) -> set[str]:
        """Return the axes of cached tokens in the state tensors that an equation reads."""
        read = [operand for operand in equation.operands if operand.name in self.states]
        axes, fixed = {axis for operand in read for axis in operand.axes}, self.declaration.axes
        return {axis for axis in axes - {"b", "q"} if not isinstance(fixed.get(axis), int)}

    def is_from_weights(self, operand: Operand, equation: Equation | None = None) -> bool:
        """Return whether an operand is a weight, a function of weights, or the constant of ``equation``."""
        if operand.name in self.weights or operand.name in self.from_weights:
            return True
        return equation is not None and "constant" in equation.tags and operand.name not in self.versions

    def is_alias(self, equation: Equation) -> bool:
        """Return whether an equation only copies a tensor without changing its size."""
        if equation.function != "copy":
            return False
        source, *others = equation.operands
        axes = source.axes or self.axes.get(source.name, ())
        if others or source.name not in self.versions or not axes:
            return False
        return self.size(equation.out.axes, 1) == self.size(axes, 1)

    def save(self, equation: Equation, out: str, fused: bool) -> None:
        """Save the tensors that an equation's derivative needs. A fused kernel saves only its inputs and outputs."""
        if equation.function is None:
            if tables := self.position_tables(equation):
                self.save_copies(tables)
            elif not (self.is_frozen(equation) or self.is_saved_by_norm(equation)):
                width = self.operand_width(equation)
                for operand in equation.operands:
                    if not (fused and operand.name in self.fused):
                        self.save_operand(operand, equation, width=width)
            return
        function = FUNCTIONS[equation.function]
        if fused:  # the kernel recomputes everything else from its inputs
            for operand in equation.operands if function.saves != "nothing" else ():
                if operand.name not in self.fused:
                    self.save_operand(operand, equation)
            return
        for number, word in enumerate(self.words(equation).split()):
            self.save_word(word, number, equation, out)
        if equation.function == "rope" and self.is_torch:
            size = self.size((equation.out.axes[1], equation.out.axes[-1]))
            self.recorder.save(f"{SHARED}{size}", scaled(size, 2))  # sines and cosines, which all layers share

    def words(self, equation: Equation) -> str:
        """Return what autograd saves for a function, in the words of ``core/functions.py``."""
        function = FUNCTIONS[equation.function or ""]
        if not self.is_torch:
            return function.saves
        own = self.policy.code.words(equation, self.declaration)
        return own or (function.saves if function.torch is None else function.torch)

    def operand_width(self, equation: Equation) -> int:
        """Return the number of bytes per element of the operands that an equation saves."""
        if self.policy.fp8 and self.products(equation) and not self.declaration.logits:
            return FP8_BYTES
        code, before = self.policy.code, not self.has_weights
        in_fp32 = self.is_torch and code.has_fp32_operands(equation, self.declaration, before_softmax=before)
        return FP32_BYTES if in_fp32 else self.policy.bytes

    def products(self, equation: Equation) -> list[Operand]:
        """Return the matrices by which a contraction multiplies, without those of a router."""
        is_router = self.declaration.components.get(equation.text) == ROUTER
        found = [each for each in equation.operands if each.name in self.weights and self.weights[each.name].linear]
        return [] if equation.function or is_router else found

    def is_saved_by_norm(self, equation: Equation) -> bool:
        """Return whether the norm before a contraction already saves its operand."""
        return self.is_torch and self.policy.code.is_saved_by_norm(equation, self.declaration)

    def position_tables(self, equation: Equation) -> list[Operand]:
        """Return the constant position tables by which an equation multiplies. It then saves no operands."""
        known = self.versions.keys() | self.weights.keys() | self.from_weights
        is_constant = "constant" in equation.tags
        return [operand for operand in equation.operands if operand.name not in known] if is_constant else []

    def save_copies(self, tables: list[Operand]) -> None:
        """Save the copies of position tables that PyTorch makes for the gradient of a matrix."""
        for table in tables:
            if self.is_torch and table.axes:
                self.recorder.save(f"{self.place}.{table.name}", self.size(table.axes))

    def is_frozen(self, equation: Equation) -> bool:
        """Return whether a contraction's weight is frozen and has no adapter.

        If the weight has an adapter, also save the adapter's low-rank activation.
        """
        adapters = self.policy.adapters
        weights = [operand.name for operand in equation.operands if operand.name in self.weights]
        if adapters is None or not weights:
            return False
        if not any(name in adapters.targets for name in weights):
            return True
        rows = tuple(axis for axis in equation.out.axes if axis in ("b", "q", "n", "s", "k", "o"))
        place = f"{self.place}.{weights[0]}"
        self.recorder.save(f"{place}.adapter", scaled(self.size(rows), adapters.rank))
        for operand in equation.operands if self.policy.adapter_dropout else ():
            if axes := operand.axes if operand.name not in self.weights else ():
                self.recorder.save(f"{place}.dropped", self.size(axes))
                self.recorder.save(f"{place}.mask", self.size(axes, MASK_BYTES))
        return False

    def save_word(self, word: str, number: int, equation: Equation, out: str) -> None:
        """Save the tensors specified by one word in a function's ``saves``."""
        usual, axes, width = self.policy.bytes, equation.out.axes, self.operand_width(equation)
        first = equation.operands[0] if equation.operands else equation.out
        if word == "inputs":
            for operand in equation.operands:
                if not (self.policy.fused_activation and operand.name in self.activated):
                    self.save_operand(operand, equation, width=width)
        elif word == "input" or (word == "input32" and usual == FP32_BYTES):
            self.save_operand(first, equation, axes, width)
        elif word != "nothing" and not self.policy.serving:
            name, rows, element_bytes = {
                "input32": (f"{out}:input32", first.axes or self.axes.get(first.name) or axes, FP32_BYTES),
                "output": (out if width == usual else f"{out}:32", axes, width),
                "output32": (out if usual == FP32_BYTES else f"{out}:32", axes, FP32_BYTES),
                "hidden": (f"{out}:{number}", axes, width),
                "hidden32": (f"{out}:{number}", axes, FP32_BYTES),
                "row": (f"{out}:{number}", equation.rows, FP32_BYTES),
                "mask": (f"{out}:mask", axes, MASK_BYTES),
            }[word]
            self.recorder.save(name, self.size(rows, element_bytes))

    def save_operand(
        self, operand: Operand, equation: Equation, default_axes: tuple[str, ...] = (), width: int = 0
    ) -> None:
        """Save an operand unless it is a weight. ``default_axes`` apply if the operand has no explicit axes.

        If the operand is converted first, ``width`` is the number of bytes per element of the copy.
        """
        if self.is_from_weights(operand):
            self.save_matrix(operand, equation)
            return
        axes = operand.axes or self.axes.get(operand.name) or default_axes
        constant = "constant" in equation.tags and operand.name not in self.versions  # a position table
        if not axes or constant:
            return
        new = operand.name if operand.name == "src" else f"{self.place}.{operand.name}"
        name = self.versions.setdefault(operand.name, new)
        if self.policy.serving:  # without a backward pass
            return
        full = axes if operand.name == "x" else self.axes.get(operand.name, axes)  # a loop may read slices
        for inner, outer in equation.select:
            heads = isinstance(self.declaration.axes.get(inner), int)  # not the chunks of a scan
            heads &= outer not in self.axes.get(operand.name, ())  # repeated before
            if heads and inner in axes and self.is_torch:  # repeated for query heads
                repeated, whole = (tuple(outer if axis == inner else axis for axis in each) for each in (axes, full))
                if self.size(repeated, 1) >= self.size(axes, 1):
                    name, axes, full = f"{name}:repeated", repeated, whole
        if name in (f"{EARLIER_LAYER}.{other}" for other in self.declaration.elsewhere):
            return
        if width not in (0, self.policy.bytes):
            name = f"{name}{FP8_COPY}" if width == FP8_BYTES else f"{name}:32"
        # the first equation may read only one of several residual streams
        size = largest(self.size(axes, width), self.size(full, width))
        self.recorder.save(name, size, fixed_size=operand.name != "x")

    def save_matrix(self, operand: Operand, equation: Equation) -> None:
        """Save a matrix that PyTorch computes from weights, such as two concatenated tables, for a product."""
        is_matrix = operand.name in self.from_weights and equation.function is None and len(operand.axes) > 1
        if is_matrix and self.is_torch:
            self.recorder.save(self.versions.get(operand.name, f"{self.place}.{operand.name}"), self.size(operand.axes))

    def step(self, equation: Equation, out: str, fused: bool) -> Step:
        """Return the backward step of an equation."""
        read = [each for each in equation.operands if each.name in self.versions and each.name not in self.weights]
        named = [(self.versions[each.name], each.axes or self.axes.get(each.name, ())) for each in read]
        operands = [(version, self.gradient(axes, fused, equation, version)) for version, axes in named if axes]
        size = 0
        if self.policy.adapters is None and not self.policy.serving:  # gradients of adapters are too small to matter
            weights = [self.weights[operand.name] for operand in equation.operands if operand.name in self.weights]
            size = Sum(*[(tensor.name, self.recorder.weight_gradient(tensor, self.declaration)) for tensor in weights])
        gradient = self.gradient(equation.out.axes, fused, equation, out)
        has_gradient, words, mesh = (
            "nograd" not in equation.tags,
            self.recompute_words[equation.text],
            self.recorder.mesh,
        )
        summed = mesh.reduction(equation, self.declaration)[1] if mesh.sp and PRODUCT in words else 1
        partial = scaled(gradient, summed) if summed > 1 else 0
        return Step(equation.text, out, gradient, tuple(operands), size, has_gradient, words, partial)

    def gradient(self, axes: tuple[str, ...], fused: bool, equation: Equation, version: str) -> int:
        """Return the bytes of a tensor's gradient, or 0 for scores and probabilities in a fused attention kernel."""
        if version in self.unstored:
            return 0
        fused = fused or (self.policy.serving and "nograd" in equation.tags)
        if fused and {"q"} < set(axes) and set(axes) & self.key_axes:
            return 0
        if equation.function in SOFTMAX and "output32" in self.words(equation):
            self.fp32_gradients.add(version)
        return self.size(axes, FP32_BYTES if version in self.fp32_gradients else 0)

    def size(self, axes: tuple[str, ...], width: int = 0) -> int:
        """Return the bytes of a tensor, with ``width`` bytes per element (default: those of activations)."""
        return self.recorder.size(axes, self.declaration, width or self.policy.bytes)
