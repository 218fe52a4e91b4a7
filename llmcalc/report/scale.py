"""Document of ``scale``: the answers of several scaling laws, and the resources of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..api.reference_models import Shape
from ..api.scale import SEQ, in_inputs
from ..estimate.cost import Machine
from ..estimate.scaling.law import EXPERT_FORMS
from ..estimate.scaling.query import Plan, Point
from ..estimate.training_run import Budget
from .document import Column, Document, Fact, Table
from .fit import verdict
from .heading import structure, title, warnings
from .json_envelope import envelope, model_inputs
from .memory import BYTES
from .numbers import ABOUT, about, binary
from .provenance import assumptions, between, cost_fact, machine_line, six_digits, spanned

READ = "true"  # constants checked in the publication itself
FOUR = 4  # digits of a ratio
if TYPE_CHECKING:
    from .pictures import Picture

LOSSES = (
    "losses are in nats per token on each law's own data and tokenizer, so they are not comparable across laws; "
    "each law counts N as its publication does (llmcalc laws show NAME)"
)
COMPARED = {
    "overtraining": ("D of the best", "ratio"), "excess": ("FLOPs of the least", "ratio"),
    "epochs": ("epochs", "number"), "worth": ("as fresh tokens", ABOUT),
}  # fmt: skip


def scale_document(plan: Plan, shapes: Sequence[Shape] = (), seq: int = SEQ) -> Document:
    """The document of a plan."""
    spent = plan.budget
    model = plan.model
    machine = spent.machine if spent else None
    asked = f"{title(model)}: " if model else ""
    tables = [_by_law(plan), *_served(plan), *_shapes(shapes, machine)]
    return Document(
        f"{asked}{_question(plan, spent)}",
        lambda: _record(plan, spent, shapes, seq),
        subtitle=(*(structure(model) if model else ()), *((machine_line(machine),) if machine else ())),
        warnings=(*(warnings(model) if model else ()), *plan.warnings),
        facts=tuple(_facts(plan, spent)),
        tables=tuple(tables),
        pictures=lambda: _pictures(plan),
        notes=(*assumptions(machine, spent.price if spent else None), *_notes(plan, shapes, seq)),
    )


def _question(plan: Plan, spent: Budget | None) -> str:
    query, setting = plan.query, plan.setting
    given = [
        spent.said if spent else "",
        f"{about(query.compute, '')} FLOPs" if query.compute and not spent else "",
        f"{about(query.parameters['total'], '')} parameters" if query.parameters else "",
        f"{about(query.tokens, '')} tokens" if query.tokens else "",
        f"a loss of {query.loss:g}" if query.loss else "",
        f"{about(setting.unique, '')} unique tokens" if setting.unique else "",
        f"{about(query.inference, '')} tokens of inference" if query.inference else "",
        f"{setting.experts:g} experts per active expert" if setting.experts else "",
    ]
    return f"scaling laws for {', '.join(filter(None, given))}"


def _facts(plan: Plan, spent: Budget | None) -> list[Fact]:
    facts = []
    for name, unit in (("parameters", "N"), ("tokens", "D"), ("compute", "FLOPs")):
        ends = plan.spread(name)
        assert ends is not None
        note = "" if ends[0] == ends[1] else f"median of {len(plan.points)} laws, {between(*ends)}"
        facts.append(Fact(name, about(plan.middle(name), ""), unit, note))
    if spent:
        facts[-1] = spanned("compute", spent.flops, "FLOPs")
        facts.append(spanned("accelerator-hours", spent.hours, ""))
        facts.append(cost_fact(spent.cost, spent.price))
    return facts


def _by_law(plan: Plan) -> Table:
    columns = [
        Column("law", "name"), Column("N", ABOUT), Column("D", ABOUT), Column("D/N", "number", 2),
        Column("FLOPs", ABOUT, 1), Column("loss", "number"),
    ]  # fmt: skip
    extra = [name for name in COMPARED if plan.spread(name)]
    columns += [Column(*COMPARED[name]) for name in extra]
    rows = [
        (*_cells(point), *(_figure(getattr(point, name)) for name in extra), _beyond(point)) for point in plan.points
    ]
    return Table("by law", (*columns, Column("beyond its fit")), rows)


def _pictures(plan: Plan) -> list[Picture]:
    """N and D of each law."""
    from .pictures import Axis, Mark, Scatter

    marks = tuple(Mark(point.law.name, point.parameters, point.tokens) for point in plan.points)
    axes = Axis("parameters", "count", True), Axis("tokens", "count", True)
    return [Scatter("Parameters and tokens by scaling law", *axes, (("laws", marks),))]


def _cells(point: Point) -> tuple[Any, ...]:
    loss = None if point.loss is None else round(point.loss, 4)
    n, d, c = map(six_digits, (point.parameters, point.tokens, point.compute))
    return point.law.name, n, d, float(f"{point.ratio:.{FOUR}g}"), c, loss


def _figure(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{FOUR}g}")


def _beyond(point: Point) -> str:
    return ", ".join(one.brief for one in point.outside)


def _served(plan: Plan) -> list[Table]:
    rows: list[tuple[Any, ...]] = [
        (point.law.name, *map(six_digits, (found.parameters, found.tokens, found.flops)), six_digits(found.saved))
        for point in plan.points
        if (found := point.served)
    ]
    columns = (
        Column("law", "name"), Column("N", ABOUT), Column("D", ABOUT), Column("training + inference FLOPs", ABOUT),
        Column("saved", "share"),
    )  # fmt: skip
    return [Table("the same loss at the lowest cost of training and inference", columns, rows)] if rows else []


def _shapes(shapes: Sequence[Shape], machine: Machine | None) -> list[Table]:
    rows: list[tuple[Any, ...]] = []
    for one in shapes:
        held = (one.fit.needed, verdict(one.fit)) if one.fit else (None, "")
        rows.append((one.architecture.name, one.parameters, one.tokens, *(held if machine else ())))
    columns = [Column("shape", "name"), Column("parameters", ABOUT), Column("tokens", ABOUT)]
    columns += [Column("per GPU", f"{ABOUT} {BYTES}"), Column("")] if machine else []
    return [Table("published models of similar size, on the whole budget", tuple(columns), rows)] if rows else []


def _notes(plan: Plan, shapes: Sequence[Shape], seq: int) -> list[str]:
    notes = [LOSSES] if any(point.loss is not None for point in plan.points) else []
    if plan.silent:
        notes.append("no answer: " + "; ".join(f"{one.law}: {one.reason}" for one in plan.silent))
    if (
        plan.model is not None
        and plan.setting.experts
        and any(point.law.form not in EXPERT_FORMS for point in plan.points)
    ):
        notes.append("laws for dense models are evaluated with active parameters")
    unread = [point.law.name for point in plan.points if point.law.checked != READ]
    if unread:
        notes.append(f"constants checked in transcriptions only: {', '.join(unread)}")
    if plan.query.inference and (mute := [point.law.name for point in plan.points if point.served is None]):
        notes.append(f"no answer for inference, because the loss does not depend on both N and D: {', '.join(mute)}")
    if shapes:
        held = next((one.fit for one in shapes if one.fit), None)
        notes.append(f"published models: sequences of {seq} tokens, exact FLOPs")
        if held:
            notes.append(
                f"per GPU: one sequence; weights, gradients and optimizer sharded over {held.count} (ZeRO-3); "
                f"full recomputation; {binary(held.reserve)} reserved for the runtime"
            )
    if len(plan.points) == 1 and plan.points[0].law.note:
        notes.append(f"{plan.points[0].law.name}: {plan.points[0].law.note}")
    return notes


def _record(plan: Plan, spent: Budget | None, shapes: Sequence[Shape], seq: int) -> dict[str, Any]:
    inputs = {**(model_inputs(plan.model) if plan.model else {}), **in_inputs(plan.query, plan.setting), "seq": seq}
    data = {
        **plan.to_dict(),
        "budget": spent.to_dict() if spent else None,
        "shapes": [
            {
                "model": one.architecture.name, "parameters": one.parameters, "tokens": one.tokens,
                "fit": one.fit.to_dict() if one.fit else None,
            }
            for one in shapes
        ],
    }  # fmt: skip
    return envelope("scale", inputs, data)
