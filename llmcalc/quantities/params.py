"""Number of parameters.

total: all declared parameters; shared tensors count once, and frozen tables count
    omits: buffers, and extras such as pre-training heads and prediction modules
    like: brown2020 (Table D.1)
    unlike: kaplan2020 (without embeddings)
active: parameters that a token uses, including embeddings and the output head
    omits: the routed experts that the token does not select
    like: jiang2024, deepseek2024v2 (Section 3.1.2)
    unlike: openai2025 and deepseek2024v3 (without the input embedding)
embedding: parameters of the input token table
    omits: position and segment tables, and an untied output head
    like: deepseek2024v3 and openai2025, which subtract it from the active parameters
non_embedding: the total without token, position and segment tables
    omits: the tables, but not an untied output head
    like: kaplan2020 (Section 2.1), gemma2024b (Table 2)
    unlike: brown2020 (the total)
buffers: elements of stored tensors that are not trained, such as sinusoids
    omits: parameters
"""

from __future__ import annotations

from ..analysis.quantity import Quantity
from ..calc.params import Params, params
from ..core.form import lift

UNIT = "parameters"
QUANTITY = Quantity(
    "params", "parameters", UNIT,
    measure=lambda architecture, settings: params(architecture),
    tree=lambda result: result.tree,
    trees={"active": lambda result: result.active_tree},
    form=lambda result, part: (lift(getattr(result, part)), 1),
    parts={**dict.fromkeys(("total", "active", "embedding", "non_embedding"), UNIT), "buffers": "elements"},
    target=lambda result: result.total,
    has_size_forms=True,
    results=(Params,),
    evidence={"": Params.EVIDENCE},
)  # fmt: skip
