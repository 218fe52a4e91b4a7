"""Closed forms of the time of one kernel on one accelerator, in seconds.

The forms contain physics only: waves of tiles over the streaming multiprocessors, bytes over a bandwidth,
exponentials of the softmax, latencies. Their coefficients come from ``efficiency.coefficients``. All sizes are those of
one rank, and may be numbers or NumPy arrays.

A kernel inside an engine's graph reads its operands from memory, and its launch is counted by the step. Engines choose
the fastest kernel for each shape, so that all formats may split the contracted axis and overlap reading with computing,
and they quantise activations where they are computed. With ``alone=True``, a form is that of one kernel in a
micro-benchmark, to which the coefficients are fitted: it includes the launch, the quantisation of activations, and
operands that stay in the L2 cache between repetitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from ..core.arrays import Number, namespace
from ..core.record import changed, record
from .tiles import K_STEP, MICRO, NANO, compiled_tiles, fastest_tiles

Coefficients = Mapping[str, float]

QUERY_TILE = 128  # queries of a tile of attention
KEY_TILE = 256  # cached keys that one multiprocessor reads at least
OVERLAP = 3.0  # norm in which reading and computing add up at least, where an engine chooses the kernel
CLOCK = 1.75e9  # nominal clock cycles per second
EXPONENTIALS = 16 * CLOCK  # exponentials per second of a multiprocessor: 16 a clock, at a nominal clock
SIXTEEN_BIT = 2  # bytes of an output element


@record
class Device:
    """The figures of an accelerator that the forms use.

    Attributes:
        sms: number of streaming multiprocessors.
        bandwidth: bytes per second of the memory.
        l2: bytes of the L2 cache.
        link: bytes per second of the links to the other accelerators of a node, in one direction.
        network: bytes per second of the network of one accelerator, in one direction.
        clock: clock cycles per second of a multiprocessor.
        joined: largest number of accelerators between which there are ``link``.
        bus: bytes per second between those of larger groups of a node, in one direction.
    """

    sms: Number
    bandwidth: Number
    l2: Number
    link: Number
    network: Number = 50e9
    clock: Number = CLOCK
    joined: Number = inf
    bus: Number = 0.0

    def between(self, ranks: int) -> Device:
        """Return the accelerator with the links of a group of ``ranks`` neighbours of a node.

        >>> card = Device(sms=108, bandwidth=2e12, l2=40e6, link=300e9, joined=2, bus=32e9)
        >>> card.between(2).link, card.between(4).link
        (300000000000.0, 32000000000.0)
        """
        return self if ranks <= self.joined else changed(self, link=self.bus)


def rate(device: Device, c: Coefficients, moved: Number, alone: bool) -> Number:
    """Return the bytes per second at which a kernel reads its operands."""
    memory = device.bandwidth * c["memory"]
    if not alone:
        return memory
    uncached = namespace(moved, device.l2).clip((moved / device.l2 - 0.9) / 0.5, 0.0, 1.0)
    return memory * c["cache"] ** (1 - uncached)


def gemm(
    m: Number, n: Number, k: Number, weight_bytes: Number, device: Device, peak: Number, c: Coefficients, *,
    activation_bytes: float = SIXTEEN_BIT, batch: Number = 1, alone: bool = False,
) -> Number:  # fmt: skip
    """Return the time of ``batch`` products of ``m`` x ``k`` activations and ``k`` x ``n`` weights.

    The multiprocessors compute whole waves of tiles. A tile takes its FLOPs over the share of the peak, or the latency
    of its steps along ``k`` or of loading its operands. The library chooses the size of the tiles (``tiles.py``).

    Args:
        m: rows, usually tokens.
        n: columns of one matrix.
        k: contracted elements.
        weight_bytes: bytes of all ``batch`` matrices, with their scales.
        device: the accelerator.
        peak: FLOP/s of the format that the kernel computes in.
        c: ``compute``, ``memory``, ``sharpness``, ``quantise`` (and ``launch_us``, ``cache``), and those of the tiles.
        activation_bytes: bytes of an element of the activations.
        batch: number of products, such as heads.
        alone: whether the kernel is measured alone.
    """
    rows = batch * m
    moved = weight_bytes + rows * k * activation_bytes + rows * n * SIXTEEN_BIT
    bandwidth = rate(device, c, moved, alone)
    flops = peak / device.sms * c["compute"]
    if "load_gb" in c:
        best = compiled_tiles(m, n, k, batch, device.sms, flops, activation_bytes, c)
    else:
        best = fastest_tiles(m, n, k, batch, device.sms, flops, device.bandwidth * c["memory"], c, alone)
    power = c["sharpness"] if alone else max(c["sharpness"], OVERLAP)
    time = (best**power + (moved / bandwidth) ** power) ** (1 / power)
    if alone:
        time = time + rows * k * c["quantise"] / bandwidth + c["launch_us"] * MICRO
    return time


def grouped_gemm(
    rows: Number, touched: Number, experts: Number, elements: Number, width: Number, inner: Number,
    weight_bytes: Number, device: Device, peak: Number, c: Coefficients, *, alone: bool = False, launched: bool = False,
) -> Number:  # fmt: skip
    """Return the time of the experts of one rank, with the permutation of their rows.

    Args:
        rows: tokens that the experts of the rank receive, counted once per expert.
        touched: experts that receive tokens.
        experts: experts of the rank.
        elements: elements of all matrices of one expert (of this rank's part).
        width: elements of a token.
        inner: elements of a token inside an expert.
        weight_bytes: bytes of all matrices of one expert.
        device: the accelerator.
        peak: FLOP/s of the format that the kernel computes in.
        c: ``compute``, ``memory``, ``sharpness``, ``copies``, ``touched_us``, ``expert_us`` (and ``step_ns``,
            ``launch_us``, ``cache``).
        alone: whether the kernel is measured alone.
        launched: whether the launches inside the layer count, which the step doesn't count for such kernels.
    """
    xp = namespace(rows, touched, experts, device.bandwidth)
    each = rows / touched
    padded = 0.5 * touched * xp.ceil(each / 64) * 64 + 0.5 * xp.maximum(rows, touched * 16)
    weights = touched * weight_bytes
    computing = 2.0 * padded * elements / (peak * c["compute"])
    reading = weights / rate(device, c, weights, alone)
    power = c["sharpness"]
    time = (computing**power + reading**power) ** (1 / power)
    time = time + c["copies"] * rows * 6.0 * (width + inner) / device.bandwidth
    time = time + MICRO * c["touched_us"] * touched
    if "step_ns" in c:  # a multiprocessor computes the steps along both contracted axes one after another
        time = time + NANO * c["step_ns"] * (xp.ceil(width / K_STEP) + xp.ceil(inner / K_STEP))
    return time + MICRO * (c["launch_us"] + c["expert_us"] * experts) if alone or launched else time


def touched_experts(rows: Number, experts: Number) -> Number:
    """Return the expected number of distinct experts that receive ``rows`` independent rows."""
    return experts * (1 - (1 - 1 / experts) ** rows)


def busiest_rank(tokens: Number, chosen: Number, experts: Number, ranks: Number) -> tuple[Number, Number]:
    """Return the expected rows and touched experts of the rank that receives most, of ``ranks`` with equal experts.

    Tokens choose experts independently, so that the rows of a rank have a mean of ``tokens · chosen / ranks`` and about
    the same variance. The expected maximum over the ranks follows from it: no coefficient describes the imbalance.
    """
    xp = namespace(tokens, chosen, experts, ranks)
    local = experts / ranks
    rows = tokens * chosen / ranks
    touched = local * (1 - (1 - chosen / experts) ** tokens)
    spread = xp.sqrt(2 * xp.log(xp.maximum(ranks, 1)) * (1 - 1 / ranks))
    rows = xp.minimum(rows + spread * xp.sqrt(rows), tokens * xp.minimum(chosen, local))
    touched = touched + spread * xp.sqrt(xp.maximum(touched * (1 - touched / local), 0.0))
    touched = xp.minimum(xp.minimum(touched, local), xp.maximum(rows, 1))
    return rows, xp.maximum(touched, 1e-9)


def attention_prefill(
    sequences: Number, queries: Number, pairs: Number, longest: Number, heads: Number, key_heads: Number,
    key_width: Number, value_width: Number, device: Device, peak: Number, c: Coefficients, *,
    cache_bytes: Number = SIXTEEN_BIT, alone: bool = False,
) -> Number:  # fmt: skip
    """Return the time of attention for new tokens, with the softmax but without projections.

    The products and the exponentials of the softmax overlap, so that both count (in a norm of 3). Tiles on the diagonal
    of the mask are computed in full.

    Args:
        sequences: number of sequences.
        queries: new tokens of a sequence.
        pairs: visible pairs of queries and keys of a sequence.
        longest: keys that the last query sees.
        heads: query heads.
        key_heads: heads of keys and values.
        key_width: elements of a query and of a key.
        value_width: elements of a value.
        device: the accelerator.
        peak: FLOP/s of the format that the kernel computes in.
        c: ``compute``, ``exponentials``, ``ramp``, ``tile_us``, ``copies`` (and ``launch_us``).
        cache_bytes: bytes of an element that is written to the cache.
        alone: whether the kernel is measured alone.
    """
    xp = namespace(sequences, queries, pairs, longest, heads, device.bandwidth)
    edges = xp.where(longest >= queries, 0.5, 1.0)  # the start of a sliding window is a second diagonal
    tiled = pairs + queries * QUERY_TILE * edges
    row = (longest + QUERY_TILE) * QUERY_TILE
    each = 2.0 * (key_width + value_width) / (peak / device.sms * c["compute"])
    exponential = 1 / (EXPONENTIALS * c["exponentials"])
    pair = (each**3 + exponential**3) ** (1 / 3)  # seconds of a pair on one multiprocessor
    shortest = max(QUERY_TILE, (QUERY_TILE * c["ramp"]) ** 0.5)  # fewer keys take no more time than this number
    ramp = 1 + c["ramp"] / xp.maximum(longest, shortest)
    time = pair * xp.maximum(sequences * heads * tiled / device.sms, row) * ramp
    tiles = xp.maximum(sequences * heads * xp.ceil(queries / QUERY_TILE) / device.sms, 1)
    moved = prefill_bytes(sequences * queries, heads, key_heads, key_width + value_width, cache_bytes)
    time = time + c["tile_us"] * MICRO * tiles + c["copies"] * moved / device.bandwidth
    return time + c["launch_us"] * MICRO if alone else time


def prefill_bytes(tokens: Number, heads: Number, key_heads: Number, elements: Number, cache_bytes: Number) -> Number:
    """Return the bytes of new tokens that attention moves: queries, outputs, and keys and values for the cache.

    ``elements`` are those of a key and a value.
    """
    return tokens * (elements / 2) * (4 * heads + 2 * key_heads * (SIXTEEN_BIT + cache_bytes))


def attention_decode(
    sequences: Number, keys: Number, heads: Number, key_heads: Number, key_width: Number, value_width: Number,
    device: Device, peak: Number, c: Coefficients, *, cache_bytes: Number = SIXTEEN_BIT, alone: bool = False,
) -> Number:  # fmt: skip
    """Return the time of attention of one new token per sequence, which reads the keys and values of the cache.

    Args:
        sequences: number of sequences.
        keys: keys that the token sees in each sequence.
        heads: query heads.
        key_heads: heads of keys and values.
        key_width: elements of a key.
        value_width: elements of a value.
        device: the accelerator.
        peak: FLOP/s of the format that the kernel computes in.
        c: ``compute``, ``memory``, ``group_us``, ``stream``, ``splits`` (and ``launch_us``, ``cache``).
        cache_bytes: bytes of an element of the cache.
        alone: whether the kernel is measured alone.
    """
    xp = namespace(sequences, keys, heads, key_heads, device.bandwidth)
    elements = key_width + value_width
    cached, own = sequences * keys * key_heads * elements * cache_bytes, 2.0 * sequences * heads * elements
    flops = 2.0 * sequences * (xp.maximum(16, heads / key_heads) * key_heads) * elements * keys
    return stream(sequences * key_heads, keys, cached, own, flops, device, peak, c, alone)


def latent_attention_decode(
    sequences: Number, keys: Number, heads: Number, latent: Number, rotary: Number, device: Device, peak: Number,
    c: Coefficients, *, cache_bytes: Number = SIXTEEN_BIT, alone: bool = False,
) -> Number:  # fmt: skip
    """Return the time of attention of one new token per sequence to latents that all heads share.

    Args:
        sequences: number of sequences.
        keys: latents that the token sees in each sequence.
        heads: query heads.
        latent: elements of a latent, which are the keys and the values.
        rotary: elements of a key with a position.
        device: the accelerator.
        peak: FLOP/s of the format that the kernel computes in.
        c: as for ``attention_decode``.
        cache_bytes: bytes of an element of the cache.
        alone: whether the kernel is measured alone.
    """
    xp = namespace(sequences, keys, heads, device.bandwidth)
    elements = 2 * latent + rotary
    cached, own = sequences * keys * (latent + rotary) * cache_bytes, 2.0 * sequences * heads * elements
    flops = 2.0 * sequences * xp.maximum(heads, 64) * elements * keys
    return stream(sequences * xp.ceil(heads / 64), keys, cached, own, flops, device, peak, c, alone)


def stream(
    groups: Number, keys: Number, cached: Number, own: Number, flops: Number, device: Device, peak: Number,
    c: Coefficients, alone: bool,
) -> Number:  # fmt: skip
    """Return the time of reading a cache: ``groups`` of heads and sequences, each split along its keys.

    A part that is not full takes as long as a full one, so that the parts are counted as if all were full. Each part
    has the queries and outputs of its group (``own`` bytes of all groups).
    """
    xp = namespace(groups, keys, device.bandwidth)
    most, moved = 4 * device.sms, cached + own
    readers = xp.minimum(groups * xp.clip(keys / KEY_TILE, 1.0, c["splits"]), most)
    whole = moved / rate(device, c, moved, alone)
    each = (cached / readers + own / xp.minimum(groups, most)) / (c["stream"] * 1e9)
    computing = flops / (peak * c["compute"]) * device.sms / xp.minimum(readers, device.sms)
    time = (whole**4 + each**4 + computing**4) ** 0.25
    time = time + c["group_us"] * MICRO * xp.ceil(groups / device.sms)
    return time + c["launch_us"] * MICRO if alone else time


def state_update(moved: Number, elements: Number, device: Device, c: Coefficients, *, alone: bool = False) -> Number:
    """Return the time of one step of recurrences.

    Args:
        moved: bytes that are read and written.
        elements: elements of all states, which the multiprocessors update one by one.
        device: the accelerator.
        c: ``memory``, ``element_ns`` (and ``launch_us``).
        alone: whether the kernel is measured alone.
    """
    moving = moved / (device.bandwidth * c["memory"])
    computing = elements * c["element_ns"] * NANO / device.sms
    time = (moving**4 + computing**4) ** 0.25
    return time + c["launch_us"] * MICRO if alone else time


def scan(
    tokens: Number, channels: Number, lanes: Number, device: Device, c: Coefficients, *,
    sequences: Number = 1, alone: bool = False,
) -> Number:  # fmt: skip
    """Return the time of a recurrence over ``tokens`` per sequence, in chunks.

    A chunk waits for the state of the chunk before it. All other work of the chunks is divided over the
    multiprocessors.

    Args:
        tokens: tokens of a sequence.
        channels: elements of a token that the scan reads and writes.
        lanes: independent recurrences of a sequence, usually heads.
        device: the accelerator.
        c: ``memory``, ``chunk_us``, ``wait_us`` (and ``launch_us``).
        sequences: number of sequences.
        alone: whether the kernel is measured alone.
    """
    chunks = namespace(tokens, channels, lanes, sequences, device.bandwidth).ceil(tokens / 64)
    moving = sequences * tokens * channels * 4 / (device.bandwidth * c["memory"])
    computing = sequences * lanes * chunks * c["chunk_us"] * MICRO / device.sms
    waiting = chunks * c["wait_us"] * MICRO
    time = (moving**3 + computing**3 + waiting**3) ** (1 / 3)
    return time + c["launch_us"] * MICRO if alone else time


def convolution(
    tokens: Number, channels: Number, device: Device, c: Coefficients, *, sequences: Number = 1, alone: bool = False
) -> Number:
    """Return the time of a depthwise convolution over ``tokens`` per sequence.

    Args:
        tokens: tokens of a sequence.
        channels: channels, each with its own filter.
        device: the accelerator.
        c: ``memory``, ``channel_ns`` (and ``launch_us``).
        sequences: number of sequences.
        alone: whether the kernel is measured alone.
    """
    moving = sequences * tokens * channels * 4 / (device.bandwidth * c["memory"])
    starting = c["channel_ns"] * NANO * sequences * channels
    time = (moving**3 + starting**3) ** (1 / 3)
    return time + c["launch_us"] * MICRO if alone else time


def elementwise(moved: Number, device: Device, c: Coefficients) -> Number:
    """Return the time of a kernel without contractions that reads and writes ``moved`` bytes."""
    return moved / (device.bandwidth * c["memory"])


# of (n - 1) / n of the bytes
TRAFFIC = {"all-reduce": 2.0, "all-gather": 1.0, "reduce-scatter": 1.0, "all-to-all": 1.0}


def collective(kind: str, ranks: Number, moved: Number, device: Device, c: Coefficients) -> Number:
    """Return the time of a collective of ``ranks`` ranks in a node.

    The latency grows with the ranks. The time of the bytes changes by the factor ``doubling`` when the ranks double.
    Filling the pipeline adds up to ``fill_us``, reached at sizes above ``full_kb``.

    Args:
        kind: ``all-reduce``, ``all-gather``, ``reduce-scatter``, ``all-to-all``, or ``send``.
        ranks: number of ranks.
        moved: bytes of the whole tensor.
        device: the accelerator.
        c: ``latency_us``, ``rank_us``, ``link``, ``doubling``, ``reduction``, ``fill_us``, ``full_kb``.
    """
    if kind == "send":
        return c["latency_us"] * MICRO + moved / (device.link * c["link"])
    xp = namespace(ranks, moved, device.link)
    traffic = TRAFFIC[kind]
    latency = (c["latency_us"] + c["rank_us"] * (ranks - 1) * traffic) * MICRO
    sent = moved * traffic * (ranks - 1) / ranks * c["doubling"] ** xp.log2(ranks / 2)
    if kind == "all-reduce":  # below 1: the switch adds
        sent = sent * c["reduction"]
    filling = c["fill_us"] * MICRO * moved / (moved + c["full_kb"] * 1e3)
    return latency + sent / (device.link * c["link"]) + filling


def engine_all_reduce(ranks: Number, moved: Number, device: Device, c: Coefficients) -> Number:
    """Return the time of an all-reduce of inference engines, whose ranks read from the memory of each other.

    Either every rank reads the tensors of all others, or it adds a part of them and then reads the other sums. Larger
    tensors are left to the library of collectives.

    Args:
        ranks: number of ranks.
        moved: bytes of the whole tensor.
        device: the accelerator.
        c: ``latency_us``, ``rank_us``, ``second_us``, ``link``.
    """
    xp = namespace(ranks, moved, device.link)
    latency, link = (c["latency_us"] + c["rank_us"] * (ranks - 1)) * MICRO, device.link * c["link"]
    one_step = moved * (ranks - 1) / link
    two_steps = 2 * moved * (ranks - 1) / ranks / link + c["second_us"] * MICRO
    return latency + xp.minimum(one_step, two_steps)
