"""Layer kinds that a preset defines under its key ``kinds``. ``plain_kinds.py`` converts them back to plain data.

    kinds:
      slot_memory:
        fields: {n_slots: int, d_slot: $d_model / 4}      # an integer, or a default that depends on other fields
        axes: {d: d_model, m: {size: n_slots, name: n_slots, meaning: learned memory slots}, e: d_slot}
        tensors: ["wq[d | e]", "keys[m; e]", "values[m; d]"]
        equations:
          - q[b q e] = x[b q d] wq[d e]
          - s[b q m] = q[b q e] keys[m e]
          - p[b q m] = softmax(s)
          - y[b q d] = p[b q m] values[m d]

Every kind has the field ``d_model``. Errors include the location of the invalid entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from .. import layers
from ..core.architecture import Stack
from ..core.axes import GLOSSARY, WORKLOAD
from ..core.declaration import Declaration
from ..core.description.text_definition import (
    TextAxis,
    TextField,
    TextKind,
    TextState,
    TextTensor,
    computation_order,
    window_of,
)
from ..core.description.text_kind import TextLayer, layer_class
from ..core.description.text_tokens import (
    OUTPUT,
    READS_STATE,
    SOURCES,
    is_updated,
    missing_state,
    result_axes,
    unread_results,
)
from ..core.equation import Equation, Operand, read
from ..core.errors import DescriptionError, SizeError, UnknownNameError, short_repr
from ..core.expression import names_in
from ..core.form import FUNCTIONS
from ..core.functions import FUNCTIONS as FUNCTIONS_OF_EQUATIONS
from ..core.layer import is_number
from ..core.ledger import stack_entries
from .plain_data import changed_errors

Path = tuple[Any, ...]
Axes = tuple[str, ...]

KEY = "kinds"
WIDTH = "d_model"  # a field of every kind
KEYS = "k"  # the only axis of the workload whose length a kind can change, as in window attention
INPUT = "x"
MASKS, WIDE_MASKS = ("causal",), ("window", "chunk")
DECODED = ("decoder", "auxiliary")  # roles of stacks that process a text token by token
FIELD_TYPES = ("int", "float")
ROLES = {  # of fields with the names that papers use
    "n_heads": "heads",
    "n_kv_heads": "kv_heads",
    "d_head": "head_widths",
    "d_ff": "hidden",
    "d_inner": "hidden",
    "window": "windows",
    "chunk": "chunks",
}
MOST_KINDS, MOST_ENTRIES, MOST_EQUATIONS, LONGEST = 100, 64, 200, 400
MOST_PRODUCTS = 8  # in the length of an axis that depends on the workload
SAME_AXES = ("add", "mul", "scale", "relu", "relu2", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "softplus", "exp")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,59}")
_AXIS = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}")


def read_kinds(data: Mapping[str, Any], reserved: Iterable[str]) -> dict[str, type[TextLayer]]:
    """Return the layer class of each kind. Kinds must not use the ``reserved`` names of sub-layer keys."""
    taken = {*reserved, *layers.kinds(), *layers.ALIASES}
    found: dict[str, type[TextLayer]] = {}
    with _under((KEY,)):
        _check_count("kinds", data, MOST_KINDS)
    for name, value in data.items():
        if value is None:
            continue
        with _under((KEY, name)):
            if name in taken:
                what = "a built-in layer kind" if name not in reserved else "a key of a sub-layer"
                raise DescriptionError(f"{name} is {what}; choose another name for the kind")
            if not _WORD.fullmatch(name):
                raise DescriptionError(f"invalid kind name {short_repr(name)}; use lower-case letters, digits and _")
            found[name] = layer_class(_read_kind(name, {key: part for key, part in value.items() if part is not None}))
    return found


def _under(path: Path) -> AbstractContextManager[None]:
    """Return a context that adds a key path to errors without a more precise location."""
    return changed_errors(lambda error: error.under(path))


def _each(
    name: str, key: str, entries: Any, read_entry: Callable[..., Any], most: int = MOST_ENTRIES
) -> tuple[Any, ...]:
    """Read the entries of a list or mapping. Errors are located at the entries that cause them."""
    path = (KEY, name, key)
    with _under(path):
        _check_count(key, entries, most)
    found = []
    pairs = entries.items() if isinstance(entries, dict) else ((index, (entry,)) for index, entry in enumerate(entries))
    for at, value in pairs:
        with _under((*path, at)):
            found.append(read_entry(at, value) if isinstance(entries, dict) else read_entry(*value))
    return tuple(found)


def _check_count(what: str, entries: Any, most: int) -> None:
    if len(entries) > most:
        raise DescriptionError(f"{len(entries)} entries in {what} exceed the limit of {most}")


def _read_kind(name: str, data: dict[str, Any]) -> TextKind:
    own = _each(name, "fields", {WIDTH: "int", **data.get("fields", {})}, _field)
    for field in own:
        with _under((KEY, name, "fields", field.name)):
            _check_names("field", names_in(str(field.default)) if field.is_derived else (), _int_fields(own))
    with _under((KEY, name, "fields")):
        computation_order(own)
    axes = _each(name, "axes", data.get("axes", {}), _axis)
    for axis in axes:
        with _under((KEY, name, "axes", axis.symbol)):
            _check_length(axis, axes, _int_fields(own))
    kind = TextKind(
        name, own, axes,
        _each(name, "tensors", data.get("tensors", []), _tensor),
        _each(name, "equations", data.get("equations", []), _equation, MOST_EQUATIONS),
        _each(name, "state", data.get("state", []), _state),
        _mask(name, data.get("mask", ""), _int_fields(own)),
        str(data.get("description", "")),
        str(data.get("source", "")),
    )  # fmt: skip
    _check_references(kind)
    windowed = window_of(next((axis.length for axis in axes if axis.symbol == KEYS), ""))
    if windowed and kind.mask == ("causal", ""):
        problem = f"axis {KEYS} has the keys of a window, which a causal mask does not hide"
        raise DescriptionError(problem, hint=f"mask: {{window: {windowed}}}").under((KEY, name, "mask"))
    return kind


def _field(name: str, value: Any) -> TextField:
    if not _WORD.fullmatch(name):
        raise DescriptionError(f"invalid field name {short_repr(name)}; use lower-case letters, digits and _")
    if hasattr(TextLayer, name):
        raise DescriptionError(f"a field cannot be called {name}; choose another name")
    role = ROLES.get(name, "")
    if value in FIELD_TYPES:
        return TextField(name, value, role=role)
    if isinstance(value, str) and value.startswith("$"):
        return TextField(name, "int", value[1:].strip(), role)
    if type(value) is int and value >= 1:
        return TextField(name, "int", value, role)
    if type(value) is float and is_number(value):
        return TextField(name, "float", value)
    forms = "int, float, a positive number, or an expression such as $4 * d_model"
    raise DescriptionError(f"{name} must be {forms}, not {short_repr(value)}")


def _int_fields(own: tuple[TextField, ...]) -> list[str]:
    return [field.name for field in own if field.type == "int"]


def _axis(symbol: str, value: Any) -> TextAxis:
    if not _AXIS.fullmatch(symbol):
        raise DescriptionError(f"invalid axis {short_repr(symbol)}; use letters and digits")
    if symbol in WORKLOAD and symbol != KEYS:
        raise DescriptionError(f"the length of axis {symbol} comes from the workload ({WORKLOAD[symbol]})")
    given = value if isinstance(value, dict) else {"size": value}
    length = given.get("size")
    if isinstance(length, str):
        length = length.removeprefix("$").strip()
    elif type(length) is not int or length < 1:
        raise SizeError(f"{symbol} must have a positive size or an expression, not {short_repr(length)}")
    name, meaning = (" ".join(_text(given.get(key) or "").split()) for key in ("name", "meaning"))
    if name and name != symbol and not _WORD.fullmatch(name):
        raise DescriptionError(f"invalid axis name {short_repr(name)}; use lower-case letters, digits and _")
    if not name and symbol not in WORKLOAD:  # a name that other kinds give the letter may mean something else here
        name = length if isinstance(length, str) and _WORD.fullmatch(length) else symbol
        name, meaning = ("", "") if GLOSSARY.get(symbol, ("",))[0] == name and not meaning else (name, meaning)
    return TextAxis(symbol, length, name, meaning, given.get("shard") or "")


def _check_length(axis: TextAxis, axes: tuple[TextAxis, ...], own: list[str]) -> None:
    """Check the names and operators in an axis's length expression."""
    if isinstance(axis.length, int) or names_in(axis.length) <= {*own}:
        return
    fixed = {other.symbol for other in axes if _is_fixed(other.length, own)}
    _check_names("axis or field", names_in(axis.length), [*own, *fixed, *WORKLOAD])
    if "/" in axis.length:
        raise DescriptionError(
            f"{axis.length} divides a length that depends on the workload", hint="use ceil(a, b) to round up"
        )
    if sum(map(axis.length.count, "*·")) > MOST_PRODUCTS:
        raise DescriptionError(f"{short_repr(axis.length)} has more than {MOST_PRODUCTS} products")


def _check_names(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            raise UnknownNameError(what, name, known, hint=f"known functions: {', '.join(FUNCTIONS)}")


def _tensor(value: Any) -> TextTensor:
    given = value if isinstance(value, dict) else {"tensor": value}
    options = {key: given[key] for key in ("share", "table", "buffer") if given.get(key) is not None}
    active = given.get("active")
    if active is not None and len(active) != 2:
        raise DescriptionError("active must be a pair of axes, such as [x, j]")
    return TextTensor(_text(given.get("tensor")), active=tuple(active) if active else None, **options)


def _state(value: Any) -> TextState:
    given = value if isinstance(value, dict) else {"tensor": value}
    return TextState(_text(given.get("tensor")), given.get("role") or "kv")


def _equation(value: Any) -> str:
    text = " ".join(_text(value).split())
    read(text)
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise DescriptionError(f"expected a string of at most {LONGEST} characters, not {short_repr(value)}")
    return value


def _mask(name: str, value: Any, own: list[str]) -> tuple[str, str]:
    with _under((KEY, name, "mask")):
        if value in ("", *MASKS):
            return value, ""
        if isinstance(value, dict) and len(value) == 1:
            mask, width = next(iter(value.items()))
            if mask in WIDE_MASKS:
                width = str(width).removeprefix("$").strip()
                _check_names("field", names_in(width), own)
                return mask, width
        forms = ", ".join([*MASKS, *(f"{{{mask}: size}}" for mask in WIDE_MASKS)])
        raise DescriptionError(f"mask must be one of {forms}, not {short_repr(value)}")


def _check_references(kind: TextKind) -> None:
    """Check that tensors, equations and states refer only to known axes and tensors."""
    known = {axis.symbol: 1 for axis in kind.axes}
    declaration = Declaration({**known})
    for index, tensor in enumerate(kind.tensors):
        with _under((KEY, kind.name, "tensors", index)):
            declaration.weights(tensor.spec)
            added = declaration.tensors[-1]
            if added.name in SOURCES or any(added.name == other.name for other in declaration.tensors[:-1]):
                raise DescriptionError(f"the name of tensor {added.name} is already in use")
            _check_names("axis", tensor.active or (), added.axes + tuple(known))
            for axis in added.axes:
                length = next(other.length for other in kind.axes if other.symbol == axis)
                if not _is_fixed(length, _int_fields(kind.fields)):
                    raise DescriptionError(
                        f"axis {axis} of tensor {added.name} has a length that depends on the workload"
                    )
    for index, state in enumerate(kind.states):
        with _under((KEY, kind.name, "state", index)):
            declaration.state(state.spec, state.role)
            _check_names("axis", declaration.states[-1].axes, [*known, *WORKLOAD])
    _check_equations(kind, declaration, [*known, *WORKLOAD])


def _check_equations(kind: TextKind, declaration: Declaration, axes: list[str]) -> None:
    shapes = SOURCES | {state.name: state.axes for state in declaration.states}
    weights, used = {tensor.name: tensor.axes for tensor in declaration.tensors}, set[str]()
    shapes |= weights
    sizes: dict[str, int | str] = {SOURCES[INPUT][-1]: WIDTH}
    sizes |= {axis.symbol: axis.length for axis in kind.axes if _is_fixed(axis.length, _int_fields(kind.fields))}
    for index, line in enumerate(kind.equations):
        with _under((KEY, kind.name, "equations", index)):
            equation = read(line)
            _check_equation(equation, axes, shapes)
            for operand in equation.operands:
                _check_renamed_axes(equation, operand, shapes[operand.name], sizes)
            _check_result_axes(equation)
            if equation.out.name in weights:
                raise DescriptionError(f"{equation.out.name} is a stored tensor; assign the result to another name")
            used |= {operand.name for operand in equation.operands}
            shapes[equation.out.name] = result_axes(equation, shapes[equation.operands[0].name])
    if OUTPUT not in shapes:
        problem = f"no equation of {kind.name} computes the output y[b q d]"
        raise DescriptionError(problem).under((KEY, kind.name, "equations"))
    for key, index, problem, hint in _unused(kind, declaration, used):
        raise DescriptionError(problem, hint=hint).under((KEY, kind.name, key, index))


def _unused(kind: TextKind, declaration: Declaration, used: set[str]) -> Iterator[tuple[str, int, str, str]]:
    """Yield the key, place, problem and remedy of tensors and results that nothing reads and of unknown states."""
    for index, tensor in enumerate(declaration.tensors):
        if tensor.name not in used:
            yield "tensors", index, f"no equation reads tensor {tensor.name}", ""
    for index, state in enumerate(declaration.states):
        if not is_updated(state, kind.equations):
            hint = f"compute {state.name} in an equation, or remove the state"
            yield "state", index, f"no equation computes the state {state.name}", hint
    for index in unread_results(kind.equations, {state.name for state in declaration.states}):
        equation = read(kind.equations[index])
        problem = f"no equation reads {equation.out.name}, which {short_repr(equation.text)} computes"
        yield "equations", index, problem, f"read it later, or remove this equation; the output is {OUTPUT}"


def _check_equation(equation: Equation, axes: list[str], shapes: Mapping[str, Axes]) -> None:
    """Check that an equation uses known axes and reads existing tensors with the correct number of axes."""
    if not equation.out.axes:
        raise DescriptionError(f"{equation.out.name} has no axes; specify them, as in {equation.out.name}[b q d]")
    for operand in (equation.out, *equation.operands):
        for axis in operand.axes:
            if axis not in axes:
                raise UnknownNameError("axis", axis, axes, hint=f"in {short_repr(equation.text)}")
    if equation.function in READS_STATE and equation.operands[0].name in shapes:
        state = equation.operands[0]
        hidden = [axis for axis in shapes[state.name] if axis not in {*state.axes, *equation.out.axes}]
        if hidden:
            message = f"{equation.function} computes all of {state.name}, but {hidden[0]} is not in its FLOPs"
            raise DescriptionError(message, hint=f"write {state.name}[{' '.join(shapes[state.name])}]")
    saves = FUNCTIONS_OF_EQUATIONS[equation.function].saves if equation.function else ""
    for operand in equation.operands:
        if operand.name in SOURCES and operand.name != INPUT and not operand.axes and "input" in saves:
            message = f"{equation.function} saves {operand.name} for its gradient; write the axes of {operand.name}"
            raise DescriptionError(message, hint=f"as in {operand.name}[b q d]")
        if operand.name not in shapes:
            hint = f"in {short_repr(equation.text)}; an equation reads tensors, earlier results, state and x"
            raise UnknownNameError("tensor", operand.name, shapes, hint=hint)
        wanted = len(shapes[operand.name])
        if operand.axes and len(operand.axes) != wanted:
            message = f"{operand.name} has {wanted} axes, but {short_repr(equation.text)} reads {len(operand.axes)}"
            raise DescriptionError(message)


def _check_renamed_axes(equation: Equation, operand: Operand, axes: Axes, sizes: Mapping[str, int | str]) -> None:
    """Check that an axis is read under another name only if both lengths depend on the workload, or are the same."""
    wanted = operand.axes
    if not wanted and equation.function in SAME_AXES and len(axes) == len(equation.out.axes):
        wanted = equation.out.axes
    for own, name in zip(axes, wanted, strict=False):  # other operands without axes are read as a whole
        if own != name and sizes.get(own) != sizes.get(name):
            message = f"{operand.name} has the axes {' '.join(axes)}, but {short_repr(equation.text)} reads {name}"
            raise DescriptionError(message, hint=f"{own} and {name} have different lengths")


def check_states(stacks: Iterable[Stack]) -> None:
    """Check that the state of each kind in a decoder contains what its equations read from earlier tokens."""
    entries = (entry for stack in stacks if stack.role in DECODED for entry in stack_entries(stack))
    for layer in dict.fromkeys(entry.layer for entry in entries if isinstance(entry.layer, TextLayer)):
        missing = missing_state(layer.declare())
        if missing is not None:
            path = (KEY, layer.kind(), "equations", missing.equation)
            problem = f"{short_repr(layer.definition.equations[missing.equation])} {missing.problem}"
            raise DescriptionError(problem, hint=missing.remedy).under(path)


def _check_result_axes(equation: Equation) -> None:
    """Check that each axis of a contraction's result is an axis of a tensor that it reads."""
    named = {axis for operand in equation.operands for axis in operand.axes}.union(*equation.select)
    for axis in equation.out.axes if equation.function is None else ():
        if axis not in named:
            problem = f"axis {axis} of {equation.out.name} is in no tensor on the right of {short_repr(equation.text)}"
            raise DescriptionError(problem)


def _is_fixed(length: int | str, fields: list[str]) -> bool:
    """Return whether a length depends on fields only, and not on the workload."""
    return isinstance(length, int) or names_in(length) <= {*fields}
