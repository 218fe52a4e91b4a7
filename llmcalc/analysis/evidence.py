"""Evidence of every value: its class, what it rests on, and the measurements that it was compared with."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, ClassVar

from ..core.errors import InputError
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..data import table
from ..inputs.measurements import Measurements, Row, error_sizes, error_text, read_measurements
from .results import RESULTS

SAME = {("memory", "serving", "state"): ("state", "", "bytes")}  # values that are measured as another one
OPERATIONS = "operations per element of each function, by convention"
STEPS = "measured rates of kernels and collectives, and coefficients fitted to published steps"
KERNELS = "kernels of measured GPUs, and constants of each engine"
# what values that do not follow from the equations rest on, by quantity and mode, and by names of values
BASIS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("flops", ""): {"total": "the sum of matmul and other", "other": OPERATIONS},
    ("traffic", ""): {
        "total read written": "what a fused kernel keeps on chip; unfused kernels are exact",
        "intensity": OPERATIONS,
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
        "other": OPERATIONS,
        "hours days": "the operations of a step, or the published utilisation of other runs on the accelerator",
        "step_time": STEPS,
        "cost": "quoted prices per hour",
        "emissions": "rated power, with the conventions of publications",
    },
    ("train", "step"): {"seconds mfu": STEPS},
    ("plan", ""): {"seconds": STEPS, "memory_bytes": "the peak of memory of a training step"},
    ("fit", ""): {
        "memory": "the memory that drivers report, or the size that the vendor states",
        "reserve": "memory for the runtime: 1 GiB unless it is set",
        "needed": "the peak of memory",
        "usable headroom fits": "the reserve and the peak of memory",
    },
    ("serve", ""): {
        "budget": "the memory that drivers report, and the share of it that the engine uses",
        "activation": "buffers of the engine's sampler and forward pass, in its code and logs",
        "non_torch cuda_graphs": "constants of each engine version, from its logs",
        "available blocks tokens concurrency longest starts": "the budget minus all other parts",
    },
    ("calibrate", ""): {"deployments steps": "the given measurements, and the estimates without them"},
    ("rl", ""): {"peak phases host headroom": "what trainers and rollout engines keep in memory, in their code"},
    ("serve", "requests"): {"tpot_s ttft_s requests_per_s speedup": KERNELS},
    ("serve", "encoders"): {"requests_per_s tokens_per_s latency_s": KERNELS},
    ("latency", ""): {"seconds low high tokens_per_s": KERNELS},
    ("scale", ""): {"parameters tokens compute loss": "runs of each law's publication (llmcalc laws show)"},
}
BILLION = 10**9


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
        found = {name: getattr(self, name) for name in ("quantity", "mode", "value", "basis", "count")}
        errors = {"errors": error_sizes(self.errors()), "errors_in_fit": error_sizes(self.errors(True))}
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


def known_evidence(quantity: str | None) -> Evidence:
    """Return the evidence of one or all quantities."""
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
            texts = BASIS.get((name, mode), {}).items()
            basis = next((text for names_of_values, text in texts if value in names_of_values.split()), "")
            values.append(ValueEvidence(name, mode, value, kind, basis, tuple(filter(None, tables))))
    used = {one.title for value in values for one in value.measurements}
    chosen = tuple(one for one in found if quantity in (None, one.quantity) or one.title in used)
    return Evidence(tuple(values), chosen, quantity)


def classes() -> dict[tuple[str, str], Mapping[str, str]]:
    """Return the class of every value, by quantity and mode."""
    from .quantity import quantities

    found = {(each.name, mode): kinds for each in quantities() for mode, kinds in each.evidence.items()}
    shown = {name: import_module(f"llmcalc.{each.module}") for name, each in RESULTS.items() if each.module}
    return {**found, **{RESULTS[name].evidence: getattr(module, name).EVIDENCE for name, module in shown.items()}}
