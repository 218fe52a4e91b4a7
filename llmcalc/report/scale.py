"""Report for ``scale`` with the predictions of several scaling laws and the resources that a plan requires."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..core.amount import group_by
from ..core.errors import spelled
from ..estimate.cost import Machine
from ..estimate.scaling.law import EXPERT_FORMS
from ..estimate.scaling.query import Plan, Point
from ..inputs.training_settings import LAW_SEQ
from ..search.reference_models import Shape
from ..training.budget import Budget
from .document import Document, Fact, Table, table_of
from .heading import model_inputs, structure, title, warnings
from .json_envelope import envelope
from .memory import verdict
from .numbers import ABOUT, about, binary
from .provenance import assumptions, cost_fact, machine_line, six_digits, span_fact, span_text, three_digits

READ = "true"  # the constants were verified in the publication itself
if TYPE_CHECKING:
    from .pictures import Picture

LOSSES = (
    "losses are in nats per token, measured on each law's own data with its own tokenizer, "
    "and are not comparable across laws; "
    "each law counts N as its publication does (llmcalc laws show NAME)"
)
COMPARED = {
    "overtraining": "D vs. optimum: ratio", "excess": "FLOPs vs. minimum: ratio", "epochs": "epochs: number",
    "worth": f"fresh-token equivalent: {ABOUT}",
}  # fmt: skip


def scale_document(plan: Plan, shapes: Sequence[Shape] = (), seq: int = LAW_SEQ) -> Document:
    """Build the scaling report for a plan. The title is the answer."""
    spent, model = plan.budget, plan.model
    machine = spent.machine if spent else None
    asked, lines, alerts = (f"{title(model)}: ", structure(model), warnings(model)) if model else ("", (), ())
    return Document(
        _answer(plan),
        lambda: _json(plan, spent, shapes, seq),
        subtitle=(f"{asked}{_question(plan, spent)}", *lines, machine_line(machine) if machine else ""),
        warnings=(*alerts, *plan.warnings),
        facts=tuple(_facts(plan, spent)),
        tables=(_by_law(plan), _served(plan), _shapes(shapes, machine)),
        pictures=lambda: _pictures(plan),
        notes=(*assumptions(machine, spent.price if spent else None), _share(spent), *_notes(plan, shapes, seq)),
    )


def _answer(plan: Plan) -> str:
    """Return the first line of the report, such as ``70.0 B parameters on 1.4 T tokens, the median of 9 laws``."""
    n_parameters, n_tokens = (about(plan.middle(name), "") for name in ("parameters", "tokens"))
    kind = "active parameters" if plan.setting.experts else "parameters"
    sizes, n_laws, ratios = f"{n_parameters} {kind} on {n_tokens} tokens", len(plan.points), plan.spread("overtraining")
    if ratios:
        n_laws = sum(point.overtraining is not None for point in plan.points)
        low, high = (three_digits(times) for times in ratios)
        times = f"{low} to {high}" if plan.disagrees else three_digits(plan.middle("overtraining"))
        sizes = f"{n_tokens} tokens are {times}× the optimum for {n_parameters} {kind}"
    elif plan.disagrees:
        ends = (plan.spread(name) for name in ("parameters", "tokens"))
        n_parameters, n_tokens = (" to ".join(about(end, "") for end in pair) for pair in ends if pair)
        sizes = f"{n_parameters} {kind} on {n_tokens} tokens"
    if plan.disagrees:
        return f"laws disagree: {sizes} ({n_laws} laws)"
    return f"{sizes}, " + (f"the median of {n_laws} laws" if n_laws > 1 else f"by {plan.points[0].law.name}")


def _question(plan: Plan, spent: Budget | None) -> str:
    query, conditions = plan.query, plan.setting
    given = [
        spent.said if spent else "",
        f"{about(query.compute, '')} FLOPs" if query.compute and not spent else "",
        f"{about(query.parameters['total'], '')} parameters" if query.parameters else "",
        f"{about(query.tokens, '')} tokens" if query.tokens else "",
        f"a loss of {query.loss:g}" if query.loss else "",
        f"{about(conditions.unique, '')} unique tokens" if conditions.unique else "",
        f"{about(query.inference, '')} tokens of inference" if query.inference else "",
        f"{conditions.experts:g} experts per active expert" if conditions.experts else "",
    ]
    return f"scaling laws for {', '.join(filter(None, given))}"


def _facts(plan: Plan, spent: Budget | None) -> Iterator[Fact]:
    for name, unit in (("parameters", "N"), ("tokens", "D"), *(() if spent else (("compute", "FLOPs"),))):
        ends = plan.spread(name)
        assert ends is not None
        note = "" if ends[0] == ends[1] else f"median of {len(plan.points)} laws, {span_text(*ends)}"
        yield Fact(name, about(plan.middle(name), ""), unit, note)
    if spent:
        low, mid, high = spent.flops
        yield Fact("compute", about(mid, ""), "FLOPs", "" if low == high else span_text(low, high))
        yield span_fact("accelerator-hours", spent.hours)
        yield cost_fact(spent.cost, spent.price)


def _by_law(plan: Plan) -> Table:
    def number(name: str) -> Callable[[Point], float | None]:
        return lambda point: _ratio(getattr(point, name))

    return table_of("by law", plan.points, {
        "law: name": "law.name", "N: about": lambda point: six_digits(point.parameters),
        "D: about": lambda point: six_digits(point.tokens), "D/N: number 2": number("ratio"),
        "FLOPs: about 1": lambda point: six_digits(point.compute),
        "loss: number": lambda point: None if point.loss is None else round(point.loss, 4),
        **{COMPARED[name]: number(name) for name in COMPARED if plan.spread(name)},
        "beyond its fit": lambda point: ", ".join(one.brief for one in point.outside),
    })  # fmt: skip


def _pictures(plan: Plan) -> list[Picture]:
    """Plot the parameters N and tokens D predicted by each scaling law."""
    from .pictures import Axis, Mark, Scatter

    marks = tuple(Mark(point.law.name, point.parameters, point.tokens) for point in plan.points)
    axes = Axis("parameters", "count", True), Axis("tokens", "count", True)
    return [Scatter("Parameters and tokens by scaling law", *axes, (("laws", marks),))]


def _ratio(value: float | None) -> float | None:
    """Round a value to four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def _served(plan: Plan) -> Table:
    served = [point for point in plan.points if point.served]
    return table_of("same loss at the lowest cost of training and inference", served, {
        "law: name": "law.name", "N: about": lambda point: six_digits(point.served.parameters),
        "D: about": lambda point: six_digits(point.served.tokens),
        "training + inference FLOPs: about": lambda point: six_digits(point.served.flops),
        "saved: share": lambda point: six_digits(point.served.saved),
    })  # fmt: skip


def _shapes(shapes: Sequence[Shape], machine: Machine | None) -> Table:
    return table_of("published models of similar size, trained on the whole budget", shapes, {
        "shape: name": "architecture.name", "parameters: about": "parameters", "tokens: about": "tokens",
        **({"per GPU: about bytes": lambda one: one.fit.needed if one.fit else None,
            "": lambda one: verdict(one.fit) if one.fit else ""} if machine else {}),
    })  # fmt: skip


def _share(spent: Budget | None) -> str:
    """Return how much longer published runs took than their utilisation says."""
    if spent is None or spent.share == 1:
        return ""
    text = f"a run takes {three_digits(spent.share)} times the hours of this MFU, the median of published runs"
    return spelled(f"assumed: {text} (llmcalc evidence train); set {{mfu}} to use another one alone")


def _notes(plan: Plan, shapes: Sequence[Shape], seq: int) -> Iterator[str]:
    yield LOSSES if any(point.loss is not None for point in plan.points) else ""
    reasons = group_by(plan.silent, lambda one: one.reason)
    texts = (f"{', '.join(one.law for one in group)} ({reason})" for reason, group in reasons.items())
    yield f"no answer: {'; '.join(texts)}" if reasons else ""
    has_dense_law = any(point.law.form not in EXPERT_FORMS for point in plan.points)
    if plan.model is not None and plan.setting.experts and has_dense_law:
        yield "laws for dense models are evaluated with active parameters"
    unread = [point.law.name for point in plan.points if point.law.checked != READ]
    if unread:
        yield f"constants checked only against transcriptions: {', '.join(unread)}"
    if plan.query.inference and (mute := [point.law.name for point in plan.points if point.served is None]):
        yield f"no inference optimum because the loss does not depend on both N and D: {', '.join(mute)}"
    if shapes:
        fit = next((one.fit for one in shapes if one.fit), None)
        yield f"published models: exact FLOPs at {seq} tokens per sequence"
        if fit:
            sharded = f"weights, gradients and optimizer sharded over {fit.count} (ZeRO-3)"
            reserved = f"{binary(fit.reserve)} reserved for the runtime"
            yield f"per GPU: one sequence; {sharded}; full recomputation; {reserved}"
    if len(plan.points) == 1 and plan.points[0].law.note:
        yield f"{plan.points[0].law.name}: {plan.points[0].law.note}"


def _inputs(plan: Plan) -> dict[str, Any]:
    """Return the query and the conditions as a plain dictionary."""
    query, conditions = plan.query, plan.setting
    return {
        "compute": query.compute, "parameters": dict(query.parameters) if query.parameters else None,
        "tokens": query.tokens, "loss": query.loss, "inference": query.inference,
        "inference_cost": query.inference_cost, "unique": conditions.unique, "experts": conditions.experts,
        "granularity": conditions.granularity,
    }  # fmt: skip


def _json(plan: Plan, spent: Budget | None, shapes: Sequence[Shape], seq: int) -> dict[str, Any]:
    inputs = {**(model_inputs(plan.model) if plan.model else {}), **_inputs(plan), "seq": seq}
    named = [
        {"model": one.architecture.name, "parameters": one.parameters, "tokens": one.tokens,
         "fit": one.fit.to_dict() if one.fit else None}
        for one in shapes
    ]  # fmt: skip
    budget = spent.to_dict() if spent else None
    return envelope("scale", inputs, {**plan.to_dict(), "budget": budget, "shapes": named})
