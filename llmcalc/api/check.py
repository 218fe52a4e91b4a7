"""Lint checks and size or cost limits for an architecture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..calc.flops import flops
from ..calc.sharding import MESH, Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.setting import AMOUNT, BATCH, SEQ, Setting, check_values, read_length, read_texts
from ..estimate.amounts import amount, compute
from ..lint import Finding, lint
from .defaults import default_seq
from .load import Source, load
from .quantity import Quantity, targets
from .settings import read_settings

SETTINGS = (
    *MESH, BATCH, SEQ, Setting("budget", AMOUNT), Setting("tokens", AMOUNT),
)  # fmt: skip
LIMIT_KEYS = ("name", "ours", "most", "unit")


@record
class Limit:
    """A measured value (``ours``) and its upper limit (``most``), both in ``unit``."""

    name: str
    ours: int
    most: int
    unit: str

    @property
    def kept(self) -> bool:
        """Whether the measured value is within the limit."""
        return self.ours <= self.most


@record
class Checked(NotebookDisplay):
    """Lint findings and limit checks of a model."""

    architecture: Architecture
    findings: tuple[Finding, ...]
    limits: tuple[Limit, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the model has no findings and stays within all limits."""
        return not self.findings and all(limit.kept for limit in self.limits)

    @property
    def summary(self) -> str:
        """One-line summary of the findings and exceeded limits."""
        parts = [f"{one.code} {one.place}" for one in self.findings]
        parts += [f"{limit.name} exceeded" for limit in self.limits if not limit.kept]
        return f"{self.architecture.name}: {', '.join(parts) or 'ok'}"

    def to_dict(self) -> dict[str, Any]:
        """Return the findings and limit checks as a plain dictionary."""
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
    seq: int | str | None = None,
    **settings: Any,
) -> Checked:
    """Check a model for suspicious shapes and exceeded limits.

    >>> import llmcalc
    >>> llmcalc.check("gpt2", select=["HW005"], max_params="200M")
    Checked(gpt2-small: HW005 decoder.token)

    Args:
        model: an architecture, or anything ``load`` reads.
        select: rule codes or prefixes to apply (default: all).
        ignore: rule codes or prefixes to skip.
        tp: intended number of tensor-parallel ranks. Limits on memory and communication apply to one rank.
        pp: intended number of pipeline stages.
        ep: intended number of expert-parallel ranks.
        max_params: maximum number of parameters, such as ``8e9`` or ``"8B"``.
        max_active: maximum number of active parameters.
        max_memory: maximum serving memory at ``batch`` and ``seq``, with weights as published or in bf16: bytes
            or ``"24GiB"``.
        budget: maximum training FLOPs for ``tokens``, such as ``1e24`` or ``"3640PF-days"``.
        tokens: number of training tokens.
        batch: number of sequences.
        seq: tokens per sequence (default: 2048, or the model's learned positions if fewer).
        settings: limits of other quantities, such as ``max_state="1GiB"`` or ``max_flops=1e10`` (per token), and
            settings of the limited quantities, such as ``weights="fp8"`` or ``mode="decode"``.

    Raises:
        InputError: an unknown rule, or an invalid limit.
    """
    select, ignore = read_texts(select, "select"), read_texts(ignore, "ignore")
    seq = read_length(seq, "seq")
    check_values(SETTINGS, locals())
    mesh = Mesh(tp=tp or 1, pp=pp or 1, dp=ep or 1, ep=ep or 1)
    architecture = load(model)
    length = default_seq(architecture) if seq is None else seq
    asked = {"max_params": max_params, "max_active": max_active, "max_memory": max_memory}
    asked |= {name: settings.pop(name) for name in list(settings) if name.startswith("max_")}
    limits = _limits(architecture, asked, {**settings, "seq": length, "batch": batch}, {"tp": tp, "pp": pp, "ep": ep})
    if (budget is None) != (tokens is None):
        missing = "tokens" if tokens is None else "budget"
        raise InputError("is missing", parameter=missing, hint="set both {budget} and {tokens}")
    if budget is not None and tokens is not None:
        most = int(compute(budget, "budget"))
        sequence = flops(architecture, seq=length, mode="train")
        ours = -(-sequence.total * int(amount(tokens, "tokens")) // sequence.tokens)
        limits.append(Limit("training", ours, most, "FLOPs"))
    return Checked(architecture, tuple(lint(architecture, mesh, select, ignore)), tuple(limits))


def _limits(
    architecture: Architecture, asked: dict[str, Any], settings: dict[str, Any], mesh: dict[str, int | None]
) -> list[Limit]:
    """Measure every quantity with a limit on one rank of the mesh."""
    bounds: dict[str, tuple[Quantity, int]] = {}
    for name, bound in asked.items():
        found = targets().get(name.removeprefix("max_"))
        if found is None:
            raise TypeError(f"unexpected keyword argument {name!r}")
        if bound is not None:
            bounds[name] = found, found.read_amount(bound, name)
    known = tuple(setting for found, _ in bounds.values() for setting in found.settings)
    settings = read_settings("the limits", (*known, BATCH, SEQ), settings)
    is_training = settings.get("training") or settings.get("mode") == "train"
    steps = {setting.name: setting.step for setting in MESH}
    ranks = {name: count for name, count in mesh.items() if count and (is_training or steps[name] != "training")}
    ranks |= {"dp": max(ranks["ep"], settings.get("dp") or 1)} if "ep" in ranks else {}
    return [
        Limit(found.title, found.count(architecture, {**settings, **ranks}), most, found.unit)
        for found, most in bounds.values()
    ]
