"""Quantities that llmcalc computes for an architecture, each defined in a module in ``quantities``.

A quantity has one or more values, such as ``flops.total``. ``explain``, ``sweep``, ``compare`` and JSON results give
them these names. The docstring of the module defines each value, as in ``quantities/params.py``.

>>> quantity("flops").unit, value_of("flops").name, value_of("active").name
('FLOPs', 'flops.total', 'params.active')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..calc.memory.fit import read_size
from ..core.architecture import Architecture
from ..core.errors import InputError, UnknownNameError
from ..core.form import Form
from ..core.record import NamedTuple, changed, record
from ..core.setting import AMOUNT, MODE, SIZE, Setting, known_choice
from ..core.tree import Node
from ..core.workload import Workload
from ..core.zoo_search import find_module, module_names
from ..estimate.amounts import amount
from ..inputs.defaults import cached_tokens, default_seq

if TYPE_CHECKING:
    from ..core.description.compiled import CompiledFunction

BYTES, NANOSECONDS = "bytes", "ns"
TIMES = {"": 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "µs": 10**3, "ns": 1}  # nanoseconds of a unit
STEPS = {"forward": "forward pass", "train": "training step", "decode": "decode step"}  # titles
NOTHING: Mapping[str, Any] = {}  # shared default, never changed
Measure = Callable[[Architecture, dict[str, Any]], Any]


@record
class Quantity:
    """A quantity, defined as ``QUANTITY`` in the module ``quantities/<name>.py``.

    Attributes:
        name: name in ``explain``, ``sweep``, ``design`` and ``check``.
        title: name in reports.
        unit: unit of the total.
        measure: function that computes a result from an architecture and settings. Results have a ``to_dict``
            method.
        tree: function that returns the derivation of a result, which is that of the first value.
        trees: functions that return the derivations of other values.
        evidence: class of evidence of each value of a result, by mode (``serving`` or ``training``), or for ``""`` if
            there is one mode. The first value is the total.
        settings: settings that affect the result.
        unexplained: names of settings that do not affect the derivation.
        parts: unit of each value, which is an attribute of the result. The first value is that of the quantity.
        value: name of the value, if it is a part of another quantity.
        form: function that returns the closed form of a result attribute and a divisor, or None.
        target: function that returns the value targeted by ``design`` and limited by ``check``, or None.
        compared: function that returns a title and the parts shown by ``compare``, or None.
        requires: names of settings without which ``compare`` leaves the quantity out.
        needs_ranks: whether the quantity is 0 on a single rank, so that ``design`` measures it with its ``tp``.
        results: classes of the results, which notebooks display as the report of this name does.
        on_arrays: function that returns how to compute an attribute of a result for other sizes, given as arrays by
            name, or None if each point is measured.
        most_points: largest number of measured points of a sweep, and why each point is measured.
        is_traceable: whether ``measure`` accepts symbols in place of the sizes, so that it can be compiled.
        has_size_forms: whether the closed forms can be traced for sizes of the model.
        layout: function that returns the settings that ``design`` takes from the published size nearest to the target,
            because they are searched for, such as the ranks of a layout.
    """

    name: str
    title: str
    unit: str
    measure: Measure
    tree: Callable[[Any], Node]
    evidence: Mapping[str, Mapping[str, str]]
    settings: tuple[Setting, ...] = ()
    unexplained: tuple[str, ...] = ()
    parts: Mapping[str, str] = NOTHING
    value: str = ""
    trees: Mapping[str, Callable[[Any], Node]] = NOTHING
    phrase: str = ""
    form: Callable[[Any, str], tuple[Form, int] | None] = lambda result, part: None
    target: Callable[[Any], int] | None = None
    compared: Callable[[Any], tuple[str, tuple[str, ...]]] | None = None
    requires: tuple[str, ...] = ()
    needs_ranks: bool = False
    results: tuple[type, ...] = ()
    on_arrays: Callable[[Any], Callable[[str, Mapping[str, Any]], Any] | None] = lambda result: None
    most_points: tuple[int, str] = (20_000, "values such as traffic are computed point by point")
    is_traceable: bool = False
    has_size_forms: bool = False
    layout: Callable[[Architecture, dict[str, Any]], dict[str, Any]] = lambda architecture, settings: {}

    @property
    def explained(self) -> tuple[Setting, ...]:
        """Settings that affect the derivation."""
        return tuple(setting for setting in self.settings if setting.name not in self.unexplained)

    @property
    def amount(self) -> Setting:
        """Target setting of ``design``. The corresponding limit setting of ``check`` has the prefix ``max_``."""
        return Setting(self.name, SIZE, least=1) if self.unit == BYTES else Setting(self.name, AMOUNT)

    def own(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that affect the quantity."""
        known = {setting.name for setting in self.settings}
        return {name: value for name, value in settings.items() if name in known}

    def applicable(self, settings: Mapping[str, Any], defaults: Collection[str]) -> dict[str, Any]:
        """Return settings without default lengths, named in ``defaults``, that have no effect in a decode step."""
        given = {name: value for name, value in settings.items() if name not in defaults}
        is_decode = self.step(given) == STEPS["decode"]
        unused = {each.name for each in self.settings if is_decode and "prefill" in each.needs} & {*defaults}
        return {name: value for name, value in settings.items() if name not in unused}

    def step(self, settings: Mapping[str, Any], architecture: Architecture | None = None) -> str:
        """Return the step that a quantity describes, such as ``"decode step"``, or an empty string.

        Without a mode, a quantity whose default is None describes the step in which the given lengths have an effect.
        """
        for setting in self.settings:
            if setting.name == "mode" and {*setting.choices} <= {*STEPS}:
                only_reads = architecture is not None and architecture.main.role == "encoder"
                is_open = setting.default is None and (settings.get("seq") or only_reads)
                return STEPS[settings.get("mode") or ("forward" if is_open else setting.default or setting.usual)]
        return ""

    def evidence_of(self, part: str = "", *, training: bool = False) -> str:
        """Return the class of evidence of a part, or of the total, for a model whose sizes are known."""
        found = self.evidence.get("training" if training else "serving") or self.evidence[""]
        return found.get(part) or next(iter(found.values()))

    def read_amount(self, value: float | str, parameter: str = "") -> int:
        """Parse a target or limit, such as ``"13B"`` parameters, ``"24GiB"`` or ``"20ms"``."""
        name = parameter or self.name
        changed(self.amount, name=name).check(value)
        if self.unit == NANOSECONDS:
            return _nanoseconds(value, name)
        if self.unit != BYTES:
            return max(1, int(amount(value, name, "13B")))
        size = read_size(value, name) if isinstance(value, str) else int(value)
        if size < 1:
            raise InputError("must be positive", parameter=name, hint="use a size such as 24GiB")
        return size

    def compiled(
        self, architecture: Architecture, settings: Mapping[str, Any], part: str, names: Iterable[str]
    ) -> CompiledFunction:
        """Return a part of the result as a compiled function of the sizes ``names``."""
        from ..core.description.compiled import CompiledFunction

        def compute(**sizes: Any) -> Any:  # results with symbols must not be remembered
            return getattr(self.measure(changed(architecture), {**settings, **sizes}), part)

        return CompiledFunction(compute, dict.fromkeys(names, 1))

    def count(self, architecture: Architecture, settings: Mapping[str, Any]) -> int:
        """Return the value that a target or limit refers to. Settings that do not affect the quantity are ignored."""
        assert self.target is not None
        return self.target(self.measure(architecture, self.own(settings)))


def step_workload(architecture: Architecture, settings: Mapping[str, Any], step: tuple[Setting, ...]) -> Workload:
    """Return the workload of a step that valid settings describe, with default lengths."""
    mode = settings.get("mode", MODE.default)
    own = {each.name: settings[each.name] for each in step if settings.get(each.name) is not None}
    own["context"] = cached_tokens(mode, own.get("context"))
    own.setdefault("seq", default_seq(architecture, mode=mode))
    return Workload(**own, mode=mode)


def _nanoseconds(value: float | str, name: str) -> int:
    """Return a time in nanoseconds, from seconds or a text such as ``"20ms"``."""
    digits = str(value).strip().rstrip("nuµms").strip()
    factor = TIMES.get(str(value).strip()[len(digits) :].strip())
    try:
        found = round(float(digits) * factor) if factor else 0
    except (ValueError, OverflowError):
        found = 0
    if found < 1:
        raise InputError(f"must be a time, not {value!r}", parameter=name, hint="use a time such as 20ms")
    return found


def names() -> tuple[str, ...]:
    """Return the names of all quantities."""
    return module_names("quantities")


@cache
def quantity(name: str) -> Quantity:
    """Look up a quantity by name."""
    module = find_module("quantities", known_choice("quantity", name, names()))
    found: Quantity = import_module(str(module)).QUANTITY
    return found


def quantities() -> tuple[Quantity, ...]:
    """Return all quantities, sorted by name."""
    return tuple(map(quantity, names()))


class Value(NamedTuple):
    """A value of a quantity."""

    quantity: Quantity
    part: str

    @property
    def name(self) -> str:
        """Name of the value, such as ``flops.total``."""
        return f"{self.quantity.name}.{self.part}"

    @property
    def unit(self) -> str:
        """Unit of the value."""
        return self.quantity.parts[self.part]

    @property
    def definition(self) -> Definition:
        """Definition of the value."""
        return definitions(self.quantity.name)[self.part]

    def form(self, result: Any) -> tuple[Form, int]:
        """Return the closed form of a value that has one, and a divisor."""
        found = self.quantity.form(result, self.part)
        assert found is not None, self.name
        return found

    def tree(self, result: Any) -> Node:
        """Return the derivation of the value: its own, or a part of that of the quantity."""
        if self.part == next(iter(self.quantity.parts)):
            return self.quantity.tree(result)
        if derive := self.quantity.trees.get(self.part):
            return derive(result)
        size = getattr(result, self.part)
        for _, node in self.quantity.tree(result).walk():
            if node.label == self.part and node.value == size:
                return node
        hint = f"use {self.quantity.name}.{next(iter(self.quantity.parts))}"
        raise InputError(f"{self.name} has no derivation of its own", parameter="quantity", hint=hint)


class Definition(NamedTuple):
    """What a value counts and leaves out, the publications that count in the same way, and those that do not."""

    counts: str
    omits: str = ""
    like: str = ""
    unlike: str = ""

    @property
    def publications(self) -> str:
        """Publications that count in the same way, and those that do not."""
        named = (("as ", self.like), ("unlike ", self.unlike))
        return "; ".join(f"{word}{text}" for word, text in named if text)


@cache
def definitions(name: str) -> dict[str, Definition]:
    """Return the definition of each value of a quantity, from the docstring of its module.

    >>> definitions("flops")["forward"].omits
    'elementwise operations, scans and transforms'
    """
    found: dict[str, dict[str, str]] = {}
    text = import_module(str(find_module("quantities", name))).__doc__ or ""
    for part, texts in re.findall(r"^(\w+): (.*(?:\n    .*)*)", text, re.M):
        counts, *others = re.split(r"\n    (?=\w+: )", texts)
        found[part] = {"counts": counts, **dict(each.split(": ", 1) for each in others)}
    return {
        part: Definition(**{key: " ".join(text.split()) for key, text in own.items()}) for part, own in found.items()
    }


def values() -> tuple[Value, ...]:
    """Return all values, sorted by the name of their quantity."""
    return tuple(Value(each, part) for each in quantities() for part in each.parts)


def value_names() -> tuple[str, ...]:
    """Return the names of all values, such as ``flops.total``."""
    return tuple(value.name for value in values())


def value_of(name: str, parameter: str = "quantity") -> Value:
    """Look up a value by its name, such as ``flops.matmul``, or by that of its quantity.

    >>> value_of("flops.matmul").unit
    'FLOPs'
    """
    given = quantity(name) if name in names() else None
    known = (given.value or f"{name}.{next(iter(given.parts))}") if given else name
    for value in values():
        if value.name == known:
            return value
    hint = f"use one of {', '.join(value_names())}"
    raise UnknownNameError("quantity", name, (*value_names(), *names()), parameter=parameter, hint=hint)


def targets() -> dict[str, Quantity]:
    """Return the quantities that ``design`` can target and ``check`` can limit, by name."""
    return {each.name: each for each in quantities() if each.target}


def setting_names() -> tuple[str, ...]:
    """Return the names of all settings that affect at least one quantity."""
    return tuple(dict.fromkeys(setting.name for each in quantities() for setting in each.settings))
