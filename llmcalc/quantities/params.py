"""Number of parameters."""

from __future__ import annotations

from ..analysis.quantity import Quantity
from ..calc.params import Params, params
from ..core.form import lift

UNIT = "parameters"
QUANTITY = Quantity(
    "params", "parameters", UNIT,
    measure=lambda architecture, settings: params(architecture),
    tree=lambda result: result.tree,
    form=lambda result, part: (lift(int(getattr(result, part))), 1),
    parts=dict.fromkeys(("total", "active", "embedding", "non_embedding"), UNIT),
    target=lambda result: result.total,
    results=(Params,),
    evidence={"": Params.EVIDENCE},
)  # fmt: skip
