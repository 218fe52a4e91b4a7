"""One declaration while it is walked: which tensor each name means at the moment, and what each equation keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.declaration import Declaration, Tensor
from ...core.equation import Equation, Operand
from ...core.functions import FUNCTIONS
from .recompute import BYTE, SINGLE, Step

if TYPE_CHECKING:
    from .liveness import Trace

ELSEWHERE = "elsewhere"  # where tensors stand that an earlier layer keeps


class Scope:
    """The names of one declaration while it is walked: versions of tensors and their axes."""

    def __init__(
        self, trace: Trace, declaration: Declaration, place: str, weights: dict[str, Tensor], known: dict[str, str]
    ) -> None:
        self.trace, self.declaration, self.place, self.weights = trace, declaration, place, weights
        self.identity = known | {name: f"{ELSEWHERE}.{name}" for name in declaration.elsewhere}
        self.axes: dict[str, tuple[str, ...]] = {"x": ("b", "q", "d")}
        self.inside: set[str] = set()
        self.of_weights: set[str] = set()  # results that are made of weights element by element
        self.single: set[str] = set()  # tensors whose gradient is in fp32
        self.last = known["x"]

    def equation(self, equation: Equation) -> None:
        """Keep what the equation needs, then give its result a new identity."""
        policy = self.trace.policy
        core = "core" in equation.tags
        fused = core and (policy.attention == "flash" or policy.recompute == "selective")
        if "scan" in equation.tags and policy.scan == "fused":
            fused = True
            self.inside |= {state.name for state in self.declaration.states} - self.identity.keys()  # zeros at first
        out = f"{self.place}.{equation.out.name}@{len(self.trace.steps)}"
        if equation.function and all(self.is_of_weights(operand, equation) for operand in equation.operands):
            self.of_weights.add(equation.out.name)  # can be had again from what is there anyway
        elif "nograd" not in equation.tags:
            self.save(equation, out, fused)
        self.trace.steps.append(self.step(equation, out, fused))
        if equation.function == "cast" and policy.bytes == SINGLE:
            out = self.identity.get(equation.operands[0].name, out)
        if self.copies(equation):
            out = self.identity[equation.operands[0].name]
        self.identity[equation.out.name] = out
        self.axes[equation.out.name] = equation.out.axes or self.axes.get(equation.out.name, ())
        if core or "scan" in equation.tags:
            self.inside.add(equation.out.name)
        self.last = out

    def is_of_weights(self, operand: Operand, equation: Equation | None = None) -> bool:
        """Whether an operand is a weight, or made of weights element by element; or, in an equation that has one, a
        constant.
        """
        if operand.name in self.weights or operand.name in self.of_weights:
            return True
        return equation is not None and "constant" in equation.tags and operand.name not in self.identity

    def copies(self, equation: Equation) -> bool:
        """Whether an equation gives a known tensor another name, and makes it no larger."""
        (given, *others), trace = equation.operands, self.trace
        axes = given.axes or self.axes.get(given.name, ())
        if equation.function != "copy" or others or given.name not in self.identity or not axes:
            return False
        return trace.size(equation.out.axes, self.declaration, BYTE) == trace.size(axes, self.declaration, BYTE)

    def save(self, equation: Equation, out: str, fused: bool) -> None:
        """Keep what the derivative of an equation needs; a fused kernel keeps nothing between its ends."""
        if equation.function is None:
            if not (self.frozen(equation) or self.by_table(equation)):
                for operand in equation.operands:
                    if not (fused and operand.name in self.inside):
                        self.save_operand(operand, equation)
            return
        function = FUNCTIONS[equation.function]
        if fused:  # what goes in, if the derivative needs it, or its result, which is computed again
            for operand in equation.operands if function.saves != "nothing" else ():
                if operand.name not in self.inside:
                    self.save_operand(operand, equation)
            return
        torch = self.trace.policy.convention == "torch"
        words = (function.torch if torch and function.torch is not None else function.saves).split()
        for number, word in enumerate(words):
            self.save_word(word, number, equation, out)

    def by_table(self, equation: Equation) -> bool:
        """Whether a contraction is with a table of positions, which is all that its derivative needs."""
        made = self.identity.keys() | self.weights.keys() | self.of_weights
        return "constant" in equation.tags and any(operand.name not in made for operand in equation.operands)

    def frozen(self, equation: Equation) -> bool:
        """Whether a contraction is with a weight that is not trained; an adapter keeps its input and inner vector."""
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
        """Keep what one word of a function's ``saves`` names."""
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
            trace.keep(f"{out}:{number}", trace.size(equation.rows, self.declaration, SINGLE))
        elif word == "mask":
            trace.keep(f"{out}:mask", trace.size(axes, self.declaration, BYTE))

    def save_operand(self, operand: Operand, equation: Equation, like: tuple[str, ...] = ()) -> None:
        """Keep an operand, unless it is a weight. ``like`` gives the axes of one that is read without any."""
        if self.is_of_weights(operand):
            return
        axes = operand.axes or self.axes.get(operand.name) or like
        constant = "constant" in equation.tags and operand.name not in self.identity  # a table of positions
        if not axes or constant:
            return
        new = operand.name if operand.name == "src" else f"{self.place}.{operand.name}"
        name = self.identity.setdefault(operand.name, new)
        for inner, outer in equation.select:
            if inner in axes and self.trace.policy.convention == "torch":  # repeated for the heads that share it
                repeated = tuple(outer if axis == inner else axis for axis in axes)
                if self.trace.size(repeated, self.declaration, BYTE) >= self.trace.size(axes, self.declaration, BYTE):
                    name, axes = f"{name}:repeated", repeated
        if name in (f"{ELSEWHERE}.{of}" for of in self.declaration.elsewhere):
            return
        made = axes if operand.name == "x" else self.axes.get(operand.name, axes)  # a loop may read it piece by piece
        sizes = (self.trace.size(each, self.declaration, self.trace.policy.bytes) for each in (axes, made))
        self.trace.keep(name, max(sizes), whole=operand.name != "x")  # of several streams, one may be read first

    def step(self, equation: Equation, out: str, fused: bool) -> Step:
        """Note the sizes of an equation's gradients."""
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
