"""Calibrations: factors of the times of measured deployments, saved as a file that ``serve`` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping

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
OPTIONAL = ("weights", "hash")
ROWS = Setting("rows", int, least=1)
HEAD = "# Written by llmcalc calibrate, and read by llmcalc serve and llmcalc latency"


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
class Calibration(NotebookDisplay):
    """Factors of the times of deployments, fitted to measurements of serving.

    Attributes:
        deployments: measured deployments.
        left_out: measurements that failed a check, with the reason.
        warnings: what is unusual about measurements that are used.
        version: version of llmcalc that fitted the factors.
        date: date of the fit.
    """

    deployments: tuple[MeasuredDeployment, ...]
    left_out: Mapping[str, str]
    warnings: tuple[str, ...]
    version: str
    date: str

    EVIDENCE: ClassVar[Mapping[str, str]] = {"deployments": FITTED}

    @property
    def n_rows(self) -> int:
        """Number of measurements that the factors are fitted to."""
        return sum(each.n_rows for each in self.deployments)

    @property
    def summary(self) -> str:
        """Answer in one line."""
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
        titles = [each.title for each in self.deployments[:3]]
        more = f" and {len(self.deployments) - 3} more" if len(self.deployments) > 3 else ""
        wanted = f"{model} on {gpu}" + (f" in {engine_title(engine)}" if engine else "")
        if any(each.model == model and each.hash not in (None, own) for each in self.deployments):
            wanted = f"this {wanted}, which differs from the measured {model} of the same name"
        raise InputError(
            f"has no measurements of {wanted}, weights {weights or 'as published'}", parameter="calibration",
            hint=f"it has {'; '.join(titles)}{more}. Factors of one deployment do not hold for others",
        )  # fmt: skip

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
    entries = data.get("deployments") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        hint = "write one with llmcalc calibrate rows.csv -o own.yaml"
        raise InputError("is not the file of a calibration", where=where, hint=hint)
    version, date = (str(data.get(name, "")) for name in ("llmcalc", "date"))
    return Calibration(tuple(_deployment(entry, where) for entry in entries), {}, (), version, date)


def _deployment(entry: object, where: str) -> MeasuredDeployment:
    if not isinstance(entry, dict):
        raise InputError(f"a deployment must have keys, not be {short_repr(entry)}", where=where)
    for setting in (*TEXTS, *FACTORS, ROWS):
        value: Any = entry.get(setting.name)
        try:
            setting.check(value)
        except InputError as error:
            raise InputError(f"{setting.name} {error.message}", where=where) from None
        if value is None and setting.name not in OPTIONAL:
            raise InputError(f"a deployment has no {setting.name}", where=where)
        if setting in FACTORS and not SMALLEST <= value <= LARGEST:
            raise InputError(f"{setting.name} {value:g} is not between {SMALLEST:g} and {LARGEST:g}", where=where)
    factors = Factors(float(entry["decode"]), float(entry["prefill"]), entry["step_ms"] / 1e3)
    model, gpu, engine, weights, own = (entry.get(setting.name) for setting in TEXTS)
    return MeasuredDeployment(str(model), str(gpu), str(engine), weights, factors, entry["rows"], hash=own)
