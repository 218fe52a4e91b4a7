"""Evidence of every value: its class, what it rests on, and the measurements that it was compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

from ..core.errors import InputError, UnknownNameError
from ..core.evidence import EXACT, EXECUTED
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, record
from ..data import table

# results other than quantities: function, and module and name of the class
RESULTS = {  # quantity and mode: module and class
    ("fit", ""): ("fitting.fit", "FitResult"),
    ("serve", ""): ("serving.start.start", "ServeResult"),
    ("serve", "requests"): ("serving.result", "ServingResult"),
    ("serve", "encoders"): ("serving.encoders", "EncoderServing"),
    ("rl", ""): ("training.rl", "RlMemory"),
    ("calibrate", ""): ("serving.calibration", "Calibration"),
    ("scale", ""): ("estimate.scaling.query", "Plan"),
}
SAME = {("memory", "serving", "state"): ("state", "", "bytes")}  # values that are measured as another one
# what values that do not follow from the equations rest on, by quantity, mode and value
BASIS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("flops", ""): {
        "total": "the sum of matmul and other",
        "other": "operations per element of each function, by convention",
    },
    ("traffic", ""): {
        **dict.fromkeys(("total", "read", "written"), "what a fused kernel keeps on chip; unfused kernels are exact"),
        "intensity": "operations per element of each function, by convention",
    },
    ("memory", "serving"): {
        "peak": "the sum of weights, state and activations",
        "activations": "fused attention, and buffers that are reused at once",
    },
    ("memory", "training"): {
        "peak": "the order in which PyTorch frees saved tensors, gradients and temporaries",
        "activations": "the tensors that PyTorch and fused kernels save for the backward pass",
    },
    ("train", ""): {
        "other": "operations per element of each function, by convention",
        **dict.fromkeys(
            ("hours", "days"), "the published utilisation of other runs on the accelerator, or the operations of a step"
        ),
        "step_time": "measured rates of kernels and collectives, and two coefficients fitted to published steps",
        "cost": "quoted prices per hour",
        "emissions": "rated power, with the conventions of publications",
    },
    ("fit", ""): {
        "memory": "the memory that drivers report, or the size that the vendor states",
        "reserve": "memory for the runtime: 1 GiB unless it is set",
        "needed": "the peak of memory",
        **dict.fromkeys(("usable", "headroom", "fits"), "the reserve and the peak of memory"),
    },
    ("serve", ""): {
        "budget": "the memory that drivers report, and the share of it that the engine uses",
        "activation": "buffers of the engine's sampler and forward pass, in its code and logs",
        **dict.fromkeys(("non_torch", "cuda_graphs"), "constants of each engine version, from its logs"),
        **dict.fromkeys(
            ("available", "blocks", "tokens", "concurrency", "longest", "starts"), "the budget minus all other parts"
        ),
    },
    ("calibrate", ""): {"deployments": "the given measurements, and the estimates without them"},
    ("rl", ""): dict.fromkeys(
        ("peak", "phases", "host", "headroom"), "what trainers and rollout engines keep in memory, in their code"
    ),
    ("serve", "requests"): dict.fromkeys(
        ("tpot_s", "ttft_s", "requests_per_s", "speedup"), "kernels of measured GPUs, and constants of each engine"
    ),
    ("serve", "encoders"): dict.fromkeys(
        ("requests_per_s", "tokens_per_s", "latency_s"), "kernels of measured GPUs, and constants of each engine"
    ),
    ("latency", ""): dict.fromkeys(
        ("seconds", "low", "high", "tokens_per_s"), "kernels of measured GPUs, and constants of each engine"
    ),
    ("scale", ""): dict.fromkeys(
        ("parameters", "tokens", "compute", "loss"), "runs of each law's publication (llmcalc laws show)"
    ),
}


BILLION = 10**9


class Row(NamedTuple):
    """A measured value and the value that llmcalc predicts. ``value`` replaces that of the table."""

    case: str
    measured: float
    predicted: float
    value: str = ""

    @property
    def error(self) -> float:
        """(predicted - measured) / measured."""
        return self.predicted / self.measured - 1


@record
class Measurements:
    """Values that were measured or counted by others, compared with llmcalc's.

    Attributes:
        title: title of the table, or the script that counts the cases.
        quantity: quantity that is compared.
        value: one or more attributes of its result.
        mode: ``serving``, ``training`` or ``requests``, or empty if the quantity has one mode.
        source: who measured the values, and where they were published.
        settings: settings of the predictions.
        remark: reasons for the differences.
        unit: unit of the rows.
        rows: each measured and predicted value.
        in_fit: whether constants were fitted to these measurements.
        bounds: whether the predictions are bounds of the measurements, which therefore have no error.
        cases: number of inputs of a script.
        failures: number of inputs with a wrong outcome.
        failure: the wrong outcome, such as ``not read``.
        deviation: errors of the cases of a script as text.
    """

    title: str
    quantity: str
    value: str
    mode: str
    source: str
    settings: str = ""
    remark: str = ""
    unit: str = ""
    rows: tuple[Row, ...] = ()
    in_fit: bool = False
    bounds: bool = False
    cases: int = 0
    failures: int = 0
    failure: str = ""
    deviation: str = ""

    def of(self, value: str) -> Measurements | None:
        """Return the rows about a value, or None if there is none."""
        if not self.rows:
            return self if value in self.value.split() else None
        rows = tuple(row for row in self.rows if value in (row.value or self.value).split())
        return changed(self, rows=rows) if rows else None

    @property
    def count(self) -> int:
        """Number of measurements or cases."""
        return (
            len({(row.case.rpartition(", ")[0], row.measured) for row in self.rows})
            if self.bounds
            else (len(self.rows) or self.cases)
        )

    @property
    def errors(self) -> list[float]:
        """Relative errors, empty if the predictions are bounds of the measurements."""
        return [] if self.bounds else [row.error for row in self.rows]

    @property
    def by(self) -> str:
        """Who measured the values."""
        return self.source.split(",")[0].split(" (")[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        names = (
            "title",
            "quantity",
            "value",
            "mode",
            "source",
            "settings",
            "remark",
            "unit",
            "failure",
            "deviation",
            "in_fit",
            "bounds",
        )
        rows = [{**row._asdict(), "error": row.error} for row in self.rows]
        counts = {"count": self.count, "failures": self.failures, **_errors(self.errors)}
        return {**{name: getattr(self, name) for name in names}, **counts, "rows": rows}


@record
class ValueEvidence:
    """Evidence of one value of a result.

    Attributes:
        basis: what the value rests on.
        measurements: tables that compare the value with measurements.
    """

    quantity: str
    mode: str
    value: str
    kind: str
    basis: str
    measurements: tuple[Measurements, ...] = ()

    @property
    def place(self) -> str:
        """Name of the value with its quantity and mode, such as ``memory.peak (training)``."""
        return f"{self.quantity}.{self.value}" + (f" ({self.mode})" if self.mode else "")

    @property
    def count(self) -> int:
        """Number of measurements, without inputs of scripts. One that several tables list counts once."""
        found = [one for one in self.measurements if not one.failure]
        listed = [{(one.source, row.case, row.measured) for row in one.rows} for one in found]
        return sum(one.count for one in found) - sum(map(len, listed)) + len(set().union(*listed))

    def errors(self, in_fit: bool = False) -> list[float]:
        """Return the errors on measurements to which constants were fitted, or on all others."""
        return [error for one in self.measurements if one.in_fit is in_fit for error in one.errors]

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        names = ("quantity", "mode", "value", "basis", "count")
        found = {name: getattr(self, name) for name in names}
        errors = {"errors": _errors(self.errors()), "errors_in_fit": _errors(self.errors(True))}
        return {**found, "class": self.kind, **errors, "by": list(dict.fromkeys(one.by for one in self.measurements))}


@record
class Evidence(NotebookDisplay):
    """Evidence of the values of one or all quantities, and the tables of measurements.

    Attributes:
        quantity: the quantity, or None for all.
    """

    values: tuple[ValueEvidence, ...]
    measurements: tuple[Measurements, ...]
    quantity: str | None = None

    EVIDENCE: ClassVar[dict[str, str]] = {"measurements": "measured"}

    @property
    def summary(self) -> str:
        """One-line summary of the errors of each measured value."""
        errors = {one.place: error_text(one.errors()) for one in self.values if one.errors()}
        return "; ".join(f"{place}: {text}" for place, text in errors.items())

    def to_dict(self) -> dict[str, Any]:
        """Return the values and the tables as a plain dictionary."""
        return {
            "values": [one.to_dict() for one in self.values],
            "measurements": [one.to_dict() for one in self.measurements],
            "evidence": self.evidence,
        }


def evidence(quantity: str | None = None) -> Evidence:
    """Return the class of every value, and the measurements that it was compared with.

    >>> import llmcalc
    >>> [(one.value, one.kind) for one in llmcalc.evidence("memory").values][-2:]
    [('optimizer', 'exact'), ('activations', 'measured')]

    Args:
        quantity: a quantity such as ``memory``, ``train``, ``fit`` or ``scale`` (default: all).

    Raises:
        UnknownNameError: an unknown quantity.
    """
    if quantity is not None and quantity not in names():
        hint = f"use one of {', '.join(names())}"
        raise UnknownNameError("quantity", quantity, names(), parameter="quantity", hint=hint)
    presets = preset_figures() if quantity == "params" else ()
    return evidence_of((*presets, *read_measurements(table("evidence"))), quantity)


def names() -> tuple[str, ...]:
    """Return the names of all quantities that have evidence."""
    return tuple(dict.fromkeys(name for name, _ in classes()))


def preset_figures() -> tuple[Measurements, ...]:
    """Compare every published parameter count of the presets with that of the model."""
    from ..calc.params import params
    from ..schema.preset import load_file
    from ..schema.preset_files import sized_files

    rows = []
    for file, size in sized_files():
        with suppress(InputError):
            counted = params(load_file(file, size))
            for known in counted.architecture.expect:
                value = "total" if known.quantity == "params" else known.quantity
                case = f"{counted.architecture.name}, {value}, {known.source}{f': {known.note}' if known.note else ''}"
                rows.append(Row(case, known.value / BILLION, getattr(counted, value) / BILLION, value))
    remark = "Most differences are due to rounding. A note explains each difference that is larger."
    return (
        Measurements(
            "Published figures of the presets", "params", "total", "", "Publications and checkpoints of the models",
            remark=remark, unit="B", rows=tuple(rows),
        ),
    )  # fmt: skip


def evidence_of(found: tuple[Measurements, ...], quantity: str | None = None) -> Evidence:
    """Assign measurements to the values of one or all quantities."""
    values = []
    for (name, mode), kinds in classes().items():
        for value, kind in kinds.items() if quantity in (None, name) else ():
            measured = SAME.get((name, mode, value), (name, mode, value))
            tables = (one.of(measured[2]) for one in found if (one.quantity, one.mode) == measured[:2])
            basis = BASIS.get((name, mode), {}).get(value, "")
            values.append(ValueEvidence(name, mode, value, kind, basis, tuple(filter(None, tables))))
    used = {one.title for value in values for one in value.measurements}
    chosen = tuple(one for one in found if quantity in (None, one.quantity) or one.title in used)
    return Evidence(tuple(values), chosen, quantity)


def errors_of(quantity: str, value: str, mode: str = "", *, in_fit: bool = False) -> list[float]:
    """Return the errors of a value on measurements to which constants were fitted, or on all others."""
    found = read_measurements(
        {
            title: entry
            for title, entry in table("evidence").items()
            if (entry["quantity"], entry["mode"]) == (quantity, mode)
        }
    )
    return [error for one in found if one.in_fit is in_fit and (own := one.of(value)) for error in own.errors]


def classes() -> dict[tuple[str, str], Mapping[str, str]]:
    """Return the class of every value, by quantity and mode."""
    from .quantity import quantities

    found = {(each.name, mode): kinds for each in quantities() for mode, kinds in each.evidence.items()}
    results = ((key, import_module(f"llmcalc.{module}"), kind) for key, (module, kind) in RESULTS.items())
    return {**found, **{key: getattr(module, kind).EVIDENCE for key, module, kind in results}}


def read_measurements(data: Mapping[str, Any]) -> tuple[Measurements, ...]:
    """Read tables as in ``data/evidence.yaml``."""
    return tuple(_measurements(data))


def _measurements(data: Mapping[str, Any]) -> Iterator[Measurements]:
    for title, entry in data.items():
        known = dict(entry)
        rows = tuple(Row(*row) for row in known.pop("rows", ()))
        yield Measurements(title, settings=known.pop("compared", known.pop("settings", "")), rows=rows, **known)


def is_modelled(kind: str) -> bool:
    """Return whether values of a class are more than an exact count."""
    return kind not in (EXECUTED, EXACT)


def error_text(errors: list[float]) -> str:
    """Format errors, such as ``median 2.4 %, worst -7.0 %``."""
    return f"median {100 * median(errors):.2g} %, worst {100 * worst(errors):+,.1f} %" if errors else ""


def median(errors: list[float]) -> float:
    """Return the median size of errors."""
    sizes = sorted(map(abs, errors))
    half = len(sizes) // 2
    return sizes[half] if len(sizes) % 2 else (sizes[half - 1] + sizes[half]) / 2


def worst(errors: list[float]) -> float:
    """Return the largest error, with its sign."""
    return max(errors, key=abs)


def _errors(errors: list[float]) -> dict[str, float | None]:
    return {"median": median(errors) if errors else None, "worst": worst(errors) if errors else None}
