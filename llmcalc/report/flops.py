"""Report for ``flops`` with totals for a step, a breakdown, the closed form and published conventions."""

from __future__ import annotations

from collections.abc import Iterator

from ..calc.flop_conventions import CONVENTIONS as PUBLISHED
from ..calc.flop_conventions import conventional_flops
from ..calc.flops import Count, Flops
from ..calc.params import Params, params
from ..core.errors import InputError, spelled
from ..core.ledger import declarations
from ..core.type_names import TYPE_CHECKING, Any
from ..inputs.extras import MTP, prediction_of, with_extras
from .document import Column, Document, Fact, Table, columns, shares_table
from .heading import SHOWN_FIELDS, derivation, formula_note, model_document, workload_inputs, workload_line
from .numbers import BYTES, exact

if TYPE_CHECKING:
    from ..calc.traffic import Traffic

UNIT = "FLOPs"
BREAKDOWNS = ("component", "layer")
FORWARD_RULE, TRAIN_RULE = 2, 6  # FLOPs per token and parameter [kaplan2020, Section 2.1]
HALF_OF, HALF_REASON = "half of ", "a token passes through one of both stacks"  # of encoder-decoders
CONVENTIONS = {
    "mac": "one multiply-accumulate is 2 FLOPs",
    "matmul": "contractions and convolutions: exact",
    "other": "elementwise work, scans and transforms: modelled, one FLOP per operation",
    "rule_of_thumb": "2·N·D (6·N·D in training) with N active parameters, excluding look-up tables, and D tokens",
}


def flops_document(result: Flops, by: str = "component", recompute: str = "none") -> Document:
    """Build the FLOPs report for a step. ``recompute`` adds the FLOPs of activation recomputation."""
    counted = params(result.architecture)
    moved = _moved(result)
    breakdown = {"component": by_component, "layer": _by_layer}[by]
    return model_document(
        result.architecture,
        "flops",
        lambda: _json(result, moved, counted, by, recompute),
        workload=result.workload,
        lines=(workload_line(result.workload, _shown(result)),),
        facts=tuple(_facts(result, moved, counted, recompute)),
        tables=(breakdown(result), convention_table(result)),
        derivation=derivation("flops", result),
        notes=(
            *uncounted_prediction(result),
            formula_note("matmul of the forward pass", result.matmul_form),
            *_bound(result),
        ),
    )


def _shown(result: Flops) -> list[str]:
    """Return the settings to name: no attention mask for a model without one, such as BERT."""
    masks = (declaration.mask for _, _, declaration in declarations(*result.architecture.stacks))
    is_causal = any(mask.partition(":")[0] in ("causal", "window", "chunk") for mask in masks)
    return [name for name in SHOWN_FIELDS if is_causal or name != "attention"]


def _moved(result: Flops) -> Traffic | None:
    """Return the step's memory traffic, or None for eager code or unreadable checkpoint formats."""
    if result.workload.convention is not None:
        return None
    from ..quantities.traffic import step_traffic  # not for the FLOPs of a training run

    try:
        return step_traffic(result.architecture, result.workload)
    except InputError:
        return None


def _bound(result: Flops) -> Iterator[str]:
    """Yield a note that the matmul FLOPs are an upper bound if they depend on the expert routing."""
    if result.even_matmul != result.matmul:
        even = exact(result.even_matmul)
        yield f"matmul is an upper bound, because some experts compute nothing; uniform routing gives {even}"


def uncounted_prediction(result: Flops) -> Iterator[str]:
    """Yield a note about training without the model's modules for multi-token prediction, and what they add."""
    extra = prediction_of(result.architecture)
    if extra and result.workload.mode == "train":
        added = result.of_model(with_extras(result.architecture, [MTP])).matmul / result.matmul - 1
        several = f" ({extra.count} modules)" if extra.count > 1 else ""
        text = f"multi-token prediction{several} is not counted; {{extras={MTP}}} adds {100 * added:.1f} % to the FLOPs"
        yield spelled(text)


def rule_of_thumb(result: Flops, counted: Params) -> int:
    """Return 2·N·D (6·N·D in training) for D tokens and N active parameters outside lookup tables."""
    factor = TRAIN_RULE if result.workload.mode == "train" else FORWARD_RULE
    return factor * counted.active_non_embedding * result.tokens


def convention_table(result: Flops, formulas: bool = True, *, matmul_only: bool = False) -> Table:
    """Build a table of FLOPs under published conventions. The table has no rows for unsupported models.

    ``matmul_only``: relate them to the FLOPs of contractions instead of all FLOPs.
    """
    whole = result.matmul if matmul_only else result.total
    rows = [
        (name, count, count / whole, *([PUBLISHED[name].formula] if formulas else []))
        for name, count in conventional_flops(result).items()
    ]
    heads = columns("convention: name", "FLOPs: about", "of the total: ratio", *(["formula per token"] * formulas))
    return Table("under published conventions", heads, rows)


def _facts(result: Flops, moved: Traffic | None, counted: Params, recompute: str) -> Iterator[Fact]:
    train, rule = result.workload.mode == "train", rule_of_thumb(result, counted)
    yield Fact("total", result.total, UNIT)
    yield Fact("matmul", result.matmul, UNIT, "exact" if result.even_matmul == result.matmul else "at most")
    yield Fact("other", result.other, UNIT, "modelled")
    if train:
        yield Fact("forward", result.forward, UNIT, "matmul")
        yield Fact("backward", result.backward, UNIT, "matmul")
    if recompute != "none":
        yield Fact("recomputed", result.recomputed(recompute), UNIT, f"matmul, {recompute}; not in the total")
    if moved:
        from .traffic import intensity_fact

        yield Fact("bytes moved", moved.total, BYTES, "fused kernels")
        yield intensity_fact(moved)
    yield Fact("per sequence", _share(result.total, result.workload.batch), UNIT)
    yield Fact("per token", _share(result.total, result.tokens), UNIT)
    against = f"; total is {result.total / rule:.4g}× this value" if rule else ""
    name = "6·N·D" if train else "2·N·D"
    yield Fact(name, rule, UNIT, f"N excludes embeddings{against}")
    if result.architecture.is_encoder_decoder and rule:
        against = f"{HALF_REASON}; total is {2 * result.total / rule:.4g}× this value"
        yield Fact(HALF_OF + name, rule // 2, UNIT, against)


def _share(total: int, count: int) -> int:
    return (total + count // 2) // count


def matmul_by_component(result: Flops) -> Table:
    """Build a table of the FLOPs of contractions per component."""
    found = {name: count.matmul for name, count in result.by_component.items() if count.matmul}
    return shares_table("by component", "component", found, "FLOPs: count")


def by_component(result: Flops) -> Table:
    """Build a table of FLOPs per component."""
    ordered = sorted(result.by_component.items(), key=lambda item: -item[1].total)
    rows = [(name, *_cells(count, result)) for name, count in (*ordered, ("total", result.count))]
    return Table("by component", (*columns("component: name"), *_columns(result)), rows[:-1], rows[-1])


def _by_layer(result: Flops) -> Table:
    several = len(result.architecture.stacks) > 1
    rows = [
        (f"{entry.stack} {entry.name}" if several else entry.name, entry.layers or None,
         entry.count.total // entry.layers if entry.layers else None, *_cells(entry.count, result))
        for entry in result.by_layer if entry.count.total
    ]  # fmt: skip
    heads = (*columns("block: name", "layers: number", "FLOPs each: count 2"), *_columns(result))
    return Table("by layer", heads, rows, ("total", None, None, *_cells(result.count, result)))


def _columns(result: Flops) -> tuple[Column, ...]:
    passes = ("forward: count 3", "backward: count 3") if result.workload.mode == "train" else ()
    return columns(*passes, "other: count 3", "FLOPs: count", "share: share")


def _cells(count: Count, result: Flops) -> tuple[Any, ...]:
    passes = (count.forward, count.backward) if result.workload.mode == "train" else ()
    return (*passes, count.other, count.total, count.total / result.total if result.total else 0.0)


def _json(
    result: Flops, moved: Traffic | None, counted: Params, by: str, recompute: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    inputs = {**workload_inputs(result.workload), "by": by, "recompute": recompute, "conventions": CONVENTIONS}
    return inputs, {
        **result.to_dict(),
        "bytes_moved": moved.total if moved else None,
        "intensity": moved.intensity if moved else None,
        "recomputed": result.recomputed(recompute),
        "per_sequence": _share(result.total, result.workload.batch),
        "per_token": _share(result.total, result.tokens),
        "rule_of_thumb": (rule := rule_of_thumb(result, counted)),
        **({"half_rule_of_thumb": rule // 2} if result.architecture.is_encoder_decoder else {}),
        "published_conventions": conventional_flops(result),
        "notes": [*uncounted_prediction(result), *_bound(result), *result.architecture.notes],
    }
