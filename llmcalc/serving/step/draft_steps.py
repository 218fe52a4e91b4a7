"""Steps of speculative decoding: passes of a draft, and a step that verifies the drafted tokens.

A draft proposes tokens in ``passes`` passes, one after the other. The target then computes ``verified`` tokens of each
sequence in one step, and a sequence advances by the accepted ones and one more. If each token of a chain of ``n``
tokens is accepted with probability ``p`` after those before it, the mean is [leviathan2022, Equation 1]:

    accepted = 1 + p + p² + ... + pⁿ
"""

from __future__ import annotations

from ...core.arrays import Number
from ...core.record import changed, record
from ...core.type_names import Any
from ...kernels.cost import StepTime
from .step import StepModel, step_values

DRAFT = "draft"  # component of the kernels of a draft


@record
class Speculation:
    """Tokens that are drafted and verified in a step.

    Attributes:
        passes: passes of the draft in a step.
        width: tokens that a pass computes per sequence, above 1 in a tree.
        verified: tokens per sequence that the target computes in a step.
        accepted: mean number of tokens by which a sequence advances in a step.
        draft: steps of the draft, or None if tokens are looked up.
    """

    passes: int
    width: int
    verified: int
    accepted: Number
    draft: StepModel | None = None

    def with_accepted(self, accepted: Number) -> Speculation:
        """Return the same steps with another mean number of accepted tokens."""
        return changed(self, accepted=accepted)


def decode_step(
    model: StepModel, speculation: Speculation | None, batch: Number, keys: Number, prefill: Any = None,
    batches: Number | None = None,
) -> StepTime:  # fmt: skip
    """Return the time of a step of a batch, which drafts and verifies tokens if there is speculative decoding.

    Both models compute the prefill. The first pass of a draft also computes the tokens that the last step accepted, in
    a place for each verified one.
    """
    own = speculation
    verified, draft = (own.verified, own.draft) if own else (1, None)
    values = step_values(batch * verified, 1.0, keys)
    step = model.step(values, prefill, scheduled=True, verified=verified, batches=batches)
    if own is None:
        return step
    n_passes = 0 if draft is None else own.passes
    step = step._replace(engine=step.engine + model.engine.draft_step_s + n_passes * model.engine.draft_pass_s)
    if draft is None:
        return step
    first = draft.step(values, prefill, scheduled=True, verified=verified)
    found = _with_draft(step, first, 1)
    if own.passes > 1:
        further = draft.step(step_values(batch * own.width, 1.0, keys), scheduled=True, verified=own.width)
        found = _with_draft(found, further, own.passes - 1)
    return found


def drafted_prefill(model: StepModel, speculation: Speculation | None, prefill: Any) -> StepTime:
    """Return the time of a prefill that is computed alone, by the model and by its draft if there is one."""
    step, draft = model.step(None, prefill, scheduled=True), speculation.draft if speculation else None
    return _with_draft(step, draft.step(None, prefill, scheduled=True), 1) if draft else step


def _with_draft(step: StepTime, draft: StepTime, times: int) -> StepTime:
    """Return a step with passes of a draft."""
    return step.plus(draft._replace(components={DRAFT: draft.total}, engine=0.0), times)


def accepted_tokens(probability: float, drafted: int) -> float:
    """Return the mean number of tokens of a step, if drafted tokens are accepted with a probability.

    >>> accepted_tokens(0.5, 2), accepted_tokens(1, 3)
    (1.75, 4)
    """
    return sum(probability**place for place in range(drafted + 1))
