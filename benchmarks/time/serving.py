"""Fit what an engine adds to a step, to measurements of serving, and cross-validate the times of requests.

    python -m benchmarks.time.serving FILE [--predictions OUT] [--write]

Each line of FILE (JSON lines, optionally compressed) is a measurement: ``model``, ``arguments`` of ``llmcalc.serve``,
and ``measured`` with ``tpot_s`` and ``ttft_s``. ``deployment`` names the rows that were measured together. Prints the
errors with each accelerator, and each model, left out of the fit, and with the measured kernels of the accelerator left
out too.
``--predictions`` writes the times with the accelerator left out, as JSON lines. ``--write`` replaces the deviations of
intervals in ``llmcalc/data/time_errors.yaml``. Needs SciPy.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import llmcalc
from llmcalc.calc.sharding import Mesh
from llmcalc.calc.touched_experts import expert_layers
from llmcalc.data import table
from llmcalc.inputs.gpus import read_gpus
from llmcalc.kernels.interval import QUANTILE, remaining_error
from llmcalc.serving.factors import Factors, MeasuredTime, fit_factors
from llmcalc.serving.request_times import Load, serving_time
from llmcalc.serving.step.engine_step import MICRO
from llmcalc.serving.step.step_models import step_model

from .fitting import errors
from .intervals import coverage, two_variances, write_errors

STEP, SEQUENCE = 800 * MICRO, 13 * MICRO  # usual values of an engine, in seconds
SPREAD = {"step": 1.0, "sequence": 0.5}  # logarithmic deviations of engines from them
NOISE, FIRST_NOISE = 0.15, 0.3  # logarithmic errors of measurements: per output token, and to the first token
OWN = (0, 1, 3, 5, 10)  # rows of a deployment that calibrate its times
LAYOUT = ("gpu", "tp", "dp", "ep", "weights", "experts", "attention_weights", "cache", "engine")
KERNELS = {
    "h100-sxm": {"h100-sxm"},
    "h200": {"h200"},
    "b200-180gb": {"b200"},
    "b300": {"b300"},
    "gb200-186gb": {"gb200"},
}


class Rows:
    """Measurements, with the times of their steps without the engine's own work."""

    def __init__(self, records: Sequence[Mapping[str, Any]], without_own: bool = False) -> None:
        self.records = records
        count = len(records)
        self.base, self.batch, self.first, self.own, self.prefill = (np.zeros(count) for _ in range(5))
        self.others, self.rest = np.zeros(count), np.zeros(count)
        self.measured = np.array([record["measured"]["tpot_s"] for record in records])
        self.ttft = np.array([record["measured"].get("ttft_s") or np.nan for record in records])
        self.saturated = np.zeros(count, bool)
        self.gpu = np.array([record["arguments"]["gpu"].partition(":")[0] for record in records])
        self.model = np.array([record["model"] for record in records])
        self.clean = np.array([record.get("clean", True) for record in records])
        self.dense = np.zeros(count, bool)
        names = [record["arguments"]["engine"] for record in records]
        self.engines = sorted(set(names))
        self.engine = np.array([self.engines.index(name) for name in names])
        self.deployment = np.array([record.get("deployment", record["model"]) for record in records])
        counts = Counter(self.deployment)
        self.weight = np.array(
            [counts[name] ** -0.5 for name in self.deployment]
        )  # rows of one deployment deviate together
        groups = defaultdict(list)
        for place, record in enumerate(records):
            groups[record["model"], *(record["arguments"].get(name) for name in LAYOUT)].append(place)
        models: dict[str, Any] = {}
        for (model, *layout), places in groups.items():
            if model not in models:
                models[model] = llmcalc.load(model)
            self._fill(models[model], dict(zip(LAYOUT, layout, strict=True)), np.array(places), without_own)

    def _fill(self, architecture: Any, own: dict[str, Any], places: np.ndarray, without_own: bool) -> None:
        card = read_gpus(own["gpu"]).accelerator
        assert card is not None
        tp, dp, ep = (own[name] or 1 for name in ("tp", "dp", "ep"))
        mesh = Mesh(dp=dp, tp=tp, ep=ep, etp=dp * tp // ep)
        formats = {name: own[name] for name in ("weights", "experts", "attention_weights", "cache")}
        without = frozenset(KERNELS.get(card.name, ())) if without_own else frozenset()
        model = step_model(architecture, card, mesh, own["engine"], without=without, **formats)
        sizes = ([self.records[place]["arguments"][name] for place in places] for name in ("isl", "osl", "concurrency"))
        time = serving_time(model, Load(*(np.array(size, float) for size in sizes)))
        self.base[places], self.batch[places] = time.tpot_s - time.step.engine, time.batch
        self.first[places], self.own[places] = time.ttft_s, time.prefill_s
        self.others[places] = np.sqrt(np.maximum(time.batch - 1 / model.n_batches, 0.0))
        known = time.prefill_s * (1 + model.engine.wait * self.others[places]) + model.engine.server_s
        self.rest[places] = time.ttft_s - known
        self.prefill[places] = time.tpot_s - time.step.seconds
        self.dense[places] = not expert_layers(architecture)
        self.saturated[places] = (time.waiting > 0) | (time.capacity == 0)

    def tpot(self, constants: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Return the time per output token. ``constants`` are logarithmic: of a step, and of a sequence, by engine."""
        step, sequence = np.exp(constants.reshape(2, -1))[:, self.engine[places]]
        return self.base[places] + STEP * step + SEQUENCE * sequence * self.batch[places]

    def fit(self, places: np.ndarray) -> np.ndarray:
        spread = np.repeat([SPREAD["step"], SPREAD["sequence"]], len(self.engines))

        def deviations(constants: np.ndarray) -> np.ndarray:
            found = np.log(self.tpot(constants, places) / self.measured[places]) / NOISE * self.weight[places]
            return np.concatenate([found, constants / spread])

        return least_squares(deviations, np.zeros(2 * len(self.engines)), loss="soft_l1").x

    def fit_first_tokens(self, places: np.ndarray) -> tuple[float, float]:
        """Return the wait and the seconds of the server of one engine, by the times to the first token."""

        def deviations(constants: np.ndarray) -> np.ndarray:
            wait, server = np.abs(constants)
            found = self.own[places] * (1 + wait * self.others[places]) + self.rest[places] + server
            return np.log(found / self.ttft[places]) / FIRST_NOISE * self.weight[places]

        wait, server = np.abs(least_squares(deviations, [0.8, 0.02], loss="soft_l1").x)
        return float(wait), float(server)

    def leave_out(self, groups: np.ndarray, other: Rows | None = None) -> np.ndarray:
        """Return the times of every group from a fit to the other groups. ``other`` has the steps of judged rows."""
        found = np.zeros(len(self.measured))
        for name in sorted(set(groups)):
            constants = self.fit(np.flatnonzero(groups != name))
            places = np.flatnonzero(groups == name)
            found[places] = (other or self).tpot(constants, places)
        return found

    def parts(self, constants: np.ndarray, places: np.ndarray) -> tuple[MeasuredTime, float]:
        """Return the parts of the times of measurements of one engine, and its seconds of a step."""
        step, sequence = np.exp(constants.reshape(2, -1))[:, self.engine[places[0]]]
        prefill, scheduler = self.prefill[places], SEQUENCE * sequence * self.batch[places]
        return MeasuredTime(self.base[places] - prefill, scheduler, prefill, self.measured[places]), STEP * step

    def calibrate(self, constants: Mapping[str, np.ndarray], own: int, draws: int = 20) -> np.ndarray:
        """Return measured and predicted times of a deployment, after ``own`` of its rows drawn at random.

        Args:
            constants: of the engines, by accelerator, from a fit without it.
            own: number of rows of a deployment that the factors are fitted to.
            draws: number of times that rows are drawn.
        """
        random, found = np.random.default_rng(7), []
        for name in sorted(set(self.deployment)):
            everything = np.flatnonzero(self.deployment == name)
            if len(everything) <= own:
                continue
            parts, usual = self.parts(constants[self.gpu[everything[0]]], everything)
            for _ in range(draws):
                order = random.permutation(len(everything))
                rows = [MeasuredTime(*(float(part[place]) for part in parts)) for place in order[:own]]
                factors = fit_factors(rows, usual) if own else Factors(1.0, 1.0, usual)
                found.append(np.stack([parts.seconds(factors), parts.measured], axis=1)[order[own:]])
        return np.concatenate(found)


def show(name: str, found: np.ndarray, rows: Rows) -> None:
    print(f"{name:34s} {errors(found, rows.measured)}")
    kinds = (("clean", rows.clean), ("dense models", rows.dense), ("mixtures of experts", ~rows.dense))
    for part, chosen in (*kinds, *((engine, rows.engine == i) for i, engine in enumerate(rows.engines))):
        print(f"  {part:32s} {errors(found[chosen], rows.measured[chosen])}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.time.serving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path)
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--write", action="store_true", help="replace the deviations in the data file")
    given = parser.parse_args()
    opened = gzip.open if given.file.suffix == ".gz" else open
    with opened(given.file, "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    rows, strict = Rows(records), Rows(records, without_own=True)
    everything = np.arange(len(records))
    constants = rows.fit(everything)
    for engine, step, sequence in zip(rows.engines, *np.exp(constants.reshape(2, -1)), strict=True):
        print(f"{engine:12s} step_us: {STEP * step / MICRO:.0f}, sequence_us: {SEQUENCE * sequence / MICRO:.1f}")
    fitted = rows.tpot(constants, everything)
    show("in the fit", fitted, rows)
    left = rows.leave_out(rows.gpu)
    show("accelerator left out", left, rows)
    for name in sorted(set(rows.gpu)):
        print(f"  {name:32s} {errors(left[rows.gpu == name], rows.measured[rows.gpu == name])}")
    without_kernels = rows.leave_out(rows.gpu, strict)
    show("its kernels left out too", without_kernels, rows)
    by_gpu = {name: rows.fit(np.flatnonzero(rows.gpu != name)) for name in sorted(set(rows.gpu))}
    known = table("time_errors")["tpot"]
    for own in OWN:
        found = rows.calibrate(by_gpu, own)
        deviation = np.hypot(remaining_error(known["between"], known["inside"], own), known["inside"])
        covered = np.mean(np.abs(np.log(found[:, 0] / found[:, 1])) <= QUANTILE * deviation)
        print(f"{f'{own} own rows, on the others':34s} {errors(*found.T)}  covered {covered:.2f}")
    by_model = rows.leave_out(rows.model)
    show("model left out", by_model, rows)
    for name in sorted(set(rows.model)):
        print(f"  {name:32s} {errors(by_model[rows.model == name], rows.measured[rows.model == name])}")
    new = {"accelerator left out": left, "its kernels left out too": without_kernels, "model left out": by_model}
    spreads = [two_variances(each, rows.measured, rows.deployment) for each in new.values()]
    between, inside = map(max, zip(*spreads, strict=True))  # of the least known case
    for name, each in new.items():
        share, width = coverage(each, rows.measured, rows.deployment)
        print(f"{name:34s} covered {share:.2f}, median width x/÷{width:.2f}, by the deviations of other deployments")
    widest = QUANTILE * np.hypot(between, inside)
    for name, each in {"in the fit": fitted, **new}.items():
        is_inside = np.abs(np.log(each / rows.measured)) <= widest
        shares = f"{is_inside.mean():.2f}, of clean rows {is_inside[rows.clean].mean():.2f}"
        print(f"{name:34s} covered {shares}, by the width of the least known case, x/÷{np.exp(widest):.2f}")
    valid = np.flatnonzero(~rows.saturated & np.isfinite(rows.ttft) & rows.clean)
    for place, engine in enumerate(rows.engines):
        wait, server = rows.fit_first_tokens(valid[rows.engine[valid] == place])
        print(f"{engine:12s} wait: {wait:.2f}, server_us: {server / MICRO:.0f}")
    ttft = (rows.first[valid], rows.ttft[valid], rows.deployment[valid])
    share, width = coverage(*ttft)
    print(f"{'ttft':34s} covered {share:.2f}, median width x/÷{width:.2f}, by the deviations of other deployments")
    write_errors({"tpot": (between, inside), "ttft": two_variances(*ttft)}, is_written=given.write)
    if given.predictions:
        factor = np.exp(widest)
        with given.predictions.open("w", encoding="utf-8") as stream:
            for place, value in enumerate(left):
                own = {"file": "serving", "row": place, "what": "tpot_s", "value": value}
                stream.write(json.dumps({**own, "low": value / factor, "high": value * factor}) + "\n")


if __name__ == "__main__":
    main()
