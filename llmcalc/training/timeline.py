"""When each pipeline stage computes which micro-batch.

Stages run the passes in the order of 1F1B, or of its interleaved form if they have several chunks of layers
[narayanan2021, Section 2.2]. A pass starts when its stage is free and its input is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.record import NamedTuple


class Pass(NamedTuple):
    """A pass of a micro-batch on a stage, with all that it computes again.

    Attributes:
        stage: number of the stage.
        chunk: number of its chunk of layers.
        micro_batch: number of the micro-batch.
        is_backward: whether gradients are computed.
        start, end: seconds since the step began.
    """

    stage: int
    chunk: int
    micro_batch: int
    is_backward: bool
    start: float
    end: float


def timeline(seconds: Sequence[tuple[float, float]], micro_batches: int, chunks: int = 1) -> list[Pass]:
    """Return the passes of all stages.

    >>> [(each.stage, each.is_backward, each.end) for each in timeline([(1, 2), (1, 2)], 1)]
    [(0, False, 1.0), (1, False, 2.0), (1, True, 4.0), (0, True, 6.0)]

    Args:
        seconds: of the forward and the backward pass of a micro-batch on each stage.
        micro_batches: number of micro-batches. With several chunks, a multiple of the number of stages.
        chunks: number of chunks of layers of a stage.
    """
    n_stages = len(seconds)
    orders = [[*_order(stage, n_stages, micro_batches, chunks)] for stage in range(n_stages)]
    free, done, ended, found = [0.0] * n_stages, [0] * n_stages, dict[tuple[int, int, bool], float](), list[Pass]()
    last = n_stages * chunks - 1
    while len(found) < sum(map(len, orders)):
        for stage, order in enumerate(orders):
            while done[stage] < len(order):
                chunk, micro_batch, is_backward = order[done[stage]]
                place = chunk * n_stages + stage  # in the model, counted in chunks
                before = (place, False) if place == last else (place + 1, True)  # of a backward pass
                needed = before if is_backward else (place - 1, False)
                ready = 0.0 if needed[0] < 0 else ended.get((needed[0], micro_batch, needed[1]))
                if ready is None:
                    break
                start = max(free[stage], ready)
                free[stage] = start + seconds[stage][is_backward] / chunks
                ended[place, micro_batch, is_backward] = free[stage]
                found.append(Pass(stage, chunk, micro_batch, is_backward, start, free[stage]))
                done[stage] += 1
    return found


def _order(stage: int, n_stages: int, micro_batches: int, chunks: int) -> Iterator[tuple[int, int, bool]]:
    """Yield the chunks and micro-batches of the passes of a stage, and whether they are backward passes."""
    group = n_stages if chunks > 1 else 1
    forward = [
        (chunk, micro_batch)
        for first in range(0, micro_batches, group)
        for chunk in range(chunks)
        for micro_batch in range(first, min(first + group, micro_batches))
    ]
    ahead = (n_stages - stage - 1) * (2 if chunks > 1 else 1) + (chunks - 1) * n_stages
    ahead = min(ahead, len(forward))
    yield from ((*each, False) for each in forward[:ahead])
    for at, (chunk, micro_batch) in enumerate(forward):
        if ahead + at < len(forward):
            yield (*forward[ahead + at], False)
        yield chunks - 1 - chunk, micro_batch, True
