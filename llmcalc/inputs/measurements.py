"""Measurements by others of values that llmcalc predicts, and the errors of the predictions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap

from ..core.record import NamedTuple, changed, record
from ..core.type_names import Any
from ..data import table

SHOWN = (
    "title", "quantity", "value", "mode", "source", "settings", "remark", "unit", "failure", "deviation", "in_fit",
    "bounds",
)  # fmt: skip


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
        if self.bounds:
            return len({(row.case.rpartition(", ")[0], row.measured) for row in self.rows})
        return len(self.rows) or self.cases

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
        rows = [{**row._asdict(), "error": row.error} for row in self.rows]
        counts = {"count": self.count, "failures": self.failures, **error_sizes(self.errors)}
        return {**{name: getattr(self, name) for name in SHOWN}, **counts, "rows": rows}


def read_measurements(data: Mapping[str, Any]) -> tuple[Measurements, ...]:
    """Read tables as in ``data/evidence.yaml``."""
    found = []
    for title, entry in data.items():
        known = dict(entry)
        rows = tuple(starmap(Row, known.pop("rows", ())))
        settings = known.pop("compared", known.pop("settings", ""))
        found.append(Measurements(title, settings=settings, rows=rows, **known))
    return tuple(found)


def errors_of(quantity: str, value: str, mode: str = "", *, in_fit: bool = False) -> list[float]:
    """Return the errors of a value on measurements to which constants were fitted, or on all others."""
    own = {
        title: entry
        for title, entry in table("evidence").items()
        if (entry["quantity"], entry["mode"], entry.get("in_fit", False)) == (quantity, mode, in_fit)
        and value in " ".join([entry["value"], *[name for row in entry.get("rows", ()) for name in row[3:]]]).split()
    }
    return [error for one in read_measurements(own) if (rows := one.of(value)) for error in rows.errors]


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


def error_sizes(errors: list[float]) -> dict[str, float | None]:
    """Return the median size of errors and the largest one, or None for both."""
    return {"median": median(errors) if errors else None, "worst": worst(errors) if errors else None}
