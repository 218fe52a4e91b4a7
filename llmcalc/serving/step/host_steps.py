"""Steps of llama.cpp with a part of the model in host memory.

The host computes what is in its memory if a step has few tokens. It reads the weights, the keys and the values at a
share of the bandwidth of its memory:

    step = on GPUs + bytes / (share · bandwidth) + crossings · crossing

A step with many tokens copies the weights to a GPU, which computes with them, so that the time of the transfer adds to
that of the kernels. Attention of layers in host memory is computed by the host, because only operations with weights
are moved (ggml-backend.cpp).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...core.arrays import Number, namespace
from ...core.interval import Interval
from ...core.record import changed, record
from ...engines.llama_cpp_weights import HostShares
from ...estimate.hardware import Accelerator
from ...kernels.cost import Cost, StepTime
from ...kernels.operations import Attention, GroupedGemm, Operation, Recurrence
from ...kernels.tiles import GIGA, MICRO
from ..start.llama_cpp_models import MANY_TOKENS
from .step import StepModel, Values


@record
class Host:
    """Rates of the host and of its link to a GPU.

    Attributes:
        bandwidth: bytes per second of the memory, with the range of usual computers.
        title: the memory that is assumed, or empty if it is that of the GPU.
        share: share of the bandwidth at which weights are read.
        flops: FLOP/s of attention.
        link: bytes per second of the transfer of weights to a GPU.
        crossing: seconds of the way from a GPU to the host and back.
    """

    bandwidth: Interval
    title: str
    share: float
    flops: float
    link: float
    crossing: float


def read_host(entry: Mapping[str, Any], accelerator: Accelerator) -> Host:
    """Return the rates of the host of an accelerator, from ``data/engine_steps.yaml``."""
    bandwidth = Interval(*(entry["memory_gb"][name] * GIGA for name in ("low", "best", "high")))
    title, links = entry["memory"], entry["link_gb"]
    link = links.get(accelerator.generation, links["others"]) * GIGA
    if accelerator.shared_bytes and accelerator.bandwidth:  # GPU and host share one memory
        bandwidth, link, title = Interval.exact(accelerator.bandwidth), accelerator.bandwidth, ""
    return Host(
        bandwidth=bandwidth,
        title=title,
        share=entry["reading"],
        flops=entry["gflops"] * GIGA,
        link=link,
        crossing=entry["crossing_us"] * MICRO,
    )


class HostSteps(StepModel):
    """Steps of a rank with a part of the model in host memory.

    Attributes:
        shares: what is in host memory.
        host: rates of the host.
    """

    def __init__(self, shares: HostShares, host: Host, *sizes: Any) -> None:
        super().__init__(*sizes)
        self.shares, self.host = shares, host
        if host.title:
            usual = f"{host.bandwidth.low / GIGA:.0f} to {host.bandwidth.high / GIGA:.0f} GB/s in the interval"
            link = f"weights cross a link of {host.link / GIGA:.0f} GB/s in steps of at least {MANY_TOKENS} tokens"
            rate = f"{host.bandwidth.best / GIGA:g} GB/s, {host.title} ({usual})"
            self.notes = (f"the bandwidth of host memory is assumed: {rate}; {link}",)

    def placed_cost(self, operation: Operation, weight_bytes: float, cost: Cost, values: Mapping[str, Values]) -> Cost:
        """Return the cost of an operation of which a share is in host memory."""
        is_core = isinstance(operation, Attention | Recurrence)
        share = self.shares.layers if is_core else self.shares.components.get(operation.component, 0.0)
        if not share:
            return cost
        tokens = sum(own["b"] * own["q"] for own in values.values())
        few = cost.moved / (self.host.bandwidth.best * self.host.share)
        where = namespace(tokens, few).where
        if is_core:
            many = namespace(few, cost.flops).maximum(few, cost.flops / self.host.flops)
        else:
            many = cost.seconds + self.touched_bytes(operation, weight_bytes, tokens) / self.host.link
        seconds = where(tokens < MANY_TOKENS, few, many)
        read = where(tokens < MANY_TOKENS, cost.moved / self.host.bandwidth.best, cost.memory)
        return cost._replace(
            seconds=(1 - share) * cost.seconds + share * seconds, memory=(1 - share) * cost.memory + share * read
        )

    def touched_bytes(self, operation: Operation, weight_bytes: float, tokens: Number) -> Number:
        """Return the bytes of the weights that tokens are multiplied with."""
        if not isinstance(operation, GroupedGemm):
            return weight_bytes
        return weight_bytes * self.received(tokens, operation)[1] / operation.experts

    def with_bandwidth(self, bandwidth: float) -> HostSteps:
        """Return the same steps with another bandwidth of the host."""
        from copy import copy  # only for steps that another rate changes

        found = copy(self)
        found.host = changed(self.host, bandwidth=Interval.exact(bandwidth))
        return found

    def assumed_ranges(self) -> Iterator[tuple[str, StepModel, StepModel]]:
        """Yield what is assumed about the host, with the steps at the slow and the fast end of its range."""
        if self.host.title:
            slowest, fastest = map(self.with_bandwidth, (self.host.bandwidth.low, self.host.bandwidth.high))
            yield "the bandwidth of host memory is assumed", slowest, fastest
        yield from super().assumed_ranges()

    def step(self, *args: Any, **settings: Any) -> StepTime:
        """Return the time of a step, as ``StepModel.step`` does."""
        found = super().step(*args, **settings)
        return found._replace(launches=found.launches + self.shares.crossings * self.host.crossing)
