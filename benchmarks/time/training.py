"""Fit the coefficients of training steps to published steps, and judge them on steps that were left out.

    python -m benchmarks.time.training FILE [--predictions OUT] [--write]

Each line of FILE (JSON lines, optionally compressed) is a published step: ``table`` of its source, ``model`` with
``overrides`` or a ``config``, ``arguments`` of ``llmcalc.step_time``, and ``measured`` with ``seconds``. Coefficients
start from what they are by physics, with a logarithmic deviation each, and all programs have the same. A program has a
factor, and one for each generation of GPUs and number format. Prints for each table the errors with its model left out
of the fit (half of its numbers of GPUs, if it has one model), beside those of an unseen program, whose rows are all
left out. ``--predictions`` writes the former as JSON lines. ``--write`` replaces ``llmcalc/data/training_time.yaml``.
Needs SciPy.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.optimize import least_squares

import llmcalc
from llmcalc.inputs.gpus import read_gpus
from llmcalc.kernels.interval import QUANTILE
from llmcalc.training.layouts import kernels_on
from llmcalc.training.machine import precision_of
from llmcalc.training.programs import programs
from llmcalc.training.schedule import Overlaps, Shape, StageWork, TrainingCoefficients, Work, schedule
from llmcalc.training.step import shape_of, stage_works
from llmcalc.training.timed_step import read_step

from .intervals import SHARE, inside_share, two_variances

FILE = Path(__file__).parent.parent.parent / "llmcalc" / "data" / "training_time.yaml"
# by physics, with the logarithmic deviation: kernels of a long run have a lower clock than in a brief measurement, the
# host takes some microseconds to launch a kernel, and collectives share the memory with computation
PRIORS = {
    "products": (1.08, 0.12), "low_bits": (1.0, 0.2), "experts": (1.2, 0.3), "attention": (1.1, 0.25),
    "memory": (1.25, 0.25), "kernel_us": (8.0, 0.4), "call_us": (40.0, 0.5), "links": (1.1, 0.3), "network": (1.3, 0.4),
    "optimizer": (1.3, 0.4), "step_ms": (20.0, 1.0), "waiting": (0.015, 0.7),
}  # fmt: skip
NAMES = tuple(PRIORS)
CENTRE = np.log([mean for mean, _ in PRIORS.values()])
SPREAD = np.array([deviation for _, deviation in PRIORS.values()])
SOURCES = {  # of docs/data/training_steps_*.csv, with their programs
    "mpt": ["llm-foundry"], "korthikanti": ["megatron-lm-2022"], "simumax": ["megatron-core"],
    "torchtitan": ["torchtitan"], "automodel": [], "megatron_bridge": ["nemo-bridge"],
}  # fmt: skip
OF_PROGRAM = {"factor": 0.12, "host": 0.5, "rest": 0.4}  # logarithmic deviations of what differs between programs
GROUP = 0.1  # the same between the GPUs and formats of a program
STEP = 1e-5  # of a numerical slope
NOISE = 0.08  # of a measured step
MOST_WEIGHT = 30  # rows of a deployment that count in full
OTHERS = 8  # rows of the program as which the errors of all others count, for the width of its intervals


class Steps:
    """Published steps, and the work of their stages as arrays."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.records = records
        self.measured = np.array([each["measured"]["seconds"] for each in records])
        self.table = np.array([each["table"] for each in records])
        self.program = np.array([each["arguments"]["stack"] for each in records])
        self.deployment = np.array([each["deployment"] for each in records])
        self.model = np.array([json.dumps(model_key(each), sort_keys=True) for each in records])
        self.gpus = np.array([int(each["arguments"]["gpu"].partition(":")[2] or 1) for each in records])
        models: dict[str, Any] = {}
        works, shapes = [], []
        for each, name in zip(records, self.model, strict=True):
            if name not in models:
                models[name] = llmcalc.load(each.get("config") or each["model"], overrides=each.get("overrides") or [])
            chosen = None
            run, layouts = read_step({"model": models[name], **each["arguments"]})
            for layout in layouts:
                kernels = kernels_on(run, layout.mesh)
                found = stage_works(run.architecture, kernels, layout, run.seq, run.state_bytes)
                shape = shape_of(layout, kernels.accelerator.node)
                seconds = schedule(found, shape, TrainingCoefficients(), run.program.overlaps).seconds
                if chosen is None or seconds < chosen[0]:
                    chosen = seconds, found, shape
            works.append(chosen[1])
            shapes.append(chosen[2])
        self.stages = arrays(works)
        self.shape = Shape(*(np.array(column, float) for column in zip(*shapes, strict=True)))
        overlaps = [programs().get(name, programs()[""]).overlaps for name in self.program]
        self.overlaps = Overlaps(*(np.array(column, bool) for column in zip(*overlaps, strict=True)))
        counts = Counter(self.deployment)
        self.weight = np.array([min(1.0, MOST_WEIGHT / counts[name]) for name in self.deployment])
        self.names = sorted(set(self.program))
        self.place = np.array([self.names.index(name) for name in self.program])
        arguments = [each["arguments"] for each in records]
        self.groups = sorted({(own["stack"], kind_of(own)) for own in arguments})
        self.group = np.array([self.groups.index((own["stack"], kind_of(own))) for own in arguments])

    def seconds(self, values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """Return the times of chosen steps, for logarithms of the coefficients and of the factors of programs."""
        own, of_programs, groups = self.split(values)
        stages = [taken(stage, chosen) for stage in self.stages]
        of_step = {name: each[self.place[chosen]] for name, each in of_programs.items()}
        factor = of_step.pop("factor") * groups[self.group[chosen]]
        overlaps = taken(self.overlaps, chosen)._replace(**of_step)
        return factor * schedule(stages, taken(self.shape, chosen), TrainingCoefficients(**own), overlaps).seconds

    def split(self, values: np.ndarray) -> tuple[dict[str, float], dict[str, np.ndarray], np.ndarray]:
        """Return the coefficients by name, what differs between programs by name, and the factors of groups."""
        own, *of_programs, groups = np.split(np.exp(values), [len(NAMES) + at * len(self.names) for at in range(4)])
        return (
            dict(zip(NAMES, own.tolist(), strict=True)), dict(zip(OF_PROGRAM, of_programs, strict=True)), groups
        )  # fmt: skip

    def fit(self, chosen: np.ndarray) -> np.ndarray:
        """Return the values that describe the chosen steps best."""
        places, target = np.flatnonzero(chosen), np.log(self.measured[chosen])
        weight = np.sqrt(self.weight[chosen]) / NOISE
        start = np.concatenate([CENTRE, np.zeros(len(OF_PROGRAM) * len(self.names) + len(self.groups))])
        of_programs = np.repeat([*OF_PROGRAM.values()], len(self.names))
        spread = np.concatenate([SPREAD, of_programs, np.full(len(self.groups), GROUP)])

        def errors(values: np.ndarray) -> np.ndarray:
            return (np.log(self.seconds(values, places)) - target) * weight

        def residuals(values: np.ndarray) -> np.ndarray:
            return np.concatenate([softened(errors(values)), (values - start) / spread])

        def slopes(values: np.ndarray) -> np.ndarray:
            """A step depends on the values of one program and one group. Those of all programs are moved together."""
            found, base = np.zeros((len(places), len(values))), errors(values)
            first, row = len(NAMES), np.arange(len(places))
            for at in range(first):
                found[:, at] = (errors(moved(values, at)) - base) / STEP
            for name in OF_PROGRAM:
                own = slice(first, first + len(self.names))
                slope = weight if name == "factor" else (errors(moved(values, own)) - base) / STEP
                found[row, first + self.place[places]] = slope
                first = own.stop
            found[row, first + self.group[places]] = weight
            scale = (softened(base + STEP) - softened(base - STEP)) / (2 * STEP)
            return np.concatenate([found * scale[:, None], np.diag(1 / spread)])

        return least_squares(residuals, start, slopes, max_nfev=30).x


def softened(off: np.ndarray) -> np.ndarray:
    """Return residuals that grow as the error where it is small, and as its root where it is large."""
    return np.sign(off) * np.sqrt(2 * (np.sqrt(1 + off**2) - 1))


def moved(values: np.ndarray, at: int | slice) -> np.ndarray:
    """Return values of which some are moved by a small step."""
    found = values.copy()
    found[at] += STEP
    return found


def kind_of(arguments: Mapping[str, Any]) -> str:
    """Return the generation of the GPUs and the format of matrix products, such as ``Hopper fp8``."""
    gpu = read_gpus(arguments["gpu"]).accelerator
    return f"{gpu.generation} {precision_of(gpu, arguments['precision'])}"


def model_key(record: Mapping[str, Any]) -> Any:
    return record.get("config") or [record["model"], record.get("overrides")]


def taken(numbers: Any, chosen: np.ndarray) -> Any:
    """Return the chosen elements of arrays in a named tuple."""
    return type(numbers)(*(taken(each, chosen) if isinstance(each, tuple) else each[chosen] for each in numbers))


def arrays(works: Sequence[Sequence[StageWork]]) -> list[StageWork]:
    """Return the stages of all steps as arrays. Steps with fewer distinct stages have empty ones."""
    empty = StageWork(Work(), Work(), Work(), 0.0, 0.0, 0.0, 0)

    def joined(stages: Sequence[StageWork]) -> StageWork:
        return StageWork(*(
            Work(*(np.array(column, float) for column in zip(*own, strict=True)))
            if isinstance(own[0], Work) else np.array(own, float)
            for own in zip(*stages, strict=True)
        ))  # fmt: skip

    most = max(map(len, works))
    return [joined([own[at] if at < len(own) else empty for own in works]) for at in range(most)]


def folds(steps: Steps) -> Iterable[np.ndarray]:
    """Yield the steps that are left out together: those of a model in a table, or of half of its numbers of GPUs."""
    for name in sorted(set(steps.table)):
        own = steps.table == name
        models = sorted(set(steps.model[own]))
        if len(models) > 1:
            yield from (own & (steps.model == model) for model in models)
            continue
        counts = sorted(set(steps.gpus[own]))
        if len(counts) > 1:
            yield from (own & np.isin(steps.gpus, counts[start::2]) for start in (0, 1))
        else:
            rows = np.flatnonzero(own)
            yield from (np.isin(np.arange(len(own)), rows[start::2]) for start in (0, 1))


def share_of(off: np.ndarray, own: np.ndarray | None = None) -> float:
    """Return the logarithmic error that most steps do not exceed, of all or of one program.

    A program with few steps is taken to be like the others.
    """
    weight = np.ones(len(off)) if own is None else np.where(own, 1, OTHERS / max(np.count_nonzero(~own), 1))
    order = np.argsort(off)
    reached = np.cumsum(weight[order])
    return float(off[order][np.searchsorted(reached, SHARE * reached[-1])])


def spreads_of(steps: Steps, found: np.ndarray) -> tuple[float, float]:
    """Return the deviations between deployments and inside one, which together contain most steps."""
    own = np.array(two_variances(found, steps.measured, steps.deployment, inside_share))
    between, inside = own * share_of(np.abs(np.log(found / steps.measured))) / QUANTILE / np.hypot(*own)
    return float(between), float(inside)


def summary(found: np.ndarray, measured: np.ndarray) -> str:
    off = found / measured - 1
    return f"{100 * np.mean(np.abs(off)):5.1f} {100 * np.median(np.abs(off)):5.1f} ({100 * np.mean(off):+5.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--predictions", type=Path, help="write predictions of steps that were left out")
    parser.add_argument("--write", action="store_true", help="replace the data file")
    options = parser.parse_args()
    opened = gzip.open if options.file.suffix == ".gz" else open
    with opened(options.file, "rt", encoding="utf-8") as lines:
        steps = Steps([json.loads(line) for line in lines])
    everything = np.ones(len(steps.measured), bool)
    whole = steps.fit(everything)
    seen, unseen, sample = (np.zeros(len(everything)) for _ in range(3))
    sample[:] = steps.seconds(whole, np.arange(len(everything)))
    for left in folds(steps):
        seen[left] = steps.seconds(steps.fit(~left), np.flatnonzero(left))
    for name in steps.names:
        left = steps.program == name
        unseen[left] = steps.seconds(steps.fit(~left), np.flatnonzero(left))
    print(f"{'mean, median, bias in %':32} rows   in sample            model left out       program left out")
    for name in dict.fromkeys(steps.table):
        own = steps.table == name
        texts = [summary(found[own], steps.measured[own]) for found in (sample, seen, unseen)]
        print(f"{name:32} {own.sum():4}   {'   '.join(texts)}")
    off, off_unseen = (np.abs(np.log(found / steps.measured)) for found in (seen, unseen))
    spreads = {name: spreads_of(steps, found) for name, found in (("known", seen), ("unknown", unseen))}
    widths = np.zeros(len(off))  # of steps that are left out, from errors of the others
    for left in folds(steps):
        widths[left] = share_of(off[~left], steps.program[~left] == steps.program[left][0])
    for name, errors, own in (
        ("known", off, widths),
        ("unknown", off_unseen, np.full(len(off), QUANTILE * float(np.hypot(*spreads["unknown"])))),
    ):
        shares = [f"{(errors <= own)[steps.table == each].mean():.2f}" for each in dict.fromkeys(steps.table)]
        print(f"{name}: {spreads[name]}, median x/÷{exp(np.median(own)):.2f} contains {(errors <= own).mean():.2f}")
        print(f"  by table {', '.join(shares)}")
    relative = {name: share_of(off, steps.program == name) / share_of(off) for name in steps.names}
    own = entries(steps, whole, spreads, relative)
    print(yaml.safe_dump(own, sort_keys=False, default_flow_style=None, width=160))
    if options.write:
        text, old = FILE.read_text("utf-8"), yaml.safe_load(FILE.read_text("utf-8"))
        header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
        left_out = {source: named(steps.fit(~np.isin(steps.program, left))) for source, left in SOURCES.items()}
        own = {**old, **own, "left_out": left_out}
        FILE.write_text(header + yaml.safe_dump(own, sort_keys=False, default_flow_style=None, width=160), "utf-8")
    if options.predictions:
        lines = (
            {"file": "training", "row": row, "what": "seconds", "value": value, "low": value / width,
             "high": value * width}
            for row, (value, width) in enumerate(zip(seen.tolist(), np.exp(widths).tolist(), strict=True))
        )  # fmt: skip
        options.predictions.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")


def named(values: np.ndarray) -> dict[str, float]:
    """Return the coefficients by name."""
    return {name: rounded(value) for name, value in zip(NAMES, np.exp(values), strict=False)}


def rounded(value: float) -> float:
    return float(f"{value:.3g}")


def entries(
    steps: Steps, values: np.ndarray, spreads: Mapping[str, tuple[float, float]], relative: Mapping[str, float]
) -> dict[str, Any]:
    """Return the entries of the data file."""
    _, of_programs, groups = steps.split(values)
    found: dict[str, Any] = {"coefficients": named(values), "programs": {}}
    for at, name in enumerate(steps.names):
        own = {each: rounded(values[at]) for each, values in of_programs.items()}
        known = zip(steps.groups, groups, strict=True)
        own["factors"] = {kind: rounded(of_programs["factor"][at] * each) for (of, kind), each in known if of == name}
        found["programs"][str(name)] = own | {"spread": rounded(relative[name])}
    return found | {
        name: {"between": rounded(between), "inside": rounded(inside)} for name, (between, inside) in spreads.items()
    }


if __name__ == "__main__":
    main()
