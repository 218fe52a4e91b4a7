"""Steps of two batches: one computes while the tokens of the other are exchanged between expert-parallel ranks.

An engine divides the batch of a rank into two halves and runs them in turn. The tokens of a half are sent to the
experts while the other half computes its attention or its experts, and the outputs are sent back while the other half
computes the next of these. In each layer, the longer of the two counts:

    step = max(attention, sent) + max(experts, sent) + max(experts, returned) + max(attention, returned)

``attention`` are all kernels of a half but the routed experts, and the gaps between kernels.

Each half reads all weights, and has kernels of its own. In decode steps, the exchange takes no streaming
multiprocessors (SMs). In steps with prefill it takes ``EXCHANGE_SMS`` of them, so that the kernels are slower
[deepseek2025profile, deepep2025].
"""

from __future__ import annotations

from typing import Any

from ...calc.collectives import ALL_TO_ALL
from ...calc.memory.number_formats import BITS_A_BYTE
from ...core.arrays import Number, namespace
from ...kernels.cost import ACTIVATION_BYTES, Cost, StepTime
from ...kernels.exchange import dispatched_bits
from .step import StepModel, Values

EXCHANGE_SMS = 24  # of the published measurements of DeepEP


class TwoBatchSteps(StepModel):
    """Steps of a rank that overlaps the exchange of one half of a batch with the computation of the other.

    A step with fewer tokens than ``overlap_tokens`` of the engine, or without an exchange, is computed as one batch.
    """

    overlaps = True

    def step(
        self,
        decode: Values | None = None,
        prefill: Values | None = None,
        *,
        scheduled: bool = False,
        verified: int = 1,
        batches: Number | None = None,
    ) -> StepTime:
        """Return the time of a step, as ``StepModel.step`` does. Single operations are those of one batch."""
        own: dict[str, Any] = {"scheduled": scheduled, "verified": verified, "batches": batches}
        whole = super().step(decode, prefill, **own)
        exchanged = [name for name in whole.collectives if name.startswith(ALL_TO_ALL)]
        if not exchanged:
            return whole
        halves = ({**values, "b": values["b"] / 2} if values else None for values in (decode, prefill))
        half = super().step(*halves, **own)
        n_sms = self.device.sms
        slower = 1.0 if prefill is None else n_sms / (n_sms - EXCHANGE_SMS)
        components = {name: _times(cost, 2, slower) for name, cost in half.components.items()}
        others = {name: 2 * seconds for name, seconds in half.collectives.items() if name not in exchanged}
        computed = sum(cost.seconds for cost in components.values()) + 2 * half.launches
        total = sum(2 * half.collectives[name] for name in exchanged)
        experts = sum(components[name].seconds / 2 for name in {each.component for each in self.routed})
        bits = dispatched_bits(self)
        sent = total / 2 * bits / (bits + BITS_A_BYTE * ACTIVATION_BYTES)
        longest, stages = namespace(total).maximum, (computed / 2 - experts, experts)
        shown = sum(longest(each, stage) for stage in stages for each in (sent, total / 2 - sent)) - computed
        left = {name: shown * (2 * half.collectives[name]) / total for name in exchanged}
        tokens = sum(values["b"] * values["q"] for values in (decode, prefill) if values)
        both = StepTime(components, {**others, **left}, 2 * half.launches, whole.engine)
        where, is_divided = namespace(tokens).where, tokens >= self.engine.overlap_tokens
        found = whole.each(lambda usual, own: where(is_divided, own, usual), both)
        return found._replace(list_operations=whole.list_operations)


def _times(cost: Cost, times: int, slower: float) -> Cost:
    """Return a cost several times, on fewer multiprocessors."""
    return Cost(cost.seconds * times * slower, *(each * times for each in cost[1:]))
