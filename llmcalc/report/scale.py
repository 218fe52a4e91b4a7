"""Report for ``scale`` with the predictions of several scaling laws and the resources that a plan requires."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING, Any

from ..core.amount import group_by
from ..core.errors import InputError, spelled
from ..core.record import changed
from ..estimate.cost import Machine
from ..estimate.scaling.law import EXPERT_FORMS
from ..estimate.scaling.plan import plan as answer
from ..estimate.scaling.query import Plan, Point, Query
from ..inputs.scaling_laws import EXPERT_LAWS, chosen
from ..inputs.training_settings import LAW_LENGTH, LAW_SEQ, SCALE
from ..search.reference_models import Shape
from ..training.budget import Budget
from .document import Document, Fact, Table, assumed_settings, next_table, table_of
from .heading import model_inputs, shown_notes, structure, title, warnings
from .json_envelope import envelope
from .memory import plain_data, verdict
from .numbers import ABOUT, about, binary, percent
from .provenance import assumptions, cost_fact, machine_line, range_text, six_digits, span_fact, span_text, three_digits

READ = "true"  # the constants were verified in the publication itself
if TYPE_CHECKING:
    from .pictures import Chart, Picture

MUCH_INFERENCE, FEW_EXPERTS = 1e13, 8  # of the questions that are offered
GAIN = {"optimum": str}
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
    tables = [one for one in (_curve(plan), _served(plan), _by_law(plan)) if one.rows]
    granular = any(point.law.form == "granular" for point in plan.points)
    assumed = {"granularity": f"{plan.setting.granularity or 1:g}" if granular else "", "seq": model and seq}
    return Document(
        _answer(plan),
        lambda: _json(plan, spent, shapes, seq),
        action=_action(plan),
        assumed=assumed_settings((*SCALE, LAW_LENGTH), assumed),
        summary=tables[0],
        next=_next(plan),
        listing=lambda: tables[0],
        subtitle=(f"{asked}{_question(plan, spent)}", *lines, machine_line(machine) if machine else ""),
        warnings=(*alerts, *plan.warnings),
        facts=tuple(_facts(plan, spent)),
        tables=(*tables[1:], _shapes(shapes, machine)),
        pictures=lambda: _charts(plan) or [_scatter(plan)],
        charts=lambda: _charts(plan),
        notes=(
            *(shown_notes(model) if model else ()),
            *_notes(plan, shapes, seq),
            *assumptions(machine, spent.price if spent else None),
            _share(spent),
        ),
        details=model.remarks if model else (),
    )


def _answer(plan: Plan) -> str:
    """Return the first line of the report, such as ``70.0 B parameters on 1.4 T tokens, the median of 9 laws``."""
    n_laws, ratios = len(plan.points), plan.spread("overtraining")
    sizes = _sizes(plan)
    if ratios:
        n_parameters, n_tokens = (about(plan.middle(name), "") for name in ("parameters", "tokens"))
        n_laws = sum(point.overtraining is not None for point in plan.points)
        low, high = (three_digits(times) for times in ratios)
        times = f"{low} to {high}" if plan.disagrees else three_digits(plan.middle("overtraining"))
        sizes = f"{n_tokens} tokens are {times}× the optimum for {n_parameters} {_kind(plan)}"
    if plan.disagrees:
        return f"laws disagree: {sizes} ({n_laws} laws)"
    return f"{sizes}, " + (f"the median of {n_laws} laws" if n_laws > 1 else f"by {plan.points[0].law.name}")


def _kind(plan: Plan) -> str:
    return "active parameters" if plan.setting.experts else "parameters"


def _sizes(plan: Plan) -> str:
    """Return the parameters and tokens of a plan: the medians, or the ranges if the laws disagree."""
    names = "parameters", "tokens"
    n_parameters, n_tokens = (
        range_text(*(plan.spread(name) or ())) if plan.disagrees else about(plan.middle(name), "") for name in names
    )
    return f"{n_parameters} {_kind(plan)} on {n_tokens} tokens"


def _action(plan: Plan) -> str:
    """Return the second line of the report: what the budget costs, and the sizes for inference."""
    text, parts = _inference(plan), []
    if plan.budget:
        compute, hours, cost = _spending(plan.budget)
        parts.append(f"{compute.value} FLOPs, {hours.value} {hours.label}, cost {cost.value}")
        parts += [cost.note] if plan.budget.cost else []
    return ", ".join([" ".join(parts), f"for inference {text}" * bool(text)]).strip(", ")


def _inference(plan: Plan) -> str:
    """Return the medians of the sizes for training and inference, and of the FLOPs that they save."""
    served = [(point, point.served) for point in plan.points if point.served]
    if not served:
        return ""
    n = median(one.parameters * point.active / point.parameters for point, one in served)
    d, saved = (median(getattr(one, name) for _, one in served) for name in ("tokens", "saved"))
    return f"{about(n, '')} {_kind(plan)} on {about(d, '')} tokens, {percent(saved)} fewer FLOPs for the same loss"


def _next(plan: Plan) -> Table:
    """Return what to try next: other questions about the same budget, or its optimum."""
    query, setting, laws = plan.query, plan.setting, [point.law for point in plan.points]
    found = []
    if not query.free:
        compute = f"{plan.middle('compute'):.3g}"
        experts = f" {{n_experts={setting.experts:g}}}" if setting.experts else ""
        optimum = answer(chosen((), setting), Query(float(compute)), setting, covered=True)
        return next_table([(spelled(f"llmcalc scale {{compute={compute}}}{experts}"), _sizes(optimum))], GAIN)
    if not query.inference:
        with_inference = answer(laws, changed(query, inference=MUCH_INFERENCE), setting)
        if gain := _inference(with_inference):
            found.append((spelled("{inference=10T}"), gain))
    if {*EXPERT_LAWS} <= {one.law for one in plan.silent}:
        with suppress(InputError):
            mixture = changed(setting, experts=FEW_EXPERTS)
            found.append((spelled("{n_experts=8}"), _sizes(answer(chosen((), mixture), query, mixture, covered=True))))
    if query.compute and not plan.curve and not plan.model:
        first, last = (three_digits(plan.middle("parameters") * times) for times in (1 / 4, 4))
        found.append((spelled(f"{{over=params={first}..{last}:x2}}"), "losses of smaller and larger models"))
    return next_table(found, GAIN)


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
        yield from _spending(spent)


def _spending(spent: Budget) -> Iterator[Fact]:
    low, mid, high = spent.flops
    yield Fact("compute", about(mid, ""), "FLOPs", "" if low == high else span_text(low, high))
    yield span_fact("accelerator-hours", spent.hours)
    yield cost_fact(spent.cost, spent.price)


def _curve(plan: Plan) -> Table:
    """Return the losses of each size of an iso-FLOP curve, with the laws for which it is the lowest."""
    lowest = plan.lowest_on_curve

    def loss(law: str) -> Callable[[tuple[int, Plan]], float | None]:
        return lambda row: round(row[1].losses[law], 4) if law in row[1].losses else None

    return table_of("loss at the same FLOPs", enumerate(plan.curve), {
        "N: about": lambda row: six_digits(row[1].middle("parameters")),
        "D: about": lambda row: six_digits(row[1].middle("tokens")), **{f"{law}: number": loss(law) for law in lowest},
        "lowest for": lambda row: ", ".join(law for law, place in lowest.items() if place == row[0]),
    })  # fmt: skip


def _by_law(plan: Plan) -> Table:
    def number(name: str) -> Callable[[Point], float | None]:
        return lambda point: _ratio(getattr(point, name))

    return table_of("by law", plan.points, {
        "law: name": "law.name", "N: about": lambda point: six_digits(point.parameters),
        "D: about": lambda point: six_digits(point.tokens), "D/N: number 2": number("ratio"),
        "FLOPs: about 1": lambda point: six_digits(point.compute),
        "loss: number": lambda point: None if point.loss is None else round(point.loss, 4),
        **{COMPARED[name]: number(name) for name in COMPARED if plan.spread(name)},
        "beyond its fit: text 3": lambda point: ", ".join(one.brief for one in point.outside),
    })  # fmt: skip


def _charts(plan: Plan) -> Sequence[Chart]:
    """Plot the loss of each size of an iso-FLOP curve above that of the optimum, by each law."""
    from .pictures import Axis, Chart, Curve, Mark

    best = [point for point in plan.points if point.law.name in plan.lowest_on_curve]
    if not best:
        return ()
    heading = f"Loss at {about(plan.query.compute or 0, '')} FLOPs above the lowest one"
    curves = tuple(Curve(one.law.name, tuple(_excess(plan, one))) for one in best)
    marks = tuple(Mark(one.law.name, one.active, 0.0) for one in best)
    return [Chart(heading, Axis("parameters", "count", True), Axis("loss - lowest loss"), curves, marks)]


def _scatter(plan: Plan) -> Picture:
    """Plot the parameters N and tokens D predicted by each scaling law."""
    from .pictures import Axis, Mark, Scatter

    marks = tuple(Mark(point.law.name, point.parameters, point.tokens) for point in plan.points)
    axes = Axis("parameters", "count", True), Axis("tokens", "count", True)
    return Scatter("Parameters and tokens by scaling law", *axes, (("laws", marks),))


def _excess(plan: Plan, best: Point) -> list[tuple[float, float]]:
    """Return the sizes on an iso-FLOP curve by one law, and how far their losses are above that of the optimum."""
    sizes = ((one.middle("parameters"), one.losses.get(best.law.name)) for one in plan.curve)
    return sorted([(n, loss - (best.loss or 0)) for n, loss in sizes if loss] + [(best.active, 0.0)])


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
    reasons = group_by(plan.silent, lambda one: one.reason)
    texts = (f"{', '.join(one.law for one in group)} ({reason})" for reason, group in reasons.items())
    yield f"no answer: {'; '.join(texts)}" if reasons else ""
    yield LOSSES if any(point.loss is not None for point in plan.points) else ""
    has_dense_law = any(point.law.form not in EXPERT_FORMS for point in plan.points)
    if plan.model is not None and plan.setting.experts and has_dense_law:
        yield "laws for dense models are evaluated with active parameters"
    laws = [point.law for point in plan.points]
    for text, names in {
        "constants checked only against transcriptions": [law.name for law in laws if law.checked != READ],
        "no published figure is reproduced by": [law.name for law in laws if not law.example],
    }.items():
        yield f"{text}: {', '.join(names)}" if names else ""
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
    names = "unique", "experts", "granularity"
    return {**plain_data(query), **{name: getattr(conditions, name) for name in names}}


def _json(plan: Plan, spent: Budget | None, shapes: Sequence[Shape], seq: int) -> dict[str, Any]:
    inputs = {**(model_inputs(plan.model) if plan.model else {}), **_inputs(plan), "seq": seq}
    named = [
        {"model": one.architecture.name, "parameters": one.parameters, "tokens": one.tokens,
         "fit": one.fit.to_dict() if one.fit else None}
        for one in shapes
    ]  # fmt: skip
    budget = spent.to_dict() if spent else None
    return envelope("scale", inputs, {**plan.to_dict(), "budget": budget, "shapes": named})
