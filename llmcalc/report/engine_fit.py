"""What the report for ``fit`` says if a serving engine answers: whether it starts and holds the requests."""

from __future__ import annotations

from typing import Any

from ..core.errors import InputError
from ..core.printable import plural
from ..engines.lengths import start_length
from ..engines.profile import GIB
from ..engines.settings import LENGTH, setting_flags, states_all
from ..fitting.advice import MOST
from ..fitting.fit import FitResult
from ..serving.start.start import Start
from .document import Fact, Table
from .heading import named_values
from .memory import weights_line
from .serve import REQUESTS, memory_summary, memory_table, settings_of, sizes_of, start_details, start_notes, used_text


def engine_parts(fit: FitResult, found: Start) -> dict[str, Any]:
    """Return the parts of the report that an engine changes."""
    gpus = f"{fit.replicas} replicas on {fit.count}" if fit.replicas > 1 else used_text(found)
    card, seq = fit.accelerator, fit.result.workload.seq
    is_refused = bool(found.deployment.limit.refusal(seq))
    held = Fact(REQUESTS, f"{fit.requests:,}", f"of {plural(seq, 'token')}")
    return {
        "subject": f" in {found.engine_title}, {gpus} × {card.title if card else 'GPU'}",
        "action": own_default(found),
        "assumed": {**sizes_of(found), "engine": found.engine},
        "summary": Table("", (), []) if is_refused else memory_summary(found, held),
        "starting": _starting(fit, found),
        "lines": (named_values(settings_of(found)), weights_line(fit.result)),
        "alerts": list(found.warnings),
        "needs": f"per GPU, with the KV cache of {plural(fit.batch, 'request')}",
        "tables": (memory_table(found),),
        "notes": start_notes(found),
        "details": start_details(found),
    }


def _starting(fit: FitResult, found: Start) -> list[tuple[str, FitResult]]:
    """Return the command line that starts the engine, and if it only probably does, those with which it does surely."""
    if not found.starts or not states_all(found):
        return []
    surer = [(found.line({**fit.change, **settings}), one) for settings, one in fit.surer_starts[: MOST - 1]]
    return [(found.line(fit.change), fit), *surer]


def engine_answer(fit: FitResult, found: Start) -> str:
    """Return the first line, such as ``✓ fits in vLLM: 4 requests of 8,192 tokens at once, of 8 that ...``."""
    title, sizes = found.profile.title, f"of {plural(fit.result.workload.seq, 'token')}"
    most = f"{fit.requests:,}"
    if fit.fits:
        likely = "fits" if found.verdict == "starts" else "probably fits"
        asked = f"{plural(fit.batch, 'request')} {sizes} at once"
        return f"✓ {likely} in {title}: {asked}, at most {most}"
    if found.starts and not found.automatic:
        return f"✗ does not fit in {title}: {most} of {plural(fit.batch, 'request')} {sizes} at once"
    if found.starts:
        return f"✗ does not fit on {plural(found.ranks, 'GPU')}: {title} starts{found.placement}"
    if found.refusals:
        return f"✗ will not start in {title}: {found.reason}"
    missing = -found.memory.available.best / GIB
    short = f"{missing:.1f} GiB short{' on each GPU' * (found.ranks > 1)}" if missing > 0 else ""
    return f"✗ does not fit in {title}: {short or found.reason}"


def own_default(found: Start) -> str:
    """Return what the engine does with its default length if it starts only with a changed one, or empty text."""
    if not found.starts or found.placed:
        return ""
    try:
        length = start_length(found.deployment.architecture, found.engine)
        own = found.retry({LENGTH: length})
    except InputError:  # a model that states no length
        return ""
    if own.starts or length <= found.max_model_len:
        return ""
    this = f"this is {setting_flags(found.profile.flags)[LENGTH]} {found.max_model_len}"
    return f"{found.profile.title}'s default of {length:,} tokens will not start: {this}"
