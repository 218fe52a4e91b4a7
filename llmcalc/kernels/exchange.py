"""Exchange of tokens between the ranks of experts on several nodes.

Low-latency kernels send a token over the network once per expert on another node. Other kernels send it once per node,
and distribute it within the node over faster links.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..calc.collectives import Collective
from ..calc.memory.number_formats import BITS_A_BYTE
from ..core.arrays import Number, namespace
from ..core.form import Form
from ..core.type_names import TYPE_CHECKING
from .kernels import Coefficients, Device
from .step_operations import PREFILL
from .tiles import MICRO

if TYPE_CHECKING:
    from ..serving.step.step import StepModel, Values
    from .kernel_costs import KernelCosts

ONE_GROUP = (1, 1)  # of experts, and of those that a token selects
LEAST_BITS, SCALED, SCALE_BITS = 8, 128, 32  # bits of a sent element at least, and elements that share a scale


def distinct(places: Number, chosen: Number) -> Number:
    """Return the expected number of distinct places of ``chosen`` experts of a token."""
    return places * (1 - (1 - 1 / places) ** chosen)


def reachable(places: Number, groups: tuple[int, int]) -> Number:
    """Return the expected number of places whose experts are in the groups that a token selects.

    Each place has experts of one group, or of equally many groups as the others.

    >>> reachable(16, (8, 4)), reachable(8, (8, 4)), round(reachable(4, (8, 4)), 2)
    (8.0, 4.0, 3.14)

    Args:
        places: number of nodes or ranks with equally many experts.
        groups: number of groups of experts, and of those that a token selects.
    """
    number, top = groups
    missed: Number = 1.0  # probability that a token selects no group of a place
    own = namespace(places).maximum(number / places, 1.0)
    for selected in range(top):
        missed = missed * (number - own - selected) / (number - selected)
    return places * (1 - namespace(places).maximum(missed, 0.0))


def exchange(
    token: Number, nodes: Number, ranks: Number, copies: tuple[Number, Number], device: Device, c: Coefficients
) -> Number:
    """Return the time in which the ranks of several nodes send tokens to experts, or their outputs back.

    The network sends to other nodes while faster links distribute tokens inside a node.

    Args:
        token: bytes of all tokens of a rank, once.
        nodes: number of nodes.
        ranks: number of ranks in each node.
        copies: copies of a token that are sent to nodes, and those that are sent to ranks of the own node.
        device: the accelerator.
        c: ``latency_us``, ``network``, ``link``.
    """
    xp = namespace(token, nodes, ranks, device.link)
    network = token * copies[0] * (1 - 1 / nodes) / (device.network * c["network"])
    link = token * copies[1] * (1 - 1 / ranks) / (device.link * c["link"])
    return c["latency_us"] * MICRO + xp.maximum(network, link)


def exchanged_copies(
    chosen: Number, nodes: Number, ranks: Number, groups: tuple[int, int] = ONE_GROUP, *, is_low_latency: bool
) -> tuple[Number, Number]:
    """Return the copies of a token that are sent to nodes, and to ranks of one node.

    Low-latency kernels send it once per expert. Other kernels send it once to each node, and from there to each rank.
    The experts of a token may be in few groups, and thus on few nodes.
    """
    if is_low_latency:
        return chosen, chosen / nodes
    return distinct(reachable(nodes, groups), chosen), distinct(reachable(nodes * ranks, groups), chosen)


def copies(ranks: int, chosen: int, node: int, groups: tuple[int, int] = ONE_GROUP) -> float:
    """Return the expected number of copies of a token that an all-to-all sends to its ``chosen`` experts.

    The experts are on ``ranks`` ranks, with ``node`` ranks in each node. A rank with several of them receives the token
    once. The network sends it once to each other node, whose faster links distribute it.
    """
    nodes = ranks / node
    if nodes <= 1:
        return float(distinct(reachable(ranks, groups), chosen))
    others = (1 - 1 / nodes) / (1 - 1 / ranks)  # in place of the share that leaves a rank
    return float(distinct(reachable(nodes, groups), chosen)) * others


def dispatched_bits(model: StepModel) -> float:
    """Return the bits per element of a token that is sent to experts on other nodes, with its scales.

    It is sent in the format in which the experts compute.
    """
    bits = max((BITS_A_BYTE * model.operands(each).activation_bytes for each in model.routed), default=16.0)
    return bits if bits > LEAST_BITS else LEAST_BITS + SCALE_BITS / SCALED


def chosen_experts(each: Collective) -> int:
    """Return the number of experts to which an all-to-all sends a token, which its tensor has as an axis."""
    assert each.place is not None
    used = {tensor.active[1] for tensor in each.place.declaration.tensors if tensor.active}
    return next((length for axis, length in each.factors if axis in used and isinstance(length, int)), 1)


def training_exchange_seconds(
    model: KernelCosts, each: Collective, values: Mapping[str, Number], *, is_plain: bool
) -> Number:
    """Return the time in which ranks on several nodes send the tokens of a micro-batch to experts, or back.

    A plain all-to-all sends a token once per expert, as kernels with low latency do. The ranks of an expert are
    neighbours, so that a node has fewer ranks of each exchange.
    """
    token = each.elements(**values) / each.times / each.shards / chosen_experts(each) * (each.bits / BITS_A_BYTE)
    return _between_nodes(model, each, token, is_low_latency=is_plain, apart=model.mesh.expert_tp)


def _between_nodes(
    model: KernelCosts, each: Collective, token: Number, *, is_low_latency: bool, apart: int = 1
) -> Number:
    """Return the time in which the ranks send ``token`` bytes of tokens to experts, or their outputs back.

    Args:
        model: the ranks and their accelerators.
        each: the exchange.
        token: bytes of all tokens of a rank, once.
        is_low_latency: whether a token is sent once per expert.
        apart: number of neighbours that belong to different exchanges.
    """
    node = max(model.accelerator.node // apart, 1)
    nodes, own = each.ranks / node, model.coefficients("exchange")
    copies = exchanged_copies(chosen_experts(each), nodes, node, groups_of(each), is_low_latency=is_low_latency)
    return exchange(token, nodes, node, copies, model.device.between(node), own) * (token > 0)


def groups_of(each: Collective) -> tuple[int, int]:
    """Return the number of groups of experts of an all-to-all, and of those that a token selects."""
    assert each.place is not None
    return each.place.entry.layer.expert_groups_of()


def exchange_seconds(
    model: StepModel, phases: Mapping[str, tuple[Collective, Form]], values: Mapping[str, Values]
) -> Number:
    """Return the mean time of sending tokens to experts on several nodes, and of sending their outputs back.

    Tokens are sent in the format in which the experts compute, and outputs in 16 bits. Steps without prefill use
    kernels with low latency.
    """
    first, _ = next(iter(phases.values()))
    chosen, bits = chosen_experts(first), (dispatched_bits(model) + first.bits) / 2
    token = sum(
        form(**values[phase]) / each.times / each.shards / chosen * (bits / BITS_A_BYTE)
        for phase, (each, form) in phases.items() if phase in values
    )  # fmt: skip
    return _between_nodes(model, first, token, is_low_latency=PREFILL not in values)
