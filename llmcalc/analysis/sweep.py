"""Evaluation of quantities over a grid of workloads, with NumPy if it is installed.

Coefficients are exact integers, but arguments are float64. Values are therefore accurate to 1 part in 10^15 and
marked ``exact=False``. If there are enough points, memory is compiled to closed forms, such as a maximum over time, and
parameters, FLOPs and states to closed forms of the sizes of the model. Latency accepts arrays in a given layout. All
other values are evaluated point by point, such as a latency whose layout is the fastest one at each point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from math import nan, prod
from typing import TYPE_CHECKING, Any

from ..calc.memory.number_formats import BITS_A_BYTE
from ..core.architecture import Architecture
from ..core.description.compiled import CompiledFunction
from ..core.description.traced import Traced
from ..core.description.traced_int import TracedInt, plain
from ..core.errors import InputError, SizeError, UnknownNameError, spelled
from ..core.evidence import of_architecture
from ..core.form import Form
from ..core.notebook_display import NotebookDisplay
from ..core.record import fields, record
from ..core.setting import CONTEXT
from ..core.workload import Workload, symbol_values
from ..inputs.defaults import default_context
from ..inputs.effects import EffectCheck
from ..inputs.grid import Grid, empty_grid, numpy_module
from ..inputs.settings import read_settings, split_settings
from ..schema.overrides import ValueOverride
from .axes import AXES, Axis, check_points, points, settings_of
from .quantity import STEPS, Value, setting_names, value_of
from .quantity import quantity as find

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_POINTWISE = 20_000  # points whose quantities are computed one after the other
MOST_VALUES = 10_000_000  # of closed forms on a grid, 8 bytes each
MOST_SIZE_FORMS = 1000  # closed forms of sizes of a model, such as one for each pattern of its layers
NOTHING: dict[str, Any] = {}  # shared, never written to
FEWEST_COMPILED = 20  # points for which tracing takes less time than evaluating each
GPU_SETTINGS = ("gpu", "engine", "weights", "cache", "tp", "dp", "ep")  # of latency
BLOCK = 2**15  # points per block, so that a block stays in the CPU cache
SKIP = "omit the value, or add {skip_invalid=True} to leave out such points"


@record
class Sweep(NotebookDisplay):
    """Quantities on a grid. ``values[quantity]`` is an array with one dimension per axis.

    Attributes:
        architecture: model that was evaluated.
        axes: axes of the grid.
        fixed: sizes and settings of the workload. Each swept setting is set to its last value.
        values: float64 array for each quantity. Points that were skipped are NaN.
        forms: closed form for each quantity that has one.
        memory: arguments of ``llmcalc.memory``, if a quantity depends on them.
        exact: always False, because the values are floats.
        largest: workload with the largest sizes, or None of a sweep that was made otherwise.
        reasons: why a point was skipped, by its values in the order of the axes.
    """

    architecture: Architecture
    axes: tuple[Axis, ...]
    fixed: dict[str, Any]
    values: dict[str, NDArray[Any]]
    forms: dict[str, Form]
    memory: dict[str, Any] = NOTHING
    exact: bool = False
    largest: Workload | None = None
    reasons: dict[Any, str] = NOTHING

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

    def rows(self) -> Iterator[tuple[tuple[Any, ...], tuple[float | None, ...], str]]:
        """Yield the point, its values (None if it was skipped) and the reason, with the last axis varying fastest."""
        arrays = zip(*(array.ravel().tolist() for array in self.values.values()), strict=True)
        for place, values in zip(product(*(axis.values for axis in self.axes)), arrays, strict=True):
            reason = self.reasons.get(place, "")
            yield place, tuple(None for _ in values) if reason else values, reason

    def to_dict(self) -> dict[str, Any]:
        """Return the axes, values and closed forms as a plain dictionary."""
        shape = [len(axis.values) for axis in self.axes]
        *columns, reasons = zip(*((*values, reason or None) for _, values, reason in self.rows()), strict=True)
        values = {name: Grid(shape, [*column]).tolist() for name, column in zip(self.values, columns, strict=True)}
        return {
            "axes": {axis.name: list(axis.values) for axis in self.axes},
            "values": values,
            **({"reasons": Grid(shape, [*reasons]).tolist()} if self.reasons else {}),
            "closed_forms": {name: str(form) for name, form in self.forms.items()},
            "evidence": self.evidence,
        }


def evaluate_grid(
    read: Callable[[Sequence[str]], Architecture],
    axes: Sequence[Axis],
    quantities: Sequence[str],
    settings: Mapping[str, Any],
    *,
    skip_invalid: bool = False,
) -> Sweep:
    """Evaluate quantities on a grid. ``read`` loads the model with overrides.

    If ``skip_invalid`` is set, points that are an error are left out, unless all are.
    """
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name} appears twice", parameter="over", hint="put all values in one list")
    if not quantities:
        raise InputError("no quantity to evaluate", parameter="quantities", hint="use a name such as flops.total")
    grid = _Grid(read, tuple(axes), [value_of(name, "quantities") for name in quantities], settings, skip_invalid)
    return grid.evaluate()


class _Grid:
    """Quantities at the points of a grid.

    ``inner`` are the axes of the workload's sizes, which closed forms accept as arrays, and ``variables`` the names of
    the axes that change the model.
    """

    def __init__(
        self,
        read: Callable[[Sequence[str]], Architecture],
        axes: tuple[Axis, ...],
        asked: Sequence[Value],
        settings: Mapping[str, Any],
        is_skipping: bool,
    ) -> None:
        self.read, self.axes, self.asked, self.settings, self.is_skipping = read, axes, asked, settings, is_skipping
        self.inner = [axis for axis in axes if axis.name in AXES]
        self.outer = [axis for axis in axes if axis.name not in AXES]
        self.variables = [axis.name for axis in self.outer if not settings_of(axis.name)]
        of_values = (setting for value in asked for setting in value.quantity.settings)
        swept = (AXES[axis.name] for axis in self.inner)
        self.depends = tuple({id(each): each for each in (*of_values, *swept)}.values())
        self.effects = EffectCheck()
        self.forms: dict[str, Form] = {}
        self.reasons: dict[tuple[Any, ...], str] = {}
        self.first_error: InputError | None = None
        self.last: tuple[Architecture, dict[str, Any]] | None = None  # model and settings of the last valid point
        self.found: dict[str, NDArray[Any]] = {}
        self.n_computed = 0

    def evaluate(self) -> Sweep:
        """Evaluate all quantities at all points."""
        sizes = self._traced_sizes()
        looped = [axis for axis in self.outer if axis not in sizes]
        most = f"a model or a setting can have at most {MOST_POINTWISE:,} combinations of values"
        check_points(looped, MOST_POINTWISE, most)
        check_points(self.axes, MOST_VALUES // len(self.asked), f"at most {MOST_VALUES:,} values are computed")
        order = [axis.name for axis in (*looped, *sizes, *self.inner)]
        shape = [len(axis.values) for axis in (*looped, *sizes, *self.inner)]
        self.found = {value.name: empty_grid(shape) for value in self.asked}
        for place, chosen in points(looped):
            if sizes:
                self._add_forms(place, chosen, (*sizes, *self.inner))
            else:
                self._add_point(place, chosen, self.inner)
        if self.last is None:
            assert self.first_error is not None
            raise self.first_error
        self.effects.finish()
        places = [order.index(axis.name) for axis in self.axes]
        turned = {name: array.transpose(places) for name, array in self.found.items()}
        architecture, given = self.last
        largest = None
        with suppress(InputError):  # if the points with the largest sizes are skipped
            largest = _largest(architecture, self.inner, given)
        swept_sizes = {axis.name: 0 if axis.name == CONTEXT.name else AXES[axis.name].default for axis in self.inner}
        fixed, memory = _described(architecture, {**given, **swept_sizes}, list(turned))
        own = self.read(()) if self.variables else architecture
        forms = {} if self.outer else self.forms
        return Sweep(own, self.axes, fixed, turned, forms, memory, largest=largest, reasons=self.reasons)

    def _traced_sizes(self) -> list[Axis]:
        """Return the axes of sizes of the model for which closed forms are traced, if all quantities have them."""
        is_formed = all(value.quantity.has_size_forms for value in self.asked)
        if not is_formed or prod(len(axis.values) for axis in self.axes) < FEWEST_COMPILED:
            return []
        sizes = [axis for axis in self.outer if axis.name in self.variables and all(map(_is_size, axis.values))]
        return [] if sizes and "model_type" in self.read(()).inputs else sizes  # readers of configs are not traced

    def _add_forms(self, place: tuple[int, ...], chosen: Mapping[str, Any], axes: Sequence[Axis]) -> None:
        """Add the values at one place for all sizes of the model and of the workload, as traced closed forms."""
        named = {f"n{at}": axis for at, axis in enumerate(axes)}  # names of axes need not be identifiers

        def values_of(value: Value) -> NDArray[Any]:
            def compute(**sizes: Any) -> Any:
                point = {named[name].name: TracedInt(size) if isinstance(size, Traced) else size
                         for name, size in sizes.items()}  # fmt: skip
                found = self._eighths(value, {**chosen, **point})
                return found.traced if isinstance(found, TracedInt) else found

            least = {name: min(axis.values) for name, axis in named.items()}
            compiled = CompiledFunction(compute, least, MOST_SIZE_FORMS)
            symbols = [Axis(name, axis.values) for name, axis in named.items()]
            return _in_blocks(symbols, lambda sizes: compiled(**sizes), object) / BITS_A_BYTE

        for value in self.asked:
            self.found[value.name][place] = values_of(value)

    def _eighths(self, value: Value, point: Mapping[str, Any]) -> Any:
        """Return eight times a value at a point, as closed forms of states may count bits."""
        is_traced = any(isinstance(size, TracedInt) for size in point.values())
        if is_traced:  # an invalid point has no closed form
            self._eighths(value, {name: plain(size) for name, size in point.items()})
        if reason := self.reasons.get(self._place(point)):
            if is_traced:
                raise InputError(reason)
            return nan
        self.n_computed += not is_traced
        if self.n_computed > MOST_POINTWISE:
            most = f"at most {MOST_POINTWISE:,} points without a closed form are computed"
            raise SizeError("too many points", parameter="over", hint=most)
        try:
            architecture, given = self._model_at(point)
            _largest(architecture, (), given)
            self.effects.add(value.quantity.settings, given, architecture)
            result = value.quantity.measure(architecture, value.quantity.own(given))
            form, divisor = value.form(result)
            found = form(**getattr(result, "values", {})) * (BITS_A_BYTE // divisor)
        except InputError as error:
            if is_traced:
                raise
            return self._skip(point, error)
        self.last = self.last or (architecture, given)
        return found

    def _add_point(self, place: tuple[int, ...], chosen: Mapping[str, Any], inner: Sequence[Axis]) -> None:
        """Add the values at one place, for all sizes of the workload."""
        try:
            architecture, given = self._model_at({**chosen, **{axis.name: min(axis.values) for axis in inner}})
            _largest(architecture, inner, given)
            for value in self.asked:
                self.effects.add(value.quantity.settings, given, architecture)
                self.found[value.name][place] = self._values(value, architecture, inner, given)
            self.last = architecture, given
        except InputError as error:
            if inner and self.is_skipping:
                for at, sizes in points(inner):
                    self._add_point((*place, *at), {**chosen, **sizes}, ())
                return
            for array in self.found.values():
                array[place] = self._skip(chosen, error)

    def _skip(self, point: Mapping[str, Any], error: InputError) -> float:
        """Keep the reason why a point is skipped, or raise the error with a hint."""
        is_of_point = not isinstance(error, UnknownNameError) and error.parameter not in self.settings
        if not self.is_skipping or isinstance(error, UnknownNameError):
            if is_of_point and self.axes and not error.message.startswith("missing"):
                error.hint = "; ".join(filter(None, (error.hint, SKIP)))
            raise error
        self.first_error = self.first_error or error
        self.reasons[self._place(point)] = _reason(error)
        return nan

    def _place(self, point: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(plain(point[axis.name]) for axis in self.axes)

    def _model_at(self, point: Mapping[str, Any]) -> tuple[Architecture, dict[str, Any]]:
        """Return the model and the settings at a point, with the step that the quantities describe by default."""
        rest = dict(point)
        values = {name: rest.pop(name) for name in self.variables}
        names = " or ".join(value.name for value in self.asked)
        given = read_settings(names, self.depends, {**self.settings, **rest})
        try:
            architecture = self.read([_override(name, value) for name, value in values.items()])
        except UnknownNameError as error:
            if error.name not in values:
                raise
            known = tuple(dict.fromkeys((*AXES, *setting_names())))
            hint = f"{error.hint}; settings: {', '.join(known)}"
            raise UnknownNameError("sweep variable", error.name, known, parameter="over", hint=hint) from None
        steps = {value.quantity.step(given, architecture) for value in self.asked}
        if "mode" not in given and steps == {STEPS["decode"]}:
            given |= {"mode": "decode", "context": given.get("context", default_context(architecture))}
        return architecture, given

    def _values(self, value: Value, architecture: Architecture, axes: Sequence[Axis], given: dict[str, Any]) -> Any:
        """Return a value for sizes of the workload, computed from the closed form if there is one."""
        quantity, part = value
        own, varied = quantity.own(given), quantity.own({axis.name: axis.values for axis in axes})
        result = quantity.measure(architecture, own)
        form = quantity.form(result, part)
        if not axes or (form is None and not varied):
            return float(getattr(result, part))
        if form is None:
            if (on_arrays := quantity.on_arrays(result)) is not None:
                return _in_blocks(axes, lambda sizes: on_arrays(part, quantity.own(sizes)), float)
            if quantity.is_traceable and prod(len(axis.values) for axis in axes) >= FEWEST_COMPILED:
                compiled = quantity.compiled(architecture, own, part, varied)
                compiled(**{name: own[name] for name in varied})
                if compiled.pieces:
                    return _in_blocks(axes, lambda sizes: compiled(**quantity.own(sizes)), object)
            most, reason = quantity.most_points
            check_points((*self.outer, *axes), most, f"{reason}, for at most {most:,} points")

            def measured(sizes: dict[str, int]) -> float:
                return float(getattr(quantity.measure(architecture, {**own, **quantity.own(sizes)}), part))

            return _pointwise(axes, measured)
        closed, divisor = form
        self.forms[value.name if divisor == 1 else f"{divisor}·{value.name}"] = closed
        sizes, step, _, _ = split_settings(given, architecture)
        base = {field.name: field.default for field in fields(Workload)} | sizes | {"context": step["context"]}
        two_lengths = architecture.is_encoder_decoder and own.get("mode") != "decode"
        return _in_blocks(axes, lambda swept: closed(**symbol_values(two_lengths, base | swept)), float) / divisor


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def _override(name: str, value: Any) -> str:
    return ValueOverride(name, value) if isinstance(value, TracedInt) else f"{name}={value}"


def _reason(error: InputError) -> str:
    """Return the message of an error, with the parameter if the message does not name it."""
    name = error.parameter
    return error.message if not name or name in error.message else f"{spelled(f'{{{name}}}')}: {error.message}"


def _largest(architecture: Architecture, axes: Sequence[Axis], given: Mapping[str, Any]) -> Workload:
    """Return the workload with the largest sizes, which must not exceed learned positions, as closed forms may."""
    largest = {axis.name: max(axis.values) for axis in axes}
    sizes, step, _, convention = split_settings({**given, **largest}, architecture)
    context = largest.get(CONTEXT.name, step["context"])  # also invalid if the mode has no context
    found = Workload(**sizes, **{**step, "context": context}, convention=convention)
    found.values(architecture)
    return found


def _described(
    architecture: Architecture, given: Mapping[str, Any], quantities: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fixed workload settings, and the memory settings if a quantity depends on them."""
    sizes, step, memory, convention = split_settings(given, architecture)
    needs_memory = any(name.startswith(("state", "memory")) for name in quantities)
    of_time = GPU_SETTINGS if any(name.startswith("latency") for name in quantities) else ()
    on = {name: given[name] for name in of_time if given.get(name) is not None}
    return {**sizes, **step, **on, "convention": convention}, memory if needs_memory else NOTHING


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
