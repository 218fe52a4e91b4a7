"""Lint checks and size or cost limits for an architecture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..calc.flops import flops
from ..calc.memory.fit import read_size
from ..calc.params import params
from ..calc.sharding import MESH, Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.setting import AMOUNT, BATCH, SEQ, SIZE, Setting, check_values, read_texts
from ..estimate.amounts import amount, compute
from ..lint import Finding, lint
from .defaults import default_seq
from .load import Source, load
from .memory import memory

SETTINGS = (
    *MESH, BATCH, SEQ, *(Setting(name, AMOUNT) for name in ("max_params", "max_active", "budget", "tokens")),
    Setting("max_memory", SIZE, least=1),
)  # fmt: skip
LIMIT_KEYS = ("name", "ours", "most", "unit")


@record
class Limit:
    """Value of a model (``ours``) and its upper limit (``most``), both in ``unit``."""

    name: str
    ours: int
    most: int
    unit: str

    @property
    def kept(self) -> bool:
        """Whether the limit is met."""
        return self.ours <= self.most


@record
class Checked(NotebookDisplay):
    """Lint findings and limits of a model."""

    architecture: Architecture
    findings: tuple[Finding, ...]
    limits: tuple[Limit, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no findings and all limits are met."""
        return not self.findings and all(limit.kept for limit in self.limits)

    @property
    def summary(self) -> str:
        """One-line summary of the findings and exceeded limits."""
        parts = [f"{one.code} {one.place}" for one in self.findings]
        parts += [f"{limit.name} exceeded" for limit in self.limits if not limit.kept]
        return f"{self.architecture.name}: {', '.join(parts) or 'ok'}"

    def to_dict(self) -> dict[str, Any]:
        """Return the findings and limits as a plain dictionary."""
        limits = [{name: getattr(one, name) for name in (*LIMIT_KEYS, "kept")} for one in self.limits]
        findings = [finding.to_dict() for finding in self.findings]
        return {"model": self.architecture.name, "ok": self.ok, "findings": findings, "limits": limits}


def check(
    model: Source,
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    tp: int | None = None,
    pp: int | None = None,
    ep: int | None = None,
    max_params: float | str | None = None,
    max_active: float | str | None = None,
    max_memory: int | str | None = None,
    budget: float | str | None = None,
    tokens: float | str | None = None,
    batch: int = 1,
    seq: int | None = None,
) -> Checked:
    """Check a model for suspicious shapes and exceeded limits.

    >>> import llmcalc
    >>> llmcalc.check("gpt2", select=["HW005"], max_params="200M")
    Checked(gpt2-small: HW005 decoder.token)

    Args:
        model: an architecture, or anything ``load`` reads.
        select: rule codes or prefixes to apply (default: all).
        ignore: rule codes or prefixes to skip.
        tp: intended number of tensor-parallel ranks.
        pp: intended number of pipeline stages.
        ep: intended number of expert-parallel ranks.
        max_params: maximum number of parameters, such as ``8e9`` or ``"8B"``.
        max_active: maximum number of active parameters.
        max_memory: maximum serving memory in bf16 at ``batch`` and ``seq``: bytes or ``"24GiB"``.
        budget: maximum training FLOPs for ``tokens``, such as ``1e24`` or ``"3640PF-days"``.
        tokens: number of training tokens.
        batch: number of sequences.
        seq: tokens per sequence (default: 2048, or the model's learned positions if fewer).

    Raises:
        InputError: an unknown rule, or an invalid limit.
    """
    select, ignore = read_texts(select, "select"), read_texts(ignore, "ignore")
    check_values(SETTINGS, locals())
    mesh = Mesh(tp=tp or 1, pp=pp or 1, dp=ep or 1, ep=ep or 1)
    architecture = load(model)
    length = default_seq(architecture) if seq is None else seq
    limits, count = [], params(architecture)
    sizes = (("max_params", max_params, "parameters", count.total), ("max_active", max_active, "active", count.active))
    for parameter, bound, name, ours in sizes:
        if bound is not None:
            limits.append(Limit(name, ours, int(amount(bound, parameter, "8B")), "parameters"))
    if max_memory is not None:
        peak = memory(architecture, batch=batch, seq=length).peak
        most = read_size(max_memory, "max_memory") if isinstance(max_memory, str) else max_memory
        limits.append(Limit("memory", peak, most, "bytes"))
    if (budget is None) != (tokens is None):
        missing = "tokens" if tokens is None else "budget"
        raise InputError("is missing", parameter=missing, hint="set both {budget} and {tokens}")
    if budget is not None and tokens is not None:
        most = int(compute(budget, "budget"))
        sequence = flops(architecture, seq=length, mode="train")
        ours = -(-sequence.total * int(amount(tokens, "tokens")) // sequence.tokens)
        limits.append(Limit("training", ours, most, "FLOPs"))
    return Checked(architecture, tuple(lint(architecture, mesh, select, ignore)), tuple(limits))
