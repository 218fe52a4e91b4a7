"""Number of parameters used for each token, as a target of ``design`` and a limit of ``check``."""

from __future__ import annotations

from ..analysis.quantity import Quantity
from ..calc.params import Params, params

QUANTITY = Quantity(
    "active", "active", "parameters",
    measure=lambda architecture, settings: params(architecture),
    tree=lambda result: result.active_tree,
    value="params.active",
    phrase="active parameters",
    target=lambda result: result.active,
    evidence={"": {"active": Params.EVIDENCE["active"]}},
)  # fmt: skip
