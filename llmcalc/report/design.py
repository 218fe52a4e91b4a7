"""Report for ``design`` with shapes near a target and the cost of each constraint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import exp

from ..analysis.quantity import targets
from ..core.errors import spelled
from ..core.record import fields
from ..lint import lint
from ..schema.shapes import Candidate, Design
from .document import Cell, Document, Fact, Table, columns, table_of
from .heading import structure
from .json_envelope import envelope
from .numbers import BYTES, NANOSECONDS, readable, short


def design_document(result: Design) -> Document:
    """Build the design report. The title is the answer."""
    described = targets()[result.quantity]
    quantity, unit = described.title, described.unit
    best, step = result.candidates[0], f" of a {result.step}" if result.step else ""
    none_near = f"no shape is within {100 * result.rules.within:g} % of the target; the nearest are listed"
    off = f"{100 * best.off:+.2g} % from the target"
    sizes = " · ".join(f"{name} {size}" for name, size in [*best.sizes.items()][:2])
    facts = (Fact(quantity, best.value, unit, off), Fact("target", result.target, unit), Fact("shaped as", result.base))
    rules = {entry.name: getattr(result.rules, entry.name) for entry in fields(result.rules)}
    inputs = {"family": result.family, "quantity": quantity, "unit": unit, "target": result.target, "rules": rules}
    overrides = " ".join(spelled(f"{{overrides={word}}}") for word in best.overrides)
    return Document(
        f"{'✓' if result.near else '✗'} {sizes}: {readable(best.value, unit)} {quantity}{step}, {off}",
        lambda: envelope("design", inputs, result.to_dict()),
        subtitle=(
            f"{result.family} for {readable(result.target, unit)} {quantity}{step}",
            *structure(best.architecture, is_full=True),
        ),
        warnings=(*(() if result.near else (none_near,)), *_unscaled(result)),
        facts=facts,
        tables=(_candidates(result, unit), _variants(result, unit), _rules(result, unit)),
        notes=(
            f"the first shape is {result.base} with {overrides}",
            "other sizes scale with d_model or stay unchanged; d_model / n_layers is interpolated between the "
            "nearest sizes",
            *(f"{one.code} {one.place}: {one.message}" for one in lint(best.architecture)),
        ),
    )


def _unscaled(result: Design) -> Iterator[str]:
    """Yield a warning about sizes that do not scale."""
    if result.unscaled:
        sizes = tuple(dict.fromkeys(result.unscaled))
        verb, what = ("does", "it a variable") if len(sizes) == 1 else ("do", "them variables")
        yield f"{' and '.join(sizes)} {verb} not scale with d_model; make {what} of {result.family}, as in d_ff: $d_ff"


def _candidates(result: Design, unit: str) -> Table:
    def size(name: str) -> Callable[[Candidate], Cell]:
        return lambda one: one.sizes.get(name)

    names = dict.fromkeys(name for candidate in result.candidates for name in candidate.sizes)
    return table_of("shapes, most similar to the family first", result.candidates, {
        **{f"{name}: number": size(name) for name in names}, _column(unit): lambda one: _value(one, unit),
        "off: name": _off,
        "width/depth: number 1": lambda one: round(one.proportion, 1) if "n_layers" in one.sizes else None,
        "vs. family: ratio 2": lambda one: exp(one.unusual) if "n_layers" in one.sizes else None,
    })  # fmt: skip


def _column(unit: str) -> str:
    """Return the head of a column of values."""
    return {BYTES: "has: about bytes", NANOSECONDS: "has: name"}.get(unit, "has: about")


def _value(candidate: Candidate, unit: str) -> Cell:
    """Return the cell of a value. Times are printed with their unit."""
    return short(candidate.value, unit) if unit == NANOSECONDS else candidate.value


def _variants(result: Design, unit: str) -> Table:
    """Build a table with the best shape for each combination of the settings that vary."""
    return table_of("best shape by setting", result.variants, {
        "setting": lambda pair: " ".join(f"{name}={value}" for name, value in pair[0].items()),
        "best shape": lambda pair: _sizes(pair[1]), _column(unit): lambda pair: _value(pair[1], unit),
        "off: name": lambda pair: _off(pair[1]),
    })  # fmt: skip


def _sizes(candidate: Candidate) -> str:
    return ", ".join(f"{name} {size}" for name, size in candidate.sizes.items())


def _off(candidate: Candidate) -> str:
    return f"{100 * candidate.off:+.2f} %"


def _rules(result: Design, unit: str) -> Table:
    """Build a table with one row per constraint and the best shape found without that constraint."""
    rows: list[tuple[Cell, ...]] = []
    for label, best in result.without:
        same = best.sizes == result.candidates[0].sizes
        sizes = "costs nothing" if same else _sizes(best)
        rows.append((label, sizes, None if same else _value(best, unit), "" if same else _off(best)))
    return Table("cost of each rule", columns("without the rule", "best shape", _column(unit), "off: name"), rows)
