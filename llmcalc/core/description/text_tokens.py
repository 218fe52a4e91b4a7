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
from .text_definition import evaluated

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
CONTEXTS = (1, 10, 1_000, 1_000_003)  # numbers of cached tokens for which the state must suffice
EXCLUSIVE = ({"prefill", "decode"}, {"torch", "model"}, {"flash", "eager"})  # tags of equations that never run together


class MissingState(NamedTuple):
    """A tensor that the state lacks, the equation that needs it, and the entries that declare it."""

    equation: int
    problem: str
    remedy: str


def missing_state(declaration: Declaration) -> MissingState | None:
    """Return the first state that an equation needs in a decode step and that a kind does not declare."""
    reader = _Reader(declaration)
    for index, (equation, operands) in enumerate(resolved(declaration)):
        if "torch" not in equation.tags and (need := reader.need(equation, operands)):
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
        self.states = {state.name: state for state in declaration.states}

    def need(self, equation: Equation, operands: list[tuple[Operand, Axes]]) -> tuple[str, str] | None:
        """Return what an equation reads that the state does not contain, and the entries that declare it."""
        for operand, own in operands:
            if "prefill" not in equation.tags and (found := self._earlier_tokens(operand, own)):
                return found
            if operand.name == SHIFTED and SHIFT not in self.states:
                return "reads the input of the previous token, but state has no shift", _entry("shift[b d]")
        if equation.function in SCANS and "q" in equation.out.axes and not state_of(equation, self.declaration):
            axes = " ".join(axis for axis in equation.out.axes if axis != "q")
            return "is a recurrence over the tokens without state", _entry(f"{equation.out.name}[{axes}]")
        kernel, taps = kernel_axis(equation, self.weights)
        if kernel and not any(state.role == "conv" for state in self.states.values()):
            axes = " ".join(axis for axis in self.weights[kernel] if axis != taps)
            rows = self._axis(f"{taps} - 1", "Kt", "rows")
            entry = _entry(f"{kernel}[b {axes} {rows}]", "conv") + self._added(rows, f"{taps} - 1")
            return "convolves earlier tokens, which are not in state", entry
        if not self.states and (mixed := self._mixed_axis(equation)):
            return f"combines tokens along {mixed} without state", _entry("S[b ...]") + " for what earlier tokens leave"
        return None

    def _earlier_tokens(self, operand: Operand, own: Axes) -> tuple[str, str] | None:
        place = self._past_axis(own, operand.axes)
        if place is None:
            return None
        keys, state = operand.axes[place], self.states.get(operand.name)
        tokens, length = self._cached_axis(keys)
        if state is None:
            spec = f"{operand.name}[{' '.join((*own[:place], tokens, *own[place + 1 :]))}]"
            entry = f'add "{spec}" to state{self._added(tokens, length)}'
            return f"reads {operand.name} at earlier tokens, which are not in state", entry
        kept = state.axes[place] if place < len(state.axes) else ""
        for cached in CONTEXTS if "s" not in self._names(keys) else ():
            n_read, n_kept = self._length(keys, cached, 1) - 1, self._length(kept, 0, cached)
            if n_kept < n_read:
                problem = f"reads {operand.name} at {n_read:,} of {cached:,} earlier tokens, but state keeps {n_kept:,}"
                return problem, f"{kept}: {length} in axes"
        return None

    def _length(self, axis: str, cached: int, new: int) -> int:
        sizes = {name: size for name, size in self.axes.items() if isinstance(size, int)}
        sizes |= dict.fromkeys(WORKLOAD, 1) | {"c": cached, "q": new, "k": cached + new} | {"": 0}
        return int(evaluated(f"axis {axis}", str(self.axes.get(axis, axis or 0)), sizes))

    def _names(self, axis: str) -> frozenset[str]:
        return frozenset(names_in(str(self.axes.get(axis, axis))))

    def _past_axis(self, own: Axes, read_as: Axes) -> int | None:
        """Return the place of an axis of new tokens that is read under the name of an axis with earlier tokens."""
        for place, (computed, wanted) in enumerate(zip(own, read_as, strict=False)):
            if self._names(computed) & TOKENS and not self._names(computed) & PAST and self._names(wanted) & PAST:
                return place
        return None

    def _cached_axis(self, keys: str) -> tuple[str, str]:
        """Return the axis of cached tokens for an axis of keys, or a free name for it, and its length."""
        if "s" in self._names(keys):
            return "s", ""
        # after a step, the new tokens are cached, too
        length = re.sub(r"\bc\b", "c + q", re.sub(r"\s*\+ q$", "", str(self.axes.get(keys, "c + q"))))
        return self._axis(length, "t", "tk", "tc", "cached"), length

    def _axis(self, length: str, *names: str) -> str:
        """Return the axis of a length, or the first of several names that is free for it."""
        known = (axis for axis, other in self.axes.items() if other == length)
        return next(known, "") or next((name for name in names if name not in self.axes), names[-1])

    def _added(self, axis: str, length: str) -> str:
        return "" if axis in self.axes or axis in WORKLOAD else f" and {axis}: {length} to axes"

    def _mixed_axis(self, equation: Equation) -> str:
        """Return an axis of tokens that a result does not have, or one of two that it pairs, or an empty string."""
        selected = {axis for pair in equation.select for axis in pair}
        tokens = [axis for axis in equation.loops if self._names(axis) & TOKENS and axis not in selected]
        summed = next((axis for axis in tokens if axis not in equation.out.axes), "")
        is_transformed = bool(equation.over and self._names(equation.over) & TOKENS)
        return summed or (tokens[-1] if len(tokens) > 1 or is_transformed else "")


def _entry(spec: str, role: str = "recurrent") -> str:
    return f'add {{tensor: "{spec}", role: {role}}} to state'


def unread_results(lines: tuple[str, ...], kept: set[str]) -> Iterator[int]:
    """Yield the equations whose results are neither read nor the output, nor the states ``kept``.

    >>> list(unread_results(("a[b q d] = copy(x)", "a[b q d] = add(x, x)", "y[b q d] = copy(a)"), set()))
    [0]
    """
    equations = [read(line) for line in lines]
    for index, equation in enumerate(equations):
        function = FUNCTIONS.get(equation.function or "")
        is_note = function and not function.flops and function.saves != "nothing"  # such as keep
        if not is_note and not _is_read(equation, equations[index + 1 :], {OUTPUT, *kept}):
            yield index


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
