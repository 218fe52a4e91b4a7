"""NumPy models of preset-defined layer kinds, generated from the equations of each kind.

Contractions become einsums, and other equations call NumPy functions. A run checks shapes, counts, state and
causality, but not the equations themselves, since the model is generated from them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from math import prod
from typing import NoReturn

import numpy as np

from ..calc.walk import Conventions, executed, runs
from ..core.architecture import Architecture, declare
from ..core.declaration import Declaration, State
from ..core.description.text_kind import TextLayer
from ..core.description.text_tokens import READS_STATE, SCANS, SHIFT, SHIFTED, kernel_axis, state_of
from ..core.equation import Equation, Operand
from ..core.errors import UnsupportedError, short_repr
from ..core.expression import evaluate, names_in
from ..core.form import FUNCTIONS as ATOMS
from ..core.ledger import entries
from ..core.record import NamedTuple
from ..twins.convolution import causal_convolution
from ..twins.functions import ACTIVATIONS, divide_by_sum, l2norm, layernorm, rmsnorm, softcap, softmax, sqrt_softplus
from ..twins.rope import rotate_pairs
from ..twins.step import State as Cached
from ..twins.step import Step
from ..twins.weights import Array, Weight, Weights, constant
from .equation_scans import RUNNING, aligned, n_operands, scan

Axes = tuple[str, ...]

MOST_ELEMENTS, MOST_AXES = 2_000_000, 50  # of an array, or of the products of a contraction
NEW, PAST = "q", frozenset("ck")  # axis of the new tokens, and axes of cached tokens
REFUSED_TAGS = frozenset(("scan", "constant", "again"))
BOUND, EPS, THETA = 3.0, 1e-6, 10_000.0  # of clamp and softcap, norms, and rope
ELEMENTWISE: dict[str, Callable[[Array], Array]] = {
    **ACTIVATIONS,
    "sqrt_softplus": sqrt_softplus,
    "exp": np.exp,
    "abs": np.absolute,
    "softcap": lambda x: softcap(x, BOUND),
    "clamp": lambda x: np.clip(x, -BOUND, BOUND),
    "shares": divide_by_sum,
    **dict.fromkeys(("copy", "cast", "keep"), lambda x: x),
}
NORMS = {"rmsnorm": 1, "layernorm": 2, "l2norm": 1}  # with the largest number of weights


class Value(NamedTuple):
    """An array with its axes.

    ``is_masked`` is True if hidden entries are 0. ``n_summed`` is the number of products that a contraction sums
    into each entry.
    """

    array: Array
    axes: Axes
    is_masked: bool = False
    n_summed: int = 1


class EquationModel:
    """NumPy model of a preset-defined layer kind, with the same functions as the modules in ``twins``."""

    @staticmethod
    def weights(layer: TextLayer) -> list[Weight]:
        """Return the weights of a layer."""
        declaration, found = declare(layer), []
        for tensor in declaration.tensors:
            if tensor.active:
                raise _refusal(layer.kind(), f"{tensor.name} with active experts")
            groups = tuple(tuple(int(declaration.axes[axis]) for axis in group) for group in tensor.groups)
            if prod(size for group in groups for size in group) > MOST_ELEMENTS:
                raise _refusal(layer.kind(), f"a tensor as large as {tensor.name}")
            found.append(Weight(tensor.name, groups, tensor.linear, share=tensor.share, buffer=tensor.buffer))
        return found

    @staticmethod
    def forward(layer: TextLayer, w: Weights, x: Array, step: Step, state: Cached | None) -> Array:
        """Return the output of a layer, and update its state."""
        run = _Run(layer, w, x, step, state or {})
        for equation in run.equations:
            run.execute(equation)
        if state is not None:
            state.update(run.next_states())
        return run.output()


def generated_models(architecture: Architecture) -> dict[str, EquationModel]:
    """Return a mapping from an architecture's preset-defined layer kinds to generated NumPy models."""
    kinds = (entry.layer.kind() for entry in entries(architecture) if isinstance(entry.layer, TextLayer))
    return {kind: EquationModel() for kind in kinds}


def _refusal(kind: str, what: str) -> UnsupportedError:
    return UnsupportedError(f"the NumPy model generated from the equations does not implement {what}", where=kind)


class _Run:
    """Executes a layer's equations in one step."""

    def __init__(self, layer: TextLayer, w: Weights, x: Array, step: Step, state: Cached) -> None:
        self.layer, self.step, self.state = layer, step, state
        self.declaration: Declaration = declare(layer)
        batch, new = x.shape[:2]
        self.workload = {"b": batch, "q": new, "o": new, "c": step.cached, "k": step.cached + new}
        self.conventions = Conventions("decode" if step.decode else "prefill", "dense", None)
        self.equations = list(executed(self.declaration, self.conventions))
        self.states = [found for found in self.declaration.states if runs(found.tags, self.conventions)]
        self.input = x
        self.values = {tensor.name: Value(w.get(tensor.name), tensor.axes) for tensor in self.declaration.tensors}
        self.after: Cached = {}  # states that scans and convolutions compute
        self.computed = {"x"}
        self.values["x"] = Value(x, ("b", NEW, "d"))
        for found in self.states:
            if found.name not in self.values and not self.cached_axis(found):
                self.values[found.name] = Value(self.initial(found), found.axes)

    def refuse(self, what: str) -> NoReturn:
        raise _refusal(self.layer.kind(), what)

    def size(self, axis: str) -> int:
        """Return the length of an axis in this step."""
        length = self.declaration.axes.get(axis, self.workload.get(axis))
        if length is None:
            self.refuse(f"the axis {axis!r}")
        if isinstance(length, int):
            return length
        fixed = {name: size for name, size in self.declaration.axes.items() if isinstance(size, int)}
        if not names_in(length) <= {*self.workload, *fixed}:
            self.refuse(f"the length {short_repr(length)} of the axis {axis!r}")
        found = int(evaluate(length, {**self.workload, **fixed}, ATOMS))
        if found < 0:
            text = f"axis {axis}: the length {length} evaluates to {found} in this step"
            raise UnsupportedError(text, where=self.layer.kind())
        return found

    def is_past(self, axis: str) -> bool:
        """Return whether an axis contains cached tokens."""
        length = self.declaration.axes.get(axis, axis)
        return isinstance(length, str) and bool(names_in(length) & PAST)

    def cached_axis(self, state: State) -> str:
        """Return the axis of a state that contains cached tokens, or an empty string if there is none."""
        return next((axis for axis in state.axes if self.is_past(axis)), "")

    def initial(self, state: State) -> Array:
        """Return the cached array of a fixed-size state, or zeros if nothing is cached."""
        shape = tuple(map(self.size, state.axes))
        if prod(shape) > MOST_ELEMENTS:
            self.refuse(f"a state as large as {state.name}")
        return self.state[state.name] if state.name in self.state else np.zeros(shape)

    # ------------------------------------------------------------------ operands

    def read(self, operand: Operand) -> Value:
        """Return a tensor with the axes used in an equation, including any cached tokens."""
        if operand.name == SHIFTED and SHIFTED not in self.values:
            self.values[SHIFTED] = Value(self.shifted(), ("b", NEW, "d"))
        if operand.name not in self.values:
            self.refuse(f"{operand.name}, which has no value at this point,")
        value = self.values[operand.name]
        array, axes = value.array, operand.axes or value.axes
        for place, (own, wanted) in enumerate(zip(value.axes, axes, strict=True)):
            if own == NEW and wanted != NEW and self.is_past(wanted):
                array = self.with_cache(operand.name, array, place)
                first = max(
                    0, array.shape[place] - self.size(wanted)
                )  # of a state that keeps more tokens than are read
                array = array[(slice(None),) * place + (slice(first, None),)] if first else array
        if tuple(array.shape) != (shape := tuple(map(self.size, axes))):
            text = f"has the shape {tuple(array.shape)}, but {short_repr(' '.join(axes))} has the lengths {shape}"
            raise UnsupportedError(f"{operand.name} {text}", where=self.layer.kind())
        return value._replace(array=array, axes=axes)

    def with_cache(self, name: str, array: Array, place: int) -> Array:
        """Return a tensor's cached entries followed by its new entries."""
        if not self.step.decode:
            return array
        return np.concatenate([self.state[name], array], axis=place)

    def shifted(self) -> Array:
        """Return the layer input shifted by one token."""
        before = self.state[SHIFT] if SHIFT in self.state else np.zeros(self.input[:, 0].shape)
        return np.concatenate([before[:, None], self.input[:, :-1]], axis=1)

    def visible(self, axes: Axes) -> Array | None:
        """Return a Boolean array of visible (query, key) pairs, aligned to ``axes``, or None if there is no mask."""
        keys = next((axis for axis in axes if self.is_past(axis)), "")
        if not (self.declaration.mask and keys and NEW in axes):
            return None
        query = self.step.positions[:, None]
        total = self.workload["k"]
        key = np.arange(total - self.size(keys), total)[None, :]
        name, _, width = self.declaration.masks.get(keys, self.declaration.mask).partition(":")
        found = key <= query
        if name == "window":
            found &= query - key < int(width)
        elif name == "chunk":
            found &= query // int(width) == key // int(width)
        return aligned(found, (NEW, keys), axes)

    # ------------------------------------------------------------------ equations

    def execute(self, equation: Equation) -> None:
        """Compute and store the result of an equation."""
        for tag in sorted(equation.tags & REFUSED_TAGS):
            self.refuse(f"the tag {tag!r} in {short_repr(equation.text)}")
        if prod(map(self.size, equation.loops)) > MOST_ELEMENTS:
            self.refuse(f"as many products or elements as in {short_repr(equation.text)}")
        if equation.over:
            self.refuse(f"transforms along an axis, as in {short_repr(equation.text)}")
        made = self.contract(equation) if equation.function is None else self.apply(equation, equation.function)
        if "nograd" in equation.tags:
            made = made._replace(array=constant(made.array))
        if tuple(made.array.shape) != tuple(map(self.size, made.axes)):
            self.refuse(f"{short_repr(equation.text)}, whose result has the shape {tuple(made.array.shape)},")
        self.values[equation.out.name] = made
        self.computed.add(equation.out.name)

    def contract(self, equation: Equation) -> Value:
        """Compute a sum of products as an einsum of two arrays."""
        if len(equation.operands) != 2:
            self.refuse(f"a contraction of {len(equation.operands)} tensors: {short_repr(equation.text)}")
        weights = {tensor.name: tensor.axes for tensor in self.declaration.tensors}
        kernel, taps = kernel_axis(equation, weights)
        if kernel and weights[kernel] == (*equation.out.axes[2:], taps):
            return self.convolve(equation, kernel)
        terms = [self.masked(self.read(operand), equation) for operand in equation.operands]
        arrays, axes, out = [term.array for term in terms], [term.axes for term in terms], equation.out.axes
        for axis in equation.contracted:
            if not all(axis in term.axes for term in terms) and axis not in dict(equation.select).values():
                self.refuse(f"a sum over an axis of one tensor: {short_repr(equation.text)}")
        for inner, outer in equation.select:
            parts = self.size(inner), self.size(outer) // self.size(inner)
            if inner in out or self.size(outer) % parts[0] or any({inner, outer} <= {*one} for one in axes):
                self.refuse(f"the selection {inner}:{outer} in {short_repr(equation.text)}")
            arrays = [_split(array, one, outer, parts) for array, one in zip(arrays, axes, strict=True)]
            axes = [_split_axes(one, inner, outer) for one in axes]
            out = _split_axes(out, inner, outer)
        index = dict.fromkeys(axis for one in axes for axis in one)
        letters = {axis: chr(ord("A") + number + 6 * (number > 25)) for number, axis in enumerate(index)}
        if len(index) > MOST_AXES:
            self.refuse(f"a contraction over {len(index)} axes")
        left, right, result = ("".join(letters[axis] for axis in one) for one in (*axes, out))
        array = np.einsum(f"{left},{right}->{result}", *arrays)
        n_summed = prod(map(self.size, equation.contracted))
        return Value(array.reshape(*map(self.size, equation.out.axes)), equation.out.axes, n_summed=n_summed)

    def convolve(self, equation: Equation, kernel: str) -> Value:
        """Convolve each channel with its taps over the previous tokens, which the state of the kernel's name caches."""
        u = next(self.read(operand) for operand in equation.operands if operand.name != kernel)
        if kernel not in {state.name for state in self.states}:
            self.refuse(f"{short_repr(equation.text)} without a state named {kernel}")
        cached = {kernel: self.state[kernel]} if kernel in self.state else {}
        array = causal_convolution(u.array, self.values[kernel].array, None, cached, kernel)
        self.after |= cached
        return Value(array, equation.out.axes)

    def scan(self, equation: Equation, function: str) -> Value:
        """Compute a recurrence, and keep its state after the last token."""
        own = {state.name: state for state in self.states}
        state = state_of(equation, self.declaration)
        names = RUNNING if function == "wkv" else (state.name,) if state else ()
        if state is None or not own.keys() >= {*names} or NEW not in equation.out.axes:
            self.refuse(f"{short_repr(equation.text)} without the axis {NEW!r} or the state {' '.join(names)}")
        values = [self.read(operand) for operand in equation.operands[function in READS_STATE :]]
        axes = set(equation.out.axes).union(*(value.axes for value in values))
        least, most = n_operands(function)
        if not least <= len(values) <= most or not axes <= {NEW, *state.axes}:
            self.refuse(f"{function} of other than {least} to {most} tensors with axes of the state and {NEW!r}")
        before = [self.initial(own[name]) for name in names]
        first, *_ = values
        if function in READS_STATE and first.axes[:2] == ("b", NEW):  # gives it a gradient, as after a context
            before[0] = before[0] + 0.0 * aligned(first.array[:, 0], ("b", *first.axes[2:]), state.axes)
        arrays, inputs = [value.array for value in values], [value.axes for value in values]
        array, *after = scan(function, equation.out.axes, state.axes, before, arrays, inputs)
        self.after |= dict(zip(names, after, strict=True))
        if function in READS_STATE:
            self.values[state.name] = Value(after[0], state.axes)
        return Value(array, equation.out.axes)

    def masked(self, value: Value, equation: Equation) -> Value:
        """Set the masked entries of a tensor to 0 if an equation sums the tensor over keys."""
        is_summed = any(self.is_past(axis) for axis in value.axes if axis in equation.contracted)
        visible = self.visible(value.axes) if is_summed and not value.is_masked else None
        return value if visible is None else value._replace(array=value.array * visible)

    def apply(self, equation: Equation, function: str) -> Value:
        """Compute the result of an equation that applies a function to one or more tensors."""
        if function in SCANS:
            return self.scan(equation, function)
        values = [self.read(operand) for operand in equation.operands]
        if function == "rope":
            return self.rotate(equation, values[0])
        out = equation.out.axes
        if function in NORMS:
            return self.normalise(equation, function, values)
        arrays = [self.align(value, out, equation) for value in values]
        if function in ("add", "mul"):
            return Value(reduce(operator.add if function == "add" else operator.mul, arrays), out)
        if len(arrays) != 1:
            self.refuse(f"{function} of {len(arrays)} tensors")
        if function == "softmax":
            visible = self.visible(out) if self.is_past(out[-1]) else None
            scores = arrays[0] if visible is None else np.where(visible, arrays[0], -np.inf)
            return Value(softmax(scores), out, visible is not None)
        if function == "scale":  # as scores are scaled by 1 / sqrt(d_head)
            return Value(arrays[0] * values[0].n_summed ** -0.5, out)
        if function not in ELEMENTWISE:
            self.refuse(f"the function {function}")
        return Value(ELEMENTWISE[function](arrays[0]), out)

    def align(self, value: Value, out: Axes, equation: Equation) -> Array:
        """Return an array with dimensions that match the axes of the result."""
        if set(value.axes) <= set(out):
            return aligned(value.array, value.axes, out)
        if tuple(map(self.size, value.axes)) == tuple(map(self.size, out)):
            return value.array
        return self.refuse(f"{short_repr(equation.text)}, whose operands and result have different axes,")

    def normalise(self, equation: Equation, function: str, values: list[Value]) -> Value:
        """Normalise each row of a tensor, with optional scale and bias."""
        out, rows = equation.out.axes, equation.rows
        inner = out[len(rows) :]
        x, *parameters = values
        if len(parameters) > NORMS[function]:
            self.refuse(f"{function} with {len(parameters)} weights")
        if out[: len(rows)] != rows or any(value.axes != inner for value in parameters):
            self.refuse(f"the rows or weights of {short_repr(equation.text)}")
        flat = self.align(x, out, equation).reshape(*map(self.size, rows), -1)
        weights = [value.array.reshape(-1) for value in parameters]
        eps = float(getattr(self.layer, "norm_eps", EPS))
        if function == "l2norm":
            found = l2norm(flat) * weights[0] if weights else l2norm(flat)
        else:
            found = (rmsnorm if function == "rmsnorm" else layernorm)(flat, eps, *weights)
        return Value(found.reshape(*map(self.size, out)), out)

    def rotate(self, equation: Equation, value: Value) -> Value:
        """Rotate the first channels of each head by position-dependent angles."""
        width = self.size(equation.out.axes[-1])
        array = value.array
        if NEW not in value.axes or width % 2 or width > array.shape[-1]:
            self.refuse(f"{short_repr(equation.text)} with {width} channels")
        frequencies = float(getattr(self.layer, "rope_theta", THETA)) ** (-2.0 * np.arange(width // 2) / width)
        angles = self.step.positions[:, None] * frequencies
        last = value.axes[-1]
        sin, cos = (aligned(part, (NEW, last), value.axes) for part in (np.sin(angles), np.cos(angles)))
        turned = rotate_pairs(array[..., :width], sin, cos, False)
        if width < array.shape[-1]:
            turned = np.concatenate([turned, array[..., width:]], axis=-1)
        return Value(turned, value.axes)

    # ------------------------------------------------------------------ results

    def next_states(self) -> Cached:
        """Return all states after this step."""
        found: Cached = {}
        for state in self.states:
            place = state.axes.index(axis) if (axis := self.cached_axis(state)) else 0
            if state.name in self.after:
                found[state.name] = self.after[state.name]
            elif state.name == SHIFT and SHIFTED in self.values:
                found[SHIFT] = self.input[:, -1]
            elif state.name not in self.computed:
                self.refuse(f"the state {state.name}, which no equation computes")
            elif not axis:
                found[state.name] = self.values[state.name].array
            else:
                whole = self.with_cache(state.name, self.values[state.name].array, place)
                first = whole.shape[place] - self.size(axis)
                found[state.name] = whole[(slice(None),) * place + (slice(first, None),)]
        return found

    def output(self) -> Array:
        """Return the output of the layer."""
        value = self.values["y"]
        if tuple(value.array.shape) != tuple(self.input.shape) or value.axes[:2] != ("b", NEW):
            self.refuse(f"an output with the axes {short_repr(' '.join(value.axes))} instead of 'b q d'")
        return value.array


def _split(array: Array, axes: Axes, outer: str, parts: tuple[int, int]) -> Array:
    """Split the axis ``outer`` of an array into a group axis and an axis within each group."""
    if outer not in axes:
        return array
    place = axes.index(outer)
    return array.reshape(*array.shape[:place], *parts, *array.shape[place + 1 :])


def _split_axes(axes: Axes, inner: str, outer: str) -> Axes:
    """Return the axes of an array after ``_split``, where ``inner`` is the group axis."""
    return tuple(part for axis in axes for part in ((inner, f"{outer}'") if axis == outer else (axis,)))
