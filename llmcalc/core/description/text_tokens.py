"""Checks of a text kind's equations: the state that reading earlier tokens needs, and results that nothing reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..axes import WORKLOAD
from ..declaration import Declaration, State
from ..equation import Equation, Operand, read
from ..expression import names_in
from ..functions import FUNCTIONS, RECURRENCES
from ..record import NamedTuple

Axes = tuple[str, ...]

SOURCES: dict[str, Axes] = {  # axes of the tensors that equations read but do not compute
    "x": ("b", "q", "d"),  # the layer's input
    "shifted": ("b", "q", "d"),  # the input, shifted by one token
    "src": ("b", "n", "d"),  # the encoder's output
    "mask": ("q", "k"),  # the attention mask
}
OUTPUT = "y"
SHIFT, SHIFTED = "shift", "shifted"  # the state of the shifted input
READS_STATE = frozenset(("decayed_state", "gated_delta", "matrix_wkv"))  # recurrences whose first operand is the state
SCANS = RECURRENCES | READS_STATE
TOKENS, PAST = frozenset("qkcsn"), frozenset("kcs")  # axes of tokens, and those that include earlier tokens
EXCLUSIVE = ({"prefill", "decode"}, {"torch", "model"}, {"flash", "eager"})  # tags of equations that never run together


class MissingState(NamedTuple):
    """A tensor that the state lacks, the equation that needs it, and the entries that declare it."""

    equation: int
    problem: str
    remedy: str


def missing_state(declaration: Declaration) -> MissingState | None:
    """Return the first state that an equation needs in a decode step and that a kind does not declare."""
    for index, (equation, operands) in enumerate(resolved(declaration)):
        if "torch" not in equation.tags and (need := _Reader(declaration).need(equation, operands)):
            return MissingState(index, *need)
    return None


def resolved(declaration: Declaration) -> Iterator[tuple[Equation, list[tuple[Operand, Axes]]]]:
    """Yield each equation, and its operands with the axes that they were computed with."""
    shapes = SOURCES | {state.name: state.axes for state in declaration.states}
    shapes |= {tensor.name: tensor.axes for tensor in declaration.tensors}
    for equation in map(read, declaration.lines):
        operands = [(operand, shapes.get(operand.name, operand.axes)) for operand in equation.operands]
        yield equation, operands
        shapes[equation.out.name] = result_axes(equation, operands[0][1])


def result_axes(equation: Equation, first: Axes) -> Axes:
    """Return the axes of a result. That of ``rope`` also has the channels that are not rotated."""
    return first if equation.function == "rope" else equation.out.axes


def state_of(equation: Equation, declaration: Declaration) -> State | None:
    """Return the state of a recurrence: its first operand, or the state with the name or the axes of its result."""
    states = {state.name: state for state in declaration.states if state.role == "recurrent"}
    named = states.get((equation.operands[0] if equation.function in READS_STATE else equation.out).name)
    of_token = tuple(axis for axis in equation.out.axes if axis != "q")
    return named or next((state for state in states.values() if state.axes == of_token), None)


def is_updated(state: State, lines: tuple[str, ...]) -> bool:
    """Return whether equations compute a state: by its name, as the inputs of a convolution, or in a recurrence."""
    equations = [read(line) for line in lines]
    names = {operand.name for equation in equations for operand in equation.operands}
    computed = {"x"} | {equation.out.name for equation in equations} | ({SHIFT} if SHIFTED in names else set())
    is_scan = state.role == "recurrent" and any(equation.function in SCANS for equation in equations)
    return state.name in computed or is_scan or (state.role == "conv" and state.name in names)


def kernel_axis(equation: Equation, weights: Mapping[str, Axes]) -> tuple[str, str]:
    """Return the kernel of a convolution along the tokens and the axis of its taps, or two empty strings.

    The taps are an axis of the kernel only, over which the equation sums.
    """
    selected = {axis for pair in equation.select for axis in pair}
    for operand, other in (equation.operands, equation.operands[::-1]) if len(equation.operands) == 2 else ():
        taps = [axis for axis in equation.contracted if axis in operand.axes and axis not in {*other.axes, *selected}]
        if len(taps) == 1 and operand.name in weights and other.name not in weights:
            return operand.name, taps[0]
    return "", ""


class _Reader:
    """Finds the states that a declaration's equations need."""

    def __init__(self, declaration: Declaration) -> None:
        self.axes, self.declaration = declaration.axes, declaration
        self.weights = {tensor.name: tensor.axes for tensor in declaration.tensors}
        self.states = {state.name for state in declaration.states}

    def need(self, equation: Equation, operands: list[tuple[Operand, Axes]]) -> tuple[str, str] | None:
        """Return what an equation reads that is missing in the state, and the entries that declare it."""
        for operand, own in operands:
            place = self._past_axis(own, operand.axes)
            if place is not None and "prefill" not in equation.tags and operand.name not in self.states:
                tokens, added = self._cached_axis(operand.axes[place], own)
                spec = f"{operand.name}[{' '.join((*own[:place], tokens, *own[place + 1 :]))}]"
                return f"reads {operand.name} at earlier tokens", f'add "{spec}" to state{added}'
            if operand.name == SHIFTED and SHIFT not in self.states:
                return "reads the input of the previous token", _entry("shift[b d]", "recurrent")
        if equation.function in SCANS and "q" in equation.out.axes and not state_of(equation, self.declaration):
            axes = " ".join(axis for axis in equation.out.axes if axis != "q")
            return "is a recurrence over the tokens", _entry(f"{equation.out.name}[{axes}]", "recurrent")
        kernel, taps = kernel_axis(equation, self.weights)
        if kernel and not any(state.role == "conv" for state in self.declaration.states):
            axes = " ".join(axis for axis in self.weights[kernel] if axis != taps)
            return "convolves earlier tokens", f"{_entry(f'{kernel}[b {axes} Kt]', 'conv')}, and Kt: {taps} - 1 to axes"
        if not self.states and (mixed := self._mixed_axis(equation)):
            return f"combines tokens along {mixed}", _entry(
                "S[b ...]", "recurrent"
            ) + ", with what earlier tokens leave"
        return None

    def _names(self, axis: str) -> frozenset[str]:
        return frozenset(names_in(str(self.axes.get(axis, axis))))

    def _past_axis(self, own: Axes, read_as: Axes) -> int | None:
        """Return the place of an axis of new tokens that is read under the name of an axis with earlier tokens."""
        for place, (computed, wanted) in enumerate(zip(own, read_as, strict=False)):
            if self._names(computed) & TOKENS and not self._names(computed) & PAST and self._names(wanted) & PAST:
                return place
        return None

    def _cached_axis(self, keys: str, own: Axes) -> tuple[str, str]:
        """Return the axis of cached tokens for an axis of keys, and the entry that declares it if there is none."""
        if "s" in self._names(keys):
            return "s", ""
        # after a step, the new tokens are cached, too
        length = re.sub(r"\bc\b", "c + q", re.sub(r"\s*\+ q$", "", str(self.axes.get(keys, "c + q"))))
        known = next((axis for axis, other in self.axes.items() if other == length and axis != keys), "")
        free = next(name for name in ("t", "tk", "tc", "cached") if name not in {*self.axes, *WORKLOAD})
        return (known, "") if known else (free, f" and {free}: {length} to axes")

    def _mixed_axis(self, equation: Equation) -> str:
        """Return an axis of tokens that a result does not have, or one of two that it pairs, or an empty string."""
        selected = {axis for pair in equation.select for axis in pair}
        tokens = [axis for axis in equation.loops if self._names(axis) & TOKENS and axis not in selected]
        summed = next((axis for axis in tokens if axis not in equation.out.axes), "")
        is_transformed = bool(equation.over and self._names(equation.over) & TOKENS)
        return summed or (tokens[-1] if len(tokens) > 1 or is_transformed else "")


def _entry(spec: str, role: str) -> str:
    return f'add {{tensor: "{spec}", role: {role}}} to state'


def unread_result(lines: tuple[str, ...], kept: set[str]) -> int | None:
    """Return the first equation whose result is neither read nor the output, nor one of the states ``kept``.

    >>> unread_result(("a[b q d] = copy(x)", "a[b q d] = add(x, x)", "y[b q d] = copy(a)"), set())
    0
    """
    equations = [read(line) for line in lines]
    for index, equation in enumerate(equations):
        function = FUNCTIONS.get(equation.function or "")
        is_note = bool(function and not function.flops and function.saves != "nothing")  # such as keep
        if not is_note and not _is_read(equation, equations[index + 1 :], {OUTPUT, *kept}):
            return index
    return None


def _is_read(equation: Equation, later: list[Equation], kept: set[str]) -> bool:
    name, tags = equation.out.name, equation.tags
    for other in later:
        if any(pair <= tags | other.tags for pair in EXCLUSIVE):
            continue
        if any(operand.name == name for operand in other.operands):
            return True
        if other.out.name == name and not other.tags & _CONDITIONS - tags:
            return False
    return name in kept


_CONDITIONS = frozenset().union(*EXCLUSIVE, {"dropout"})
