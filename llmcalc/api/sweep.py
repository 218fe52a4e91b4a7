"""Evaluation of quantities over a grid of workloads with NumPy.

Coefficients are exact integers, but arguments are float64. Values are therefore accurate to 1 part in 10^15 and
marked ``exact=False``. A maximum over time, such as peak memory, has no closed form and is evaluated pointwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

from ..calc.flops import Flops, flops
from ..calc.kv_cache import state
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError, UnknownNameError, short_repr
from ..core.form import Form, lift
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, fields, record
from ..core.setting import BATCH, CONTEXT, SEQ, TARGET_SEQ, known_choice, read_texts
from ..core.workload import Workload, symbol_values
from .defaults import default_seq
from .load import Source, load
from .memory import memory as memory_of
from .names import number_format
from .settings import DEPENDS, read_settings, split_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

AXES = {each.name: changed(each, default=0) for each in (BATCH, SEQ, CONTEXT, TARGET_SEQ)}
SCALES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}  # of context lengths
MOST_POINTWISE = 20_000
NOTHING: dict[str, Any] = {}  # shared, never written to
BLOCK = 2**15  # points per block, so that a block stays in the CPU cache
_NUMBER = re.compile(r"(\d{1,18})([kmg]?)", re.IGNORECASE)
_RANGE = re.compile(r"(\w+)\.\.(\w+):([x+])(\w+)")

UNITS = {"params": "parameters", "flops": "FLOPs", "state": "elements", "memory": "bytes"}
PARTS = {
    "params": ("total", "active", "embedding", "non_embedding"),
    "flops": ("total", "matmul", "other", "forward", "backward"),
    "state": ("elements", "bytes"),
    "memory": ("peak", "weights", "gradients", "optimizer", "activations", "state"),
}
QUANTITIES = tuple(f"{group}.{part}" for group, parts in PARTS.items() for part in parts)


@record
class Axis:
    """A swept workload size and its values."""

    name: str
    values: tuple[int, ...]


@record
class Sweep(NotebookDisplay):
    """Quantities on a grid. ``values[quantity]`` is an array with one dimension per axis.

    Attributes:
        architecture: model that was evaluated.
        axes: swept sizes.
        fixed: fixed sizes and settings of the workload.
        values: float64 array for each quantity.
        forms: closed form for each quantity that has one.
        memory: arguments of ``llmcalc.memory``, if a quantity depends on them.
        exact: always False, because the arguments are floats.
    """

    architecture: Architecture
    axes: tuple[Axis, ...]
    fixed: dict[str, Any]
    values: dict[str, NDArray[Any]]
    forms: dict[str, Form]
    memory: dict[str, Any] = NOTHING
    exact: bool = False

    @property
    def points(self) -> int:
        """Number of grid points."""
        return prod(len(axis.values) for axis in self.axes)

    @property
    def summary(self) -> str:
        """One-line summary of the quantities and axes."""
        axes = " × ".join(f"{axis.name} {len(axis.values)}" for axis in self.axes)
        return f"{self.architecture.name}: {', '.join(self.values)} over {axes}"

    def to_dict(self) -> dict[str, Any]:
        """Return the axes, values and closed forms as a plain dictionary."""
        return {
            "axes": {axis.name: list(axis.values) for axis in self.axes},
            "values": {name: array.tolist() for name, array in self.values.items()},
            "closed_forms": {name: str(form) for name, form in self.forms.items()},
        }


Over = str | Mapping[str, Sequence[int]] | Sequence[str | Axis]  # what varies


def read_axis(text: str) -> Axis:
    """Parse an axis such as ``seq=1k..1M:x2``, ``batch=1,8,64`` or ``seq=10..100:+10``, where k is 1024.

    >>> read_axis("seq=1k..8k:x2"), read_axis("batch=1,8")
    (Axis(name='seq', values=(1024, 2048, 4096, 8192)), Axis(name='batch', values=(1, 8)))
    """
    name, equals, given = text.partition("=") if isinstance(text, str) else ("", "", "")
    if not name:
        raise InputError(f"invalid range {short_repr(text)}", parameter="over", hint="use seq=1k..1M:x2 or batch=1,8")
    axis = _axis(name.strip().replace("-", "_"), _values(given.strip()) if equals else ())
    if not axis.values:
        hint = "use seq=1k..1M:x2, seq=1k..32k:+1k or batch=1,8,64"
        raise InputError(f"invalid range {text!r}", parameter="over", hint=hint)
    return axis


def _axis(name: str, values: tuple[int, ...]) -> Axis:
    if name not in AXES:
        hint = f"use one of {', '.join(AXES)}; {{overrides}} changes the model itself"
        raise UnknownNameError("sweep variable", name, AXES, parameter="over", hint=hint)
    for value in values:
        AXES[name].check(value)
    return Axis(name, values)


def _values(text: str) -> tuple[int, ...]:
    if match := _RANGE.fullmatch(text):
        first, last, step = (_number(match[place]) for place in (1, 2, 4))
        if first is None or last is None or step is None or (step < 2 if match[3] == "x" else step < 1) or first < 1:
            return ()
        found = []
        while first <= last:
            found.append(first)
            first = first * step if match[3] == "x" else first + step
        return tuple(found)
    numbers = [_number(part.strip()) for part in text.split(",")]
    return tuple(number for number in numbers if number is not None) if None not in numbers else ()


def _number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text)
    return int(match[1]) * SCALES[match[2].lower()] if match else None


def sweep(model: Source, quantities: str | Sequence[str], over: Over, **settings: Any) -> Sweep:
    """Evaluate quantities on a grid of workload sizes.

    >>> import llmcalc
    >>> llmcalc.sweep("gpt3", "flops.total", over={"seq": [1024, 2048]}).values["flops.total"].tolist()
    [360083220332544.0, 725172225048576.0]

    Args:
        model: an architecture, or anything ``load`` reads.
        quantities: one or more names, such as ``flops.total``, ``state.bytes`` or ``memory.peak``.
        over: values by size, such as ``{"seq": [1024, 2048]}``; or one or more strings such as ``"seq=1k..1M:x2"``.
        settings: parameters of ``flops`` (with ``attention`` renamed ``pairs``) and of ``memory``; ``training=True``
            evaluates the memory of a training step.

    Raises:
        UnknownNameError: an unknown quantity or size.
        InputError: settings that no quantity depends on, or an invalid workload.
    """
    names = [quantities] if isinstance(quantities, str) else list(read_texts(quantities, "quantities"))
    _check_names(names)
    axes = _axes(over)
    varied = [axis.name for axis in axes]
    groups = {name.partition(".")[0] for name in names}
    for name in settings.keys() & varied:
        raise InputError("cannot be both fixed and swept", parameter=name, hint="omit it, or remove it from {over}")
    depends = tuple(setting for group in groups for setting in DEPENDS[group])
    settings = read_settings(" or ".join(names), depends, settings)
    sizes, step, of_memory, convention = split_settings(settings, varied=varied)
    architecture = load(model)
    if sizes["seq"] is None:
        sizes["seq"] = default_seq(architecture, mode=step["mode"])
    return evaluate_grid(architecture, axes, names, of_memory, **sizes, **step, convention=convention)


def _as_tuple(values: object) -> tuple[Any, ...]:
    found = tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else ()
    if not found:
        raise InputError(f"must be a list of integers, not {short_repr(values)}", parameter="over")
    return found


def _axes(over: Over) -> list[Axis]:
    if isinstance(over, str):
        over = [over]
    if isinstance(over, Mapping):
        return [_axis(name, _as_tuple(values)) for name, values in over.items()]
    given = over if isinstance(over, Iterable) else (over,)
    found = [one if isinstance(one, Axis) else read_axis(one) for one in given]
    if not found:
        raise InputError("no range to sweep", parameter="over", hint="use a range such as seq=1k..32k:x2")
    return found


def _check_names(quantities: Sequence[str]) -> None:
    if not quantities:
        raise InputError("no quantity to evaluate", parameter="quantities", hint="use a name such as flops.total")
    for name in quantities:
        known_choice("quantity", name, QUANTITIES, "quantities")


def evaluate_grid(
    architecture: Architecture, axes: Sequence[Axis], quantities: Sequence[str], memory: dict[str, Any], **fixed: Any
) -> Sweep:
    """Evaluate quantities on a grid, given the arguments of ``memory`` and the fixed workload settings."""
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} appears twice", parameter="over", hint="put all values in one list")
    _check_names(quantities)
    smallest = Workload(**{**fixed, **{axis.name: min(axis.values) for axis in axes}})
    largest = Workload(**{**fixed, **{axis.name: max(axis.values) for axis in axes}})
    largest.values(architecture)  # sizes beyond the model's are an error, not a value
    found: dict[str, NDArray[Any]] = {}
    forms: dict[str, Form] = {}
    for quantity in quantities:
        form, divisor = _form(architecture, quantity, smallest, memory)
        if form is None:
            found[quantity] = _pointwise(axes, partial(_memory, architecture, quantity, memory, fixed))
        else:
            mode = smallest.mode if quantity.startswith("flops") else "forward"
            forms[quantity if divisor == 1 else f"{divisor}·{quantity}"] = form
            found[quantity] = evaluate(form, architecture, axes, fixed, mode) / divisor
    needs_memory = any(quantity.startswith(("state", "memory")) for quantity in quantities)
    return Sweep(architecture, tuple(axes), fixed, found, forms, memory if needs_memory else NOTHING)


def evaluate(
    form: Form, architecture: Architecture, axes: Sequence[Axis], fixed: dict[str, Any], mode: str
) -> NDArray[Any]:
    """Evaluate a closed form on a grid, in blocks along the first axis."""
    import numpy

    shape = tuple(len(axis.values) for axis in axes)
    result = numpy.empty(shape)
    columns = numpy.ix_(*(numpy.array(axis.values, dtype=numpy.float64) for axis in axes))
    rows = max(BLOCK // max(prod(shape[1:]), 1), 1)
    two_lengths = architecture.is_encoder_decoder and mode != "decode"
    base = {field.name: field.default for field in fields(Workload)} | fixed
    for start in range(0, shape[0], rows):
        part = slice(start, start + rows)
        arrays = [columns[0][part], *columns[1:]]
        sizes = base | dict(zip((axis.name for axis in axes), arrays, strict=True))
        result[part] = form(**symbol_values(two_lengths, sizes))
    return result


def _form(
    architecture: Architecture, quantity: str, workload: Workload, memory: dict[str, Any]
) -> tuple[Form | None, int]:
    """Return the closed form of a quantity (or None) and the divisor to apply to its value."""
    group, part = quantity.split(".")
    if group == "params":
        return lift(int(getattr(params(architecture), part))), 1
    if group == "flops":
        sizes = {field.name: getattr(workload, field.name) for field in fields(workload)}
        return _flops_form(flops(architecture, **sizes), part), 1
    serving = memory.get("mode", "inference") == "inference"
    if group == "memory" and not (serving and part == "state"):
        return None, 1
    cache = number_format(memory["cache"], "cache") if memory.get("cache") else None
    size = state(
        architecture, batch=workload.batch, seq=workload.seq, target_seq=workload.target_seq,
        dtype=memory.get("dtype", "bf16"), cache=cache, page=memory.get("page"), beams=memory.get("beams", 1),
        convention=workload.convention, extend=True,
    )  # fmt: skip
    if part == "elements":
        return size.form, 1
    bits = size.bits_form  # in bytes if all coefficients allow it
    if any(factor % BITS_A_BYTE for factor in bits.terms.values()):
        return bits, BITS_A_BYTE
    return Form({atoms: factor // BITS_A_BYTE for atoms, factor in bits.terms.items()}), 1


def _flops_form(result: Flops, part: str) -> Form:
    return {
        "total": result.form,
        "matmul": result.matmul_form + result.backward_form,
        "other": result.form - result.matmul_form - result.backward_form,
        "forward": result.matmul_form,
        "backward": result.backward_form,
    }[part]


def _memory(
    architecture: Architecture, quantity: str, memory: dict[str, Any], fixed: dict[str, Any], sizes: dict[str, int]
) -> int:
    names = ("batch", "seq", "target_seq", "extend", "convention")
    workload = {name: value for name, value in {**fixed, **sizes}.items() if name in names}
    return int(getattr(memory_of(architecture, **(memory | workload)), quantity.partition(".")[2]))


def _pointwise(axes: Sequence[Axis], value: Callable[[dict[str, int]], int]) -> NDArray[Any]:
    import numpy

    shape = tuple(len(axis.values) for axis in axes)
    if prod(shape) > MOST_POINTWISE:
        hint = f"peak memory is evaluated point by point, for at most {MOST_POINTWISE:,} points"
        raise SizeError(f"too many points ({prod(shape):,})", parameter="over", hint=hint)
    result = numpy.empty(shape)
    for place in numpy.ndindex(*shape):
        sizes: dict[str, int] = {axis.name: axis.values[int(at)] for axis, at in zip(axes, place, strict=True)}
        result[place] = value(sizes)
    return result
