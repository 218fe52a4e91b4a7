"""Evaluation of quantities over a grid of workloads, with NumPy if it is installed.

Coefficients are exact integers, but arguments are float64. Values are therefore accurate to 1 part in 10^15 and
marked ``exact=False``. Memory is compiled to closed forms, such as a maximum over time, if there are enough points.
Latency accepts arrays in a given layout. All other values are evaluated point by point, such as a latency whose layout
is the fastest one at each point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from ..core.architecture import Architecture
from ..core.errors import InputError, UnknownNameError
from ..core.evidence import of_architecture
from ..core.form import Form
from ..core.notebook_display import NotebookDisplay
from ..core.record import fields, record
from ..core.setting import CONTEXT, known_choice
from ..core.workload import Workload, symbol_values
from ..inputs.defaults import default_context
from ..inputs.effects import EffectCheck
from ..inputs.grid import empty_grid, numpy_module
from ..inputs.settings import read_settings, split_settings
from .axes import AXES, Axis, check_points, points, settings_of
from .quantity import STEPS, setting_names, swept
from .quantity import quantity as find

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_POINTWISE = 20_000  # points whose quantities are computed one after the other
MOST_VALUES = 10_000_000  # of closed forms on a grid, 8 bytes each
NOTHING: dict[str, Any] = {}  # shared, never written to
FEWEST_COMPILED = 20  # points for which tracing takes less time than evaluating each
GPU_SETTINGS = ("gpu", "engine", "weights", "cache", "tp", "dp", "ep")  # of latency
BLOCK = 2**15  # points per block, so that a block stays in the CPU cache


@record
class Sweep(NotebookDisplay):
    """Quantities on a grid. ``values[quantity]`` is an array with one dimension per axis.

    Attributes:
        architecture: model that was evaluated.
        axes: axes of the grid.
        fixed: sizes and settings of the workload. Each swept setting is set to its last value.
        values: float64 array for each quantity.
        forms: closed form for each quantity that has one.
        memory: arguments of ``llmcalc.memory``, if a quantity depends on them.
        exact: always False, because the arguments are floats.
        largest: workload with the largest sizes, or None of a sweep that was made otherwise.
    """

    architecture: Architecture
    axes: tuple[Axis, ...]
    fixed: dict[str, Any]
    values: dict[str, NDArray[Any]]
    forms: dict[str, Form]
    memory: dict[str, Any] = NOTHING
    exact: bool = False
    largest: Workload | None = None

    @property
    def evidence(self) -> dict[str, str]:
        """Class of evidence of each quantity."""
        training = self.memory.get("mode") == "training"
        parts = ((name, *name.split(".")) for name in self.values)
        found = {name: find(group).evidence_of(part, training=training) for name, group, part in parts}
        return of_architecture(found, self.architecture)

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
            "evidence": self.evidence,
        }


def _check(axes: Sequence[Axis], quantities: Sequence[str]) -> None:
    names, known = [axis.name for axis in axes], swept()
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} appears twice", parameter="over", hint="put all values in one list")
    if not quantities:
        raise InputError("no quantity to evaluate", parameter="quantities", hint="use a name such as flops.total")
    for name in quantities:
        known_choice("quantity", name, known, "quantities")


def evaluate_grid(
    read: Callable[[Sequence[str]], Architecture],
    axes: Sequence[Axis],
    quantities: Sequence[str],
    settings: Mapping[str, Any],
) -> Sweep:
    """Evaluate quantities on a grid. ``read`` loads the model with overrides.

    For each combination of settings and model variables, closed forms are evaluated on the full grid of sizes.
    """
    _check(axes, quantities)
    outer = [axis for axis in axes if axis.name not in AXES]
    inner = [axis for axis in axes if axis.name in AXES]
    variables = [axis.name for axis in outer if not settings_of(axis.name)]
    depends = tuple({id(each): each for name in quantities for each in find(name.split(".")[0]).settings}.values())
    depends += tuple(AXES[axis.name] for axis in inner)
    check_points(
        outer, MOST_POINTWISE, f"a model or a setting can have at most {MOST_POINTWISE:,} combinations of values"
    )
    check_points(axes, MOST_VALUES // len(quantities), f"at most {MOST_VALUES:,} values are computed")
    found = {name: empty_grid([len(axis.values) for axis in (*outer, *inner)]) for name in quantities}
    forms: dict[str, Form] = {}
    effects = EffectCheck()
    for place, chosen in points(outer):
        changes = [f"{name}={chosen.pop(name)}" for name in variables]
        first = {axis.name: min(axis.values) for axis in inner}
        given = read_settings(" or ".join(quantities), depends, {**settings, **chosen, **first})
        architecture = _read(read, changes)
        given |= _implied_step(architecture, quantities, given)
        largest = _checked_largest(architecture, inner, given)
        for name in quantities:
            effects.add(find(name.split(".")[0]).settings, given, architecture)
            found[name][place] = _evaluate(name, architecture, inner, given, forms, outer)
    effects.finish()
    order = [axis.name for axis in (*outer, *inner)]
    turned = {name: array.transpose([order.index(axis.name) for axis in axes]) for name, array in found.items()}
    swept_sizes = {axis.name: 0 if axis.name == CONTEXT.name else AXES[axis.name].default for axis in inner}
    fixed, memory = _described(architecture, {**given, **swept_sizes}, quantities)
    own = read(()) if variables else architecture
    return Sweep(own, tuple(axes), fixed, turned, {} if outer else forms, memory, largest=largest)


def _read(read: Callable[[Sequence[str]], Architecture], changes: Sequence[str]) -> Architecture:
    """Load a model with overrides. If a name is not a model variable, the error also suggests settings."""
    try:
        return read(changes)
    except UnknownNameError as error:
        if any(change.startswith(f"{error.name}=") for change in changes):
            known = tuple(dict.fromkeys((*AXES, *setting_names())))
            hint = f"{error.hint}; settings: {', '.join(known)}"
            raise UnknownNameError("sweep variable", error.name, known, parameter="over", hint=hint) from None
        raise


def _checked_largest(architecture: Architecture, axes: Sequence[Axis], given: Mapping[str, Any]) -> Workload:
    """Return the workload with the largest sizes, which must not exceed learned positions, as closed forms may."""
    largest = {axis.name: max(axis.values) for axis in axes}
    sizes, step, _, convention = split_settings({**given, **largest}, architecture)
    context = largest.get(CONTEXT.name, step["context"])  # also invalid if the mode has no context
    found = Workload(**sizes, **{**step, "context": context}, convention=convention)
    found.values(architecture)
    return found


def _implied_step(architecture: Architecture, quantities: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a decode step if no mode is given and all quantities describe one by default."""
    steps = {find(name.split(".")[0]).step(given, architecture) for name in quantities}
    if "mode" in given or steps != {STEPS["decode"]}:
        return {}
    return {"mode": "decode", "context": given.get("context", default_context(architecture))}


def _described(
    architecture: Architecture, given: Mapping[str, Any], quantities: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fixed workload settings, and the memory settings if a quantity depends on them."""
    sizes, step, memory, convention = split_settings(given, architecture)
    needs_memory = any(name.startswith(("state", "memory")) for name in quantities)
    of_time = GPU_SETTINGS if any(name.startswith("latency") for name in quantities) else ()
    on = {name: given[name] for name in of_time if given.get(name) is not None}
    return {**sizes, **step, **on, "convention": convention}, memory if needs_memory else NOTHING


def _evaluate(
    name: str,
    architecture: Architecture,
    axes: Sequence[Axis],
    given: dict[str, Any],
    forms: dict[str, Form],
    outer: Sequence[Axis],
) -> Any:
    """Return the values of a quantity on a grid of sizes, computed from the closed form if there is one.

    ``outer`` are the axes of the other dimensions, along which this function is called.
    """
    group, _, part = name.partition(".")
    quantity = find(group)
    known, own = {setting.name for setting in quantity.settings}, quantity.own(given)
    result = quantity.measure(architecture, own)
    form = quantity.form(result, part)
    if not axes or (form is None and known.isdisjoint(axis.name for axis in axes)):
        return float(getattr(result, part))
    if form is None:
        varied = [axis.name for axis in axes if axis.name in known]
        if (on_arrays := quantity.on_arrays(result)) is not None:
            return _in_blocks(axes, lambda sizes: on_arrays(part, {name: sizes[name] for name in varied}), float)
        if quantity.is_traceable and prod(len(axis.values) for axis in axes) >= FEWEST_COMPILED:
            compiled = quantity.compiled(architecture, own, part, varied)
            compiled(**{name: own[name] for name in varied})
            if compiled.pieces:
                return _in_blocks(axes, lambda sizes: compiled(**{name: sizes[name] for name in varied}), object)
        most, reason = quantity.most_points
        check_points((*outer, *axes), most, f"{reason}, for at most {most:,} points")

        def measured(sizes: dict[str, int]) -> float:
            return float(getattr(quantity.measure(architecture, {**own, **quantity.own(sizes)}), part))

        return _pointwise(axes, measured)
    closed, divisor = form
    forms[name if divisor == 1 else f"{divisor}·{name}"] = closed
    sizes, step, _, _ = split_settings(given, architecture)
    mode = step["mode"] if "mode" in known else "forward"
    return evaluate(closed, architecture, axes, {**sizes, "context": step["context"]}, mode) / divisor


def evaluate(
    form: Form, architecture: Architecture, axes: Sequence[Axis], fixed: dict[str, Any], mode: str
) -> NDArray[Any]:
    """Evaluate a closed form on a grid."""
    two_lengths = architecture.is_encoder_decoder and mode != "decode"
    base = {field.name: field.default for field in fields(Workload)} | fixed
    return _in_blocks(axes, lambda sizes: form(**symbol_values(two_lengths, base | sizes)), float)


def _in_blocks(axes: Sequence[Axis], value: Callable[[dict[str, Any]], Any], kind: Any) -> NDArray[Any]:
    """Evaluate a function of arrays of sizes on a grid, in blocks along the first axis."""
    numpy = numpy_module()
    if numpy is None:
        convert = float if kind is float else int
        return _pointwise(axes, lambda sizes: value({name: convert(size) for name, size in sizes.items()}))
    shape = tuple(len(axis.values) for axis in axes)
    result: NDArray[Any] = numpy.empty(shape)
    columns: tuple[NDArray[Any], ...] = numpy.ix_(*(numpy.array(axis.values, dtype=kind) for axis in axes))
    rows = max(BLOCK // max(prod(shape[1:]), 1), 1)
    for start in range(0, shape[0], rows):
        part = slice(start, start + rows)
        result[part] = value(dict(zip((axis.name for axis in axes), [columns[0][part], *columns[1:]], strict=True)))
    return result


def _pointwise(axes: Sequence[Axis], value: Callable[[dict[str, int]], float]) -> NDArray[Any]:
    result: NDArray[Any] = empty_grid([len(axis.values) for axis in axes])
    for place, sizes in points(axes):
        result[place] = value(sizes)
    return result
