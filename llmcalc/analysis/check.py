"""Lint checks and size or cost limits for an architecture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..calc.flops import flops
from ..calc.sharding import MESH, Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.evidence import ASSUMED, counted, weakest
from ..core.notebook_display import NotebookDisplay
from ..core.record import record
from ..core.setting import AMOUNT, BATCH, SEQ, Setting, check_values, read_length, read_texts
from ..estimate.amounts import amount, compute
from ..inputs.defaults import default_seq
from ..inputs.effects import EffectCheck
from ..inputs.models import Source, read_model
from ..inputs.settings import read_settings
from ..lint import Finding, lint
from .quantity import Quantity, targets

SETTINGS = (*MESH, BATCH, SEQ, Setting("budget", AMOUNT), Setting("tokens", AMOUNT))
RANKS = ("tp", "pp", "ep")
FIRST_LIMITS = ("max_params", "max_active", "max_memory")
EP = next(setting for setting in MESH if setting.name == "ep")
LIMIT_KEYS = ("name", "ours", "most", "unit", "step")


@record
class Limit:
    """A measured value (``ours``) with the class of its evidence and its upper limit (``most``), both in ``unit``.

    ``step`` is the step that the value describes, such as ``"decode step"``, or empty.
    """

    name: str
    ours: int
    most: int
    unit: str
    evidence: str = "exact"
    step: str = ""

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
    def evidence(self) -> dict[str, str]:
        """Class of evidence of the findings and of each limited value."""
        return {"findings": counted(self.architecture), **{limit.name: limit.evidence for limit in self.limits}}

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
        own = {"model": self.architecture.name, "ok": self.ok, "findings": findings, "limits": limits}
        return {**own, "evidence": self.evidence}


def check_all(
    models: Iterable[Source],
    *,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    budget: float | str | None = None,
    tokens: float | str | None = None,
    batch: int = 1,
    seq: int | str | None = None,
    **settings: Any,
) -> list[Checked]:
    """Check several models with the settings of ``check``, each of which has an effect on at least one model."""
    select, ignore = (
        tuple(code.strip() for text in read_texts(codes, name) for code in text.split(","))
        for name, codes in (("select", select), ("ignore", ignore))
    )
    seq = read_length(seq, "seq")
    ranks = {name: settings.pop(name, None) for name in RANKS}
    check_values(SETTINGS, {**locals(), **ranks})
    tp, pp, ep = (ranks[name] or 1 for name in RANKS)
    asked = dict.fromkeys((*FIRST_LIMITS, *(name for name in settings if name.startswith("max_"))))
    bounds = _bounds({name: settings.pop(name, None) for name in asked})
    if (budget is None) != (tokens is None):
        missing = "tokens" if tokens is None else "budget"
        raise InputError("is missing", parameter=missing, hint="set both {budget} and {tokens}")
    known = {setting.name for quantity, _ in bounds.values() for setting in quantity.settings}
    for size, is_used in ((BATCH, False), (SEQ, budget is not None)):
        if not (is_used or size.name in known or size.is_default(locals()[size.name])):
            text, hint = "has no effect without a limit that depends on it", "add {max_memory=24GiB}"
            raise InputError(text, parameter=size.name, hint=hint)
    found, effects = [], EffectCheck()
    for architecture in map(read_model, models):
        length = default_seq(architecture) if seq is None else seq
        defaults = ("seq",) if seq is None else ()
        limits = _limits(architecture, bounds, {**settings, "seq": length, "batch": batch}, ranks, effects, defaults)
        if budget is not None and tokens is not None:
            most = int(compute(budget, "budget"))
            sequence = flops(architecture, seq=length, mode="train")
            ours = -(-sequence.total * int(amount(tokens, "tokens")) // sequence.tokens)
            limits.append(Limit("training", ours, most, "FLOPs", weakest(ASSUMED, counted(architecture))))
        findings = lint(architecture, Mesh(tp=tp, pp=pp, dp=ep, ep=ep), select, ignore)
        found.append(Checked(architecture, tuple(findings), tuple(limits)))
    effects.finish()
    return found


def _bounds(asked: dict[str, Any]) -> dict[str, tuple[Quantity, int]]:
    """Return the quantity and the value of every limit, by the name of the limit."""
    bounds: dict[str, tuple[Quantity, int]] = {}
    for name, bound in asked.items():
        found = targets().get(name.removeprefix("max_"))
        if found is None:
            raise TypeError(f"unexpected keyword argument {name!r}")
        if bound is not None:
            bounds[name] = found, found.read_amount(bound, name)
    return bounds


def _limits(
    architecture: Architecture,
    bounds: dict[str, tuple[Quantity, int]],
    settings: dict[str, Any],
    mesh: dict[str, int | None],
    effects: EffectCheck,
    defaults: tuple[str, ...],
) -> list[Limit]:
    """Measure every quantity with a limit on one rank of the mesh. ``defaults`` names sizes that were not given."""
    known = tuple(setting for found, _ in bounds.values() for setting in found.settings)
    settings = read_settings("the limits", (*known, BATCH, SEQ), settings)
    ranks = {name: count for name, count in mesh.items() if count}
    effects.add((EP,), ranks, architecture)
    ranks |= {"dp": max(ranks["ep"], settings.get("dp") or 1)} if "ep" in ranks else {}
    training, limits = bool(settings.get("training")), list[Limit]()
    for found, most in bounds.values():
        own = found.applicable({**settings, **ranks}, defaults)
        effects.add(found.settings, own, architecture)
        evidence = weakest(found.evidence_of(training=training), counted(architecture))
        ours, step = found.count(architecture, own), found.step(own, architecture)
        limits.append(Limit(found.title, ours, most, found.unit, evidence, step))
    return limits
