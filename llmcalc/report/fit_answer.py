"""First line of ``fit``: whether a model fits, or the workload, weight format or number of GPUs that fits."""

from __future__ import annotations

from typing import Any

from ..calc.memory.fit import Fit
from ..calc.memory.inference import InferenceMemory
from ..core.architecture import Architecture
from ..core.errors import LengthError, spelled
from ..core.printable import plural
from ..data import table
from ..engines.lengths import known_length, unlimited_reason
from ..fitting.fit import FitResult
from ..fitting.solution import OFFLOADS, Solution
from ..inputs.settings import PLAIN
from .document import Document, Table
from .engine_fit import engine_answer
from .heading import model_document
from .memory import fit_line, verdict
from .numbers import exact

WHAT = {"seq": "tokens", "batch": "sequences", "gpus": ""}
ASKED = {
    "seq": "largest context", "batch": "largest batch", "quant": "best format", "gpus": "fewest accelerators",
    "gpu-layers": "layers on GPU", "cpu-experts": "experts on CPU",
}  # fmt: skip
OFFLOADED = {"gpu-layers": "fit on the GPU", "cpu-experts": "keep their experts on the CPU"}


def fit_answer(fit: FitResult) -> str:
    """Return the first line of the report, such as ``✓ fits with 1 sequence of 2,048 tokens, 3.2 GiB to spare``."""
    solution, each = fit.solution, " per GPU" if fit.count > 1 else ""
    if solution and solution.asked in OFFLOADS and isinstance(solution.value, int):
        from ..fitting.offload import command_of

        command = command_of(solution.asked, solution.value)
        return f"✓ {_solved(solution, fit)} {OFFLOADED[solution.asked]}: {command}"
    if solution and solution.is_unlimited and solution.value is None:
        return f"✓ the memory does not limit the context: {_open_end(fit)}"
    plain = " in plain memory" if fit.is_serving else ""
    if solution and solution.value is not None:
        is_most = solution.in_memory or solution.is_unlimited
        limit = ", the most that the model accepts" if is_most else _memory_limit(fit, solution)
        where = f" in {fit.start.profile.title}" if fit.start else plain
        found = f"{_solved(solution, fit)}{_best_file_type(solution)}{_given(fit, solution.asked)}"
        return f"✓ {ASKED[solution.asked]}{where}: {found}{limit}"
    if fit.start:
        return engine_answer(fit, fit.start)
    return fit_line(fit, f"{plain}{_load(fit.result)}", each)


def _given(fit: FitResult, asked: str) -> str:
    """Return the sequences that were given, without what was solved for."""
    batch, tokens = fit.result.workload.batch, fit.result.workload.seq
    if asked == "batch":
        return f" of {plural(tokens, 'token')}"
    if asked == "seq":
        return f" in each of {batch:,} sequences" if batch > 1 else ""
    return f", for {plural(batch, 'sequence')} of {plural(tokens, 'token')}"


def _memory_limit(fit: FitResult, solution: Solution) -> str:
    """Return what follows the largest context that fits, if the model accepts longer ones or states no limit."""
    is_serving = isinstance(fit.result, InferenceMemory) and not fit.result.workload.extend
    if solution.asked != "seq" or not is_serving or known_length(fit.architecture) is not None:
        return ""
    return f", limited by memory; {_open_end(fit)}"


def _open_end(fit: FitResult) -> str:
    """Return why the model has no longest context, as far as known."""
    known, reason = known_length(fit.architecture), unlimited_reason(fit.architecture)
    return reason or ("the model's own limit is not known" if known is None else f"the model accepts {known:,} tokens")


def _load(result: Any) -> str:
    """Return the sequences for which memory is computed, in words."""
    sequences = f"{plural(result.workload.batch, 'sequence')} of {plural(result.workload.seq, 'token')}"
    return f" with {sequences}" if isinstance(result, InferenceMemory) else f" a training step of {sequences}"


def _best_file_type(solution: Solution) -> str:
    """Return the best file type of llama.cpp if the best format is not one."""
    fitting = (tried.name for tried in solution.candidates if tried.fit.fits and tried.name in table("mixtures"))
    best = next(fitting, solution.value)
    return "" if solution.value in (best, *PLAIN) else f"; in llama.cpp: {best}"


def _solved(solution: Solution, fit: Fit) -> str:
    if solution.is_unlimited and solution.value is None:
        return "not limited by memory"
    if solution.value is None:
        return f"none, {verdict(fit)} at the smallest size"
    if solution.asked in OFFLOADS:
        n_layers = fit.result.architecture.main.n_layers
        return f"{solution.value} of {n_layers + (solution.asked == 'gpu-layers')} layers"
    if isinstance(solution.value, int):
        return f"{exact(solution.value)} {WHAT[solution.asked]}".rstrip()
    return solution.value


def refused_length_document(architecture: Architecture, error: LengthError) -> Document:
    """Build the report of a length beyond the learned positions, with which plain memory computes nothing."""
    found, hint = {"fits": False, "reason": error.message}, spelled(error.hint)
    return model_document(
        architecture, "fit", lambda: ({}, found), answer=f"✗ {error.message}: {hint}", summary=Table("", (), [])
    )
