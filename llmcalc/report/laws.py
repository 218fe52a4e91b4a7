"""Documents of ``laws list`` and ``laws show``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..estimate.scaling.law import COUNTS, QUANTITIES, Law
from .document import Column, Document, Fact, Table
from .json_envelope import envelope
from .numbers import about
from .sources import cite

FORMULAS = {
    "additive": "L = e + a/N^alpha + b/D^beta",
    "kaplan": "L = ((n_c/N)^(alpha_n/alpha_d) + d_c/D)^alpha_d",
    "path": "N = k_n·C^a, D = k_d·C^b; where one is not given, it follows from C = 6·N·D",
    "repeated": "L = e + a/N'^alpha + b/D'^beta, D' = U + U·r_d·(1 - e^(-(D/U - 1)/r_d)), N' in the same way with r_n",
    "routed": "log10 L = a·log10 N + b·log10 Ê + c·log10 N·log10 Ê + d",
    "granular": "L = c + (g/G^gamma + a)/N^alpha + b/D^beta",
    "joint": "L = a·Ê^delta·N^(alpha + gamma·ln Ê) + b·Ê^omega·D^(beta + zeta·ln Ê) + c",
    "sparse": "L = e + a/N^alpha + b/D^beta + c/(1 - S)^lambda + d/((1 - S)^delta·N^gamma), S = 1 - 1/E",
}
EXPERTS = "1/Ê = 1/(E - 1 + 1/(1/e_start - 1/e_max)) + 1/e_max"
CHECKED = {"true": "", "copies": "in copies", "false": "in one copy"}
DOUBTS = {
    "true": (),
    "copies": ("the constants were checked in several transcriptions, not in the publication itself",),
    "false": ("the constants were checked in one transcription, not in the publication itself",),
}


def laws_document(found: Mapping[str, Law]) -> Document:
    """All laws."""
    rows: list[tuple[Any, ...]] = [
        (one.name, one.title, one.form, one.counts, CHECKED[one.checked]) for one in found.values()
    ]
    columns = (
        Column("law", "name"), Column("title"), Column("form", "name", 1), Column("N", "name"), Column("read", "name"),
    )  # fmt: skip
    return Document(
        f"{len(found)} scaling laws",
        lambda: envelope("laws list", {}, {"laws": [one.to_dict() for one in found.values()]}),
        subtitle=(
            "N: which parameters the law counts; read: set if the constants were not checked in the publication itself",
        ),
        tables=(Table("", columns, rows),),
    )


def law_document(one: Law) -> Document:
    """The form, constants and fitted range of a law."""
    constants: list[tuple[Any, ...]] = [
        (name, value, one.uncertainty.get(name, "")) for name, value in one.constants.items()
    ]
    constants += [(name, None, text) for name, text in one.uncertainty.items() if name not in one.constants]
    ends: list[tuple[Any, ...]] = [
        (QUANTITIES[name], *("" if end is None else about(end, "") for end in one.range[name])) for name in one.range
    ]
    experts = (EXPERTS,) if "e_start" in one.constants else ()
    tables = (
        Table("constants", (Column("symbol", "name"), Column("value", "number"), Column("uncertainty")), constants),
        Table("fitted on", (Column("quantity", "name"), Column("from", "name"), Column("to", "name")), ends),
    )
    unit = () if one.unit == 1 else (f"C in units of {one.unit:.4g} FLOPs",)
    return Document(
        f"{one.title} ({one.name})",
        lambda: envelope("laws show", {"name": one.name}, {**one.to_dict(), "formula": FORMULAS[one.form]}),
        subtitle=(FORMULAS[one.form], *experts, *unit),
        warnings=DOUBTS[one.checked],
        facts=(Fact("form", one.form), Fact("N", one.counts, "", COUNTS[one.counts])),
        tables=tables,
        notes=(*((one.note,) if one.note else ()), f"source: {cite(one.source)}"),
    )
