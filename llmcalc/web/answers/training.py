"""Answers about fine-tuning and training: the memory of a step, and the time and cost of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

from ...api.fit import fit
from ...api.machine import machine
from ...api.train import train
from ...fitting.fit import FitResult
from ...fitting.fit_changes import LORA_RANK, QUANTISED
from ...report.numbers import duration, human
from ...report.provenance import range_text, three_digits
from ...training.result import Spending, Training
from .case import CASES, MOST_KEPT, Case, said
from .facts import fact, memory_fact, missing_fact, params_fact, size_fact
from .verdict import change_data, change_text

HOUR, LEAST_SHOWN = 3600, 2  # seconds; hours and days
USUAL_TOKENS, USUAL_OPTIMIZER = "1B", "adamw"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "": ("Full fine-tuning", {}), "lora": ("LoRA", {"lora_rank": LORA_RANK}),
    "qlora": ("QLoRA", {"lora_rank": LORA_RANK, "weights": QUANTISED}),
}  # fmt: skip
PARTS = {
    "weights": "Weights", "gathered": "Gathered weights", "gradients": "Gradients", "optimizer": "Optimizer",
    "activations": "Activations", "transient": "Buffers", "allocator": "Allocator", "reserve": "Runtime",
}  # fmt: skip
FIELDS = {"optimizer": "optimizer", "recompute": "recompute", "loss": "loss", "batch": "batch", "seq": "context",
          "count": "n"}  # fmt: skip  # of the state, by setting
CHANGED = {*FIELDS, "gpu", "lora_rank", "weights", "mesh"}  # settings that the page can change
TEXTS = {
    "optimizer": "the optimizer {}", "recompute": "{} recomputation", "loss": "a {} cross-entropy",
    "batch": "{} sequences per GPU", "seq": "{:,} tokens per sequence",
}  # fmt: skip


class TrainingCase(Case):
    """A model that is trained in a state, with its results."""

    @property
    def method(self) -> str:
        """Title of the method, such as ``LoRA``."""
        return METHODS[self.state.method][0]

    @property
    def subject(self) -> str:
        """Subject of the sentence of the verdict."""
        return f"{self.method} of {self.title}"

    @property
    def waiting(self) -> int:
        """Training has no users that wait."""
        return 0

    @property
    def layout_text(self) -> str:
        """Data-parallel ranks in words."""
        mesh = self.layout
        return f"ZeRO-{mesh.zero}, dp {mesh.dp}" if mesh.dp > 1 else ""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of ``fit`` other than the sizes."""
        state = self.state
        chosen = {"recompute": state.recompute, "loss": state.loss, **METHODS[state.method][1]}
        given = {name: value for name, value in chosen.items() if value}
        return {"training": True, "optimizer": state.optimizer or USUAL_OPTIMIZER, **given}

    @cached_property
    def fit(self) -> FitResult:
        """Fit check of a step on all GPUs."""
        return self.fit_with()

    def fit_with(self, **sizes: int) -> FitResult:
        """Return the fit check of another batch or length."""
        own: dict[str, Any] = {"batch": self.state.batch, "seq": self.context, **sizes}
        return fit(self.model, self.gpu.name, count=self.state.n, **self.settings, **own)

    @property
    def memory_settings(self) -> dict[str, Any]:
        """Settings of ``memory`` for a GPU."""
        mesh = self.fit.result.mesh
        ranks = {"dp": mesh.dp, "zero": mesh.zero} if mesh.dp > 1 else {}
        return {"batch": self.state.batch, **self.settings, **ranks}

    def fit_of(self, context: int) -> FitResult:
        """Return the fit check of another length."""
        return self.fit_with(seq=context)

    @property
    def run(self) -> Training:
        """The run, which does not depend on the batch."""
        state = self.state
        share = f"{state.mfu.rstrip('%')}%" if state.mfu else None
        rank = METHODS[state.method][1].get("lora_rank")
        return _run(state.model, self.gpu.name, state.n, state.tokens or USUAL_TOKENS, self.context, share, rank)

    @property
    def spent(self) -> Spending | None:
        """GPU-hours, days and cost as published runs took them, or those of the utilisation that the state has."""
        return self.run.answer

    @property
    def times(self) -> Training:
        """Result that has the times of the state."""
        return self.run


@lru_cache(maxsize=MOST_KEPT)
def _run(model: str, gpu: str, n: int, tokens: str, seq: int, mfu: str | None, lora_rank: int | None) -> Training:
    return train(model, tokens, seq=seq, gpu=machine(gpu, n, mfu) if mfu else f"{gpu}:{n}", lora_rank=lora_rank)


def outcome(case: TrainingCase) -> Iterator[str]:
    """Yield the end of the sentence: the time and the cost of a run, if they are known."""
    if case.time_error or not case.spent:
        return
    run, (_, days, price) = case.run, case.spent
    cost = f", for {range_text(*price, '$')}" if price else ""
    tokens = human(run.tokens) or f"{run.tokens:,}"
    yield f", and {tokens} tokens take {duration_text(days.mid)}{cost}"


def duration_text(days: float) -> str:
    """Return a time in days, hours or less."""
    hours = 24 * days
    if hours < LEAST_SHOWN:
        return duration(hours * HOUR)
    return f"{three_digits(hours)} hours" if days < LEAST_SHOWN else f"{three_digits(days)} days"


def facts(case: TrainingCase) -> Iterator[dict[str, Any]]:
    """Yield the numbers beside the verdict."""
    found = case.fit
    yield memory_fact(case)
    if not found.fits:
        yield missing_fact(case)
    if not case.time_error:
        yield from _run_facts(case)
    yield params_fact(case)


def _run_facts(case: TrainingCase) -> Iterator[dict[str, Any]]:
    run, found = case.run, case.run.evidence
    tokens = f"for {human(run.tokens) or run.tokens} tokens"
    if case.fit.fits and case.spent:
        hours, days, cost = case.spent
        low, mid, high = (duration_text(each) for each in days)
        text, _, unit = mid.partition(" ")
        same = low.partition(" ")[2] == high.partition(" ")[2]
        ends = tokens if low == high else f"{low.partition(' ')[0] if same else low} to {high}"
        yield fact("time", "Time", text, ends, found["days"], after=unit, value=days.mid, unit="days",
                   low=days.low, high=days.high)  # fmt: skip
        if cost:
            low_text, _, high_text = range_text(*cost, "$").partition(" ")
            yield fact("cost", "Cost", low_text, tokens, found["cost"], after=high_text, unit="USD", low=cost[0],
                       high=cost[1])  # fmt: skip
        yield fact("hours", "GPU-hours", three_digits(hours.mid), range_text(hours.low, hours.high),
                   found["hours"], value=hours.mid, unit="h", low=hours.low, high=hours.high)  # fmt: skip
        rate = run.tokens / (hours.mid / case.state.n * HOUR)
        yield fact("rate", "Throughput", three_digits(rate), "all GPUs together", found["hours"],
                   after="tokens/s", value=rate, unit="tokens/s")  # fmt: skip
    yield fact("compute", "Compute", three_digits(run.compute), tokens, found["compute"],
               after="FLOPs", value=run.compute, unit="FLOPs")  # fmt: skip
    if not case.state.method:
        note = "weights and optimizer states"
        yield size_fact("checkpoint", "Checkpoint to resume", run.resume_bytes, note, found["resume_bytes"])


def changes(case: TrainingCase) -> Iterator[dict[str, Any]]:
    """Yield the changes of the state with which a step fits, with their texts."""
    for found in case.fit.changes:
        settings, method = found.settings, method_of(found.settings)
        if settings.keys() <= CHANGED:
            own = {FIELDS[name]: value for name, value in settings.items() if name in FIELDS}
            own |= {"method": method} if method else {}
            first = [METHODS[method][0]] if method else []
            yield change_data("Fits", own, change_text(TEXTS, settings, *first), found.result)


def method_of(settings: Mapping[str, Any]) -> str:
    """Return the method of training that settings of memory mean."""
    return "qlora" if "weights" in settings else "lora" if "lora_rank" in settings else ""


def notes(case: TrainingCase) -> Iterator[str]:
    """Yield what the user must know beside the numbers of training."""
    if case.time_error:
        yield f"no times: {said(case.time_error)}; state the MFU that you expect, such as 40 %"
    else:
        yield "the time covers computation only, without restarts, evaluation and trial runs"


CASES["train"] = TrainingCase
