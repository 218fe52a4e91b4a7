"""Calibrations: factors of measured deployments and training steps, saved as a file for ``serve`` and ``train``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ..core.architecture import Architecture
from ..core.errors import InputError, short_repr
from ..core.evidence import FITTED
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.setting import Setting
from ..core.type_names import Any, ClassVar
from ..schema.preset_files import read_text
from .factors import Factors
from .memory import engine_title

MOST_LISTED = 1000  # measurements of which a file lists the errors
SMALLEST, LARGEST = 1e-3, 1e3  # factors
FACTORS = tuple(Setting(name, float, above=0) for name in ("decode", "prefill", "step_ms"))
TEXTS = tuple(Setting(name) for name in ("model", "gpu", "engine", "weights", "hash"))
OPTIONAL = ("weights", "hash", "stack")
ROWS = Setting("rows", int, least=1)
OF_STEPS = (
    *(Setting(name) for name in ("model", "hash", "gpu", "precision", "stack")), Setting("factor", float, above=0),
    Setting("spread", float, least=0), Setting("steps", int, least=1), ROWS,
)  # fmt: skip
HEAD = "# Written by llmcalc calibrate, and read by llmcalc serve, latency and train"


def rounded(value: float | None) -> float | None:
    """Return a number with six digits, as files have them.

    >>> rounded(0.123456789), rounded(None)
    (0.123457, None)
    """
    return None if value is None else float(f"{value:.6g}")


@record
class CalibratedRow:
    """A measurement beside the estimates without and with the factors of its deployment.

    Attributes:
        row: place of the measurement, such as ``row 3``.
        measured_s: measured time per output token.
        before_s: estimate without calibration.
        after_s: estimate with it.
    """

    row: str
    measured_s: float
    before_s: float
    after_s: float


def _mean_error(rows: tuple[CalibratedRow, ...], *, is_calibrated: bool) -> float | None:
    """Return the mean absolute error of the estimates of measurements, or None without any."""
    found = [abs((row.after_s if is_calibrated else row.before_s) / row.measured_s - 1) for row in rows]
    return sum(found) / len(found) if found else None


@record
class MeasuredDeployment:
    """A model on GPUs with an engine, and the factors of its times.

    Attributes:
        model: name of the model.
        gpu: name of the GPU.
        engine: serving engine.
        weights: number format of the weights, or None if as published.
        factors: factors of the estimated times.
        n_rows: number of measurements that the factors are fitted to.
        rows: these measurements, if they are known.
        hash: fingerprint of the architecture, or None if the file does not state it.
    """

    model: str
    gpu: str
    engine: str
    weights: str | None
    factors: Factors
    n_rows: int
    rows: tuple[CalibratedRow, ...] = ()
    hash: str | None = None

    @property
    def title(self) -> str:
        """Description in one line."""
        return f"{self.model} on {self.gpu} in {engine_title(self.engine)}, weights {self.weights or 'as published'}"

    def error(self, *, is_calibrated: bool) -> float | None:
        """Return the mean absolute error of the estimates, or None if the measurements are unknown."""
        return _mean_error(self.rows, is_calibrated=is_calibrated)

    def to_dict(self) -> dict[str, Any]:
        """Return the deployment as a plain dictionary."""
        own = self.factors
        return {
            "model": self.model, "hash": self.hash, "gpu": self.gpu, "engine": self.engine, "weights": self.weights,
            "decode": rounded(own.decode), "prefill": rounded(own.prefill), "step_ms": rounded(own.step_s * 1e3),
            "rows": self.n_rows, "error_before": rounded(self.error(is_calibrated=False)),
            "error_after": rounded(self.error(is_calibrated=True)),
        }  # fmt: skip


@record
class CalibratedSteps:
    """Measured steps of a model on GPUs in a training program, and the factor of their time.

    Attributes:
        model: name of the model.
        hash: fingerprint of the architecture.
        gpu: name of the GPU.
        precision: number format of matrix products.
        stack: training program, or empty for any.
        factor: measured time of a step relative to the modelled one.
        spread: logarithmic standard deviation of the measured steps from this factor.
        n_steps: number of measured times.
        n_rows: number of rows or logs, which may have different layouts.
    """

    model: str
    hash: str
    gpu: str
    precision: str
    stack: str
    factor: float
    spread: float
    n_steps: int
    n_rows: int

    @property
    def title(self) -> str:
        """Description in one line."""
        return f"{self.model} on {self.gpu} in {self.precision}, {self.stack or 'any program'}"

    def to_dict(self) -> dict[str, Any]:
        """Return the steps as a plain dictionary."""
        return {
            "model": self.model, "hash": self.hash, "gpu": self.gpu, "precision": self.precision,
            "stack": self.stack or None,
            "factor": rounded(self.factor), "spread": rounded(self.spread), "steps": self.n_steps, "rows": self.n_rows,
        }  # fmt: skip


@record
class Calibration(NotebookDisplay):
    """Factors of the times of deployments and training steps, fitted to measurements.

    Attributes:
        deployments: measured deployments.
        left_out: measurements that failed a check, with the reason.
        warnings: what is unusual about measurements that are used.
        version: version of llmcalc that fitted the factors.
        date: date of the fit.
        steps: measured training steps.
    """

    deployments: tuple[MeasuredDeployment, ...]
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]
    version: str
    date: str
    steps: tuple[CalibratedSteps, ...] = ()

    EVIDENCE: ClassVar[Mapping[str, str]] = dict.fromkeys(("deployments", "steps"), FITTED)

    @property
    def n_rows(self) -> int:
        """Number of measurements that the factors are fitted to."""
        return sum(each.n_rows for each in self.deployments) + sum(each.n_rows for each in self.steps)

    @property
    def summary(self) -> str:
        """Answer in one line."""
        if self.steps:
            own = [f"{each.factor:.3g} times the modelled time (± {each.spread:.1%})" for each in self.steps[:3]]
            count = sum(each.n_steps for each in self.steps)
            return f"{count:,} measured step{'s' * (count != 1)}: {'; '.join(own)}"
        rows = tuple(row for each in self.deployments for row in each.rows)
        count, found = len(self.deployments), f"{self.n_rows:,} measurement{'s' * (self.n_rows != 1)}"
        text = f"{found} of {count} deployment{'s' * (count != 1)}"
        before, after = (_mean_error(rows, is_calibrated=each) for each in (False, True))
        return text if before is None else f"{text}: mean error {before:.1%} before and {after:.1%} after calibration"

    def find(self, architecture: Architecture, gpu: str, engine: str | None, weights: str | None) -> MeasuredDeployment:
        """Return the measured deployment of a model. Without an engine, it may be that of any engine.

        A model is found by its fingerprint, whatever its name is. A name counts if the file states no fingerprint.
        """
        from ..core.description.fingerprint import fingerprint  # only for the times that a file states

        model, own = architecture.name, fingerprint(architecture)
        found = [
            each
            for each in self.deployments
            if (each.hash == own if each.hash else each.model == model)
            and (each.gpu, each.weights) == (gpu, weights)
            and engine in (None, each.engine)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            names = " or ".join(each.engine for each in found)
            raise InputError("was measured with several engines", parameter="calibration", hint=f"add engine {names}")
        wanted = f"{model} on {gpu}" + (f" in {engine_title(engine)}" if engine else "")
        if any(each.model == model and each.hash not in (None, own) for each in self.deployments):
            wanted = f"this {wanted}, which differs from the measured {model} of the same name"
        raise self._missing(f"{wanted}, weights {weights or 'as published'}")

    def find_steps(self, architecture: Architecture, gpu: str, precision: str, stack: str) -> CalibratedSteps:
        """Return the measured training steps of a model. Without a program, they may be those of any program."""
        from ..core.description.fingerprint import fingerprint

        own = fingerprint(architecture)
        same = [each for each in self.steps if (each.hash, each.gpu, each.precision) == (own, gpu, precision)]
        found = [each for each in same if stack in ("", each.stack)]
        if len(found) > 1:
            names = " or ".join(each.stack or "none" for each in found)
            hint = f"set {{stack}} to {names}"
            raise InputError("was measured with several programs", parameter="calibration", hint=hint)
        if not found:
            program = stack or "any program"
            raise self._missing(f"training steps of {architecture.name} on {gpu} in {precision}, {program}")
        return found[0]

    def _missing(self, wanted: str) -> InputError:
        titles = [*(each.title for each in self.deployments), *(each.title for each in self.steps)]
        more = f" and {len(titles) - 3} more" if len(titles) > 3 else ""
        hint = f"it has {'; '.join(titles[:3])}{more}. Factors of one deployment do not hold for others"
        return InputError(f"has no measurements of {wanted}", parameter="calibration", hint=hint)

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as a plain dictionary."""
        rows = [
            {
                "row": row.row, "deployment": place, "measured_s": rounded(row.measured_s),
                "before_s": rounded(row.before_s), "after_s": rounded(row.after_s),
                "residual": rounded(row.after_s / row.measured_s - 1),
            }
            for place, each in enumerate(self.deployments)
            for row in each.rows
        ]  # fmt: skip
        return {
            "llmcalc": self.version, "date": self.date, "deployments": [each.to_dict() for each in self.deployments],
            "steps": [each.to_dict() for each in self.steps],
            "measurements": rows[:MOST_LISTED], "left_out": dict(list(self.left_out.items())[:MOST_LISTED]),
            "warnings": list(self.warnings),
        }  # fmt: skip

    def text(self, is_json: bool = False) -> str:
        """Return the text of a file that ``read_calibration`` reads, in YAML or JSON."""
        if is_json:
            import json

            return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"
        import yaml

        written = yaml.safe_dump(self.to_dict(), sort_keys=False, width=1000, default_flow_style=None)
        return f"{HEAD}\n{written}"


def read_calibration(source: object) -> Calibration:
    """Return a calibration, or read the file of one.

    Raises:
        InputError: the file cannot be read, or is not that of a calibration.
    """
    from ..schema.yaml_reader import read_yaml

    if isinstance(source, Calibration):
        return source
    if not isinstance(source, str | os.PathLike) or not os.fspath(source):
        raise InputError(f"must be a file name or a Calibration, not {short_repr(source)}", parameter="calibration")
    where = str(os.fspath(source))
    data = read_yaml(read_text(where), where).data
    entries, steps = (data.get(name) or [] for name in ("deployments", "steps")) if isinstance(data, dict) else ((), ())
    if not isinstance(entries, list) or not isinstance(steps, list) or not (entries or steps):
        hint = "write one with llmcalc calibrate rows.csv -o own.yaml"
        raise InputError("is not the file of a calibration", where=where, hint=hint)
    version, date = (str(data.get(name, "")) for name in ("llmcalc", "date"))
    deployments = tuple(_deployment(entry, where) for entry in entries)
    return Calibration(deployments, {}, (), version, date, tuple(_calibrated_steps(entry, where) for entry in steps))


def _checked(entry: object, where: str, what: str, settings: Iterable[Setting]) -> dict[str, Any]:
    """Return an entry of a file with valid values."""
    if not isinstance(entry, dict):
        raise InputError(f"{what} must have keys, not be {short_repr(entry)}", where=where)
    for setting in settings:
        value: Any = entry.get(setting.name)
        try:
            setting.check(value)
        except InputError as error:
            raise InputError(f"{setting.name} {error.message}", where=where) from None
        if value is None and setting.name not in OPTIONAL:
            raise InputError(f"{what} has no {setting.name}", where=where)
        if setting.above == 0 and not SMALLEST <= value <= LARGEST:
            raise InputError(f"{setting.name} {value:g} is not between {SMALLEST:g} and {LARGEST:g}", where=where)
    return entry


def _calibrated_steps(entry: object, where: str) -> CalibratedSteps:
    own = _checked(entry, where, "measured steps", OF_STEPS)
    found: Any = [own.get(setting.name) or "" for setting in OF_STEPS if setting.kind is str]
    numbers: Any = [own[setting.name] for setting in OF_STEPS if setting.kind is not str]
    return CalibratedSteps(*found, *numbers)


def _deployment(entry: object, where: str) -> MeasuredDeployment:
    entry = _checked(entry, where, "a deployment", (*TEXTS, *FACTORS, ROWS))
    factors = Factors(float(entry["decode"]), float(entry["prefill"]), entry["step_ms"] / 1e3)
    model, gpu, engine, weights, own = (entry.get(setting.name) for setting in TEXTS)
    return MeasuredDeployment(str(model), str(gpu), str(engine), weights, factors, entry["rows"], hash=own)
