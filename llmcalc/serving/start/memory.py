"""Memory of one GPU as a serving engine divides it: weights, activations, runtime, CUDA graphs and the KV cache."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from ...core.interval import Interval
from ...core.record import NamedTuple, record
from ...core.type_names import Any
from ...engines.profile import GIB, EngineProfile

FP32 = 4  # bytes
MIB = 2**20
MANY_RANKS = 4  # from which on SGLang captures CUDA graphs for more sequences
CAPTURED = (1, 2, 4, *range(8, 256, 8), *range(256, 513, 16))  # tokens of the CUDA graphs of vLLM
LEAST_STEP, LARGE = 2048, 60 * 1024  # tokens for which SGLang reserves at least; MiB of a large GPU


@record
class ModelBytes:
    """Sizes of a model on one rank, in bytes.

    Attributes:
        weights: weights with the padding of the engine's kernels.
        forward: live activations of the largest block in a step of ``max_num_batched_tokens`` tokens.
        hidden: hidden states of such a step.
        sampled: hidden states of ``max_num_seqs`` tokens, or 0 on a stage that does not sample.
        logits: number of logits of ``max_num_seqs`` tokens, or 0 on a stage that does not sample.
        experts: buffers of the routed experts of such a step.
        width: bytes of an activation.
        is_parallel: whether ranks exchange activations within a layer.
        refusals: matrices that kernels do not accept on this number of ranks.
        staged: largest matrix in host memory, which llama.cpp copies to the GPU to compute with many tokens.
        offloaded: part of the weights that is in host memory.
        extras: what is loaded beside the weights, such as buffers of adapters, by name.
        encoder: weights of the image encoder.
        encoding: live activations of the encoder in a run over the largest images.
        images: values of the pixels and embeddings of these images.
        received: buffers for what an earlier pipeline stage sends in such a step.
        layers: number of layers.
        workspace: what the engine keeps for prefills of layers with compressed tokens.
        scores: scores of an indexer in a step.
        buffers: embeddings of a step as input of the model, and hidden states and embeddings as input of what drafts.
    """

    weights: int
    forward: int
    hidden: int
    logits: int
    experts: int = 0
    width: int = 2
    is_parallel: bool = False
    refusals: tuple[str, ...] = ()
    staged: int = 0
    offloaded: Interval = Interval(0, 0, 0)
    extras: tuple[tuple[str, Interval], ...] = ()
    encoder: int = 0
    encoding: int = 0
    images: int = 0
    received: int = 0
    sampled: int = 0
    layers: int = 0
    buffers: int = 0
    workspace: int = 0
    scores: int = 0

    @property
    def resident(self) -> Interval:
        """Weights on the GPU, including those of the image encoder."""
        return Interval.exact(self.weights + self.encoder) - self.offloaded

    @property
    def loaded(self) -> Interval:
        """Everything that is loaded on the GPU."""
        return sum((size for _, size in self.extras), self.resident)


@record
class MemoryDivision:
    """Division of the memory of one GPU, in bytes.

    Attributes:
        total: memory of the GPU.
        budget: part of the memory that the engine uses.
        weights: weights of the rank.
        activation: peak of the profile run, or the part that the engine keeps free for activations.
        non_torch: CUDA context growth and communication buffers, and since vLLM 0.27 what its runner allocates.
        graphs: CUDA graphs. Some engines capture them outside of the budget.
        available: memory for the KV cache.
        extras: what is loaded beside the weights, by name.
    """

    total: int
    budget: int
    weights: Interval
    activation: Interval
    non_torch: Interval
    graphs: Interval
    counts_graphs: bool
    available: Interval
    extras: tuple[tuple[str, Interval], ...] = ()

    @property
    def loaded(self) -> Interval:
        """Weights and what is loaded beside them, as the log of an engine counts them."""
        return sum((size for _, size in self.extras), self.weights)


class HostMemory(NamedTuple):
    """Memory of the host that an engine takes for all ranks, in bytes, by what it stores."""

    parts: tuple[tuple[str, Interval], ...] = ()

    @property
    def total(self) -> Interval:
        """Sum of all parts."""
        return sum((size for _, size in self.parts), Interval.exact(0))

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Return the parts and their sum as a plain dictionary."""
        return {name.replace(" ", "_").lower(): size.to_dict() for name, size in (*self.parts, ("total", self.total))}


def profiled(model: ModelBytes, total: int, profile: EngineProfile) -> MemoryDivision:
    """Return the division of an engine that measures a profile run.

    The peak of the profile run is that of the forward pass or of the sampler. While a compiled part of the model runs,
    its caller holds the tensors that it reads. The sampler holds copies of the logits and of the hidden states of
    sampled tokens while the hidden states and the buffers of the experts stay allocated. Before, an image encoder
    reads the largest images, which then stay allocated, like the buffers for what an earlier pipeline stage sends. The
    KV cache gets the rest of the budget, which is a share of the whole memory.
    """
    constant, settings = profile.constant, profile.settings
    sampler = constant("logits").scaled(FP32 * model.logits) + Interval.exact(model.width * model.logits)
    sequences = settings["max_num_seqs"]  # of the buffer of a top-k kernel: one row of logits per program at most
    sampler += constant("top_k_rows").each(lambda rows: min(rows, sequences) * FP32 * model.logits / sequences)
    sampler += Interval.exact(model.hidden) + constant("sampled").scaled(model.sampled)
    sampler += constant("experts").scaled(model.experts)
    forward = constant("forward").scaled(model.forward) + constant("held").scaled(model.hidden)
    forward += constant("benchmark").scaled(GIB) + Interval.exact(model.scores)
    encoder = constant("encoder").scaled(model.encoding)
    peak = sampler.each(max, forward, encoder) + constant("workspace").scaled(GIB)
    peak += Interval.exact(model.images + model.received + model.workspace)
    non_torch = constant("non_torch_parallel" if model.is_parallel else "non_torch").scaled(GIB)
    if settings["counts_buffers"]:
        non_torch += Interval.exact(model.buffers)
    captured = constant("graph_layer").scaled(MIB * model.layers * captured_graphs(settings))
    captured += constant("graph_pool").scaled(GIB)
    captured = Interval.exact(0) if settings.get("enforce_eager") else captured
    budget = int(total * settings["share"])
    used = model.loaded + peak + non_torch
    if settings["counts_graphs"]:
        used += captured
    fixed = settings.get("kv_cache_memory")
    available = Interval.exact(fixed) if fixed else Interval.exact(budget) - used
    return MemoryDivision(
        total, budget, model.resident, peak.rounded(), non_torch.rounded(), captured.rounded(),
        settings["counts_graphs"], available.rounded(), model.extras,
    )  # fmt: skip


def captured_graphs(settings: Mapping[str, Any]) -> int:
    """Return the number of CUDA graphs that vLLM captures (config/vllm.py).

    Graphs of parts between attention layers are captured for twice as many tokens as a decode step has, and graphs of
    the whole model for those of a decode step.

    >>> captured_graphs({"max_num_seqs": 256, "max_num_batched_tokens": 8192})
    86
    """
    decoded = settings["max_num_seqs"] * (1 + settings.get("kept_drafts", 0))
    most = (min(2 * decoded, settings["max_num_batched_tokens"]), decoded)
    return sum(bisect_right(CAPTURED, limit) for limit in most)


def static(model: ModelBytes, total: int, profile: EngineProfile) -> MemoryDivision:
    """Return the division of an engine that shares the memory that is free before it loads the model.

    Weights and KV cache get a share of this memory, and activations and CUDA graphs get the rest.
    """
    constant, share = profile.constant, profile.settings["share"]
    runtime = _runtime(model, profile)
    free = Interval.exact(total) - runtime
    weights, loaded = (size + constant("loading").scaled(GIB) for size in (model.resident, model.loaded))
    usable = free.scaled(share)
    return _division(model, total, free.scaled(1 - share), runtime, usable - loaded, int(usable.best), weights)


def summed(model: ModelBytes, total: int, profile: EngineProfile) -> MemoryDivision:
    """Return the division of an engine that allocates what it needs: the KV cache can take what the rest leaves.

    The compute buffer holds the logits and the hidden states of a step, or the activations of a block, and copies of
    matrices in host memory.
    """
    constant = profile.constant
    forward = constant("forward").scaled(model.forward)
    logits = Interval.exact(FP32 * model.logits + FP32 // model.width * model.hidden)
    compute, runtime = logits.each(max, forward), _runtime(model, profile)
    if model.staged:
        compute += constant("staged").scaled(model.staged)
    return _division(model, total, compute, runtime, Interval.exact(total) - (model.loaded + compute + runtime))


def after_loading(model: ModelBytes, total: int, profile: EngineProfile) -> MemoryDivision:
    """Return the division of an engine whose KV cache gets a share of what is free after loading and a profile run."""
    constant, share = profile.constant, profile.settings["share"]
    runtime = _runtime(model, profile)
    logits, forward = constant("logits").scaled(FP32 * model.logits), constant("forward").scaled(model.forward)
    peak = logits.each(max, forward)
    left = Interval.exact(total) - (model.loaded + peak + runtime)
    return _division(model, total, peak, runtime, left.each(lambda size: max(size, 0) * share - max(-size, 0)))


def _division(
    model: ModelBytes, total: int, activation: Interval, runtime: Interval, available: Interval,
    budget: int | None = None, weights: Interval | None = None,
) -> MemoryDivision:  # fmt: skip
    """Return the division of an engine whose CUDA graphs are a part of other memory. By default, it uses all memory."""
    return MemoryDivision(
        total, total if budget is None else budget, (weights or model.resident).rounded(), activation.rounded(),
        runtime.rounded(), Interval.exact(0), False, available.rounded(), model.extras,
    )  # fmt: skip


def _runtime(model: ModelBytes, profile: EngineProfile) -> Interval:
    """Return what the CUDA context and the libraries of collectives take."""
    return profile.constant("runtime_parallel" if model.is_parallel else "runtime").scaled(GIB)


def default_share(settings: Mapping[str, Any], total: int, ranks: int, draft: str = "") -> float:
    """Return the share of the memory that an engine uses unless it is set. ``draft`` is the method of drafting.

    The default depends on the number of ranks, or is what remains after a reserve for activations and CUDA graphs.
    """
    if settings.get("share") is not None:
        by_ranks = {int(least): share for least, share in settings.get("shares", {}).items() if ranks >= int(least)}
        return float(by_ranks[max(by_ranks)] if by_ranks else settings["share"])
    size = total / MIB
    return float(round(1 - _reserve(settings, size, ranks, draft) / size, 3))


def _reserve(settings: Mapping[str, Any], size: float, ranks: int, draft: str) -> float:
    """Return the MiB that an engine reserves on a GPU of ``size`` MiB."""
    reserve, graphs = settings["reserve"], settings["graph_sequences"]
    for_draft = reserve.get("draft", {}).get(draft, 0)
    if "sizes" in reserve:  # by the memory of the GPU
        entry = next(entry for entry in reserve["sizes"] if size < entry["below"] * GIB / MIB)
        return float(entry["base"] + entry["per_rank"] * ranks + for_draft)
    n_graphs = graphs[ranks >= MANY_RANKS] if isinstance(graphs, list) else graphs
    kept = reserve["base"] + reserve["per_token"] * max(settings["max_num_batched_tokens"], LEAST_STEP)
    kept += reserve["per_graph"] * n_graphs + reserve["per_rank"] * ranks + for_draft
    return float(max(kept, reserve["least"]) if size > LARGE else kept)


def share_with_encoder(rule: Mapping[str, Any], n_layers: int | None, width: int | None) -> float:
    """Return the factor of the share of a model with an image encoder.

    A larger encoder leaves less. Sizes that are not known are those of the encoder for which the rule was made.
    """
    size = (n_layers or rule.get("layers", 1)) * (width or rule.get("width", 1)) ** 2
    growth = size / (rule.get("layers", 1) * rule.get("width", 1) ** 2) - 1
    factor = 1 - rule.get("slope", 0) * growth
    return float(rule["base"] * max(rule.get("least", 1), min(rule.get("most", 1), factor)))


STATIC = "static"  # rule by which activations and the runtime are outside of the budget
PROFILED = "profiled"  # rule by which a run over the largest step is measured before the start
RULES = {PROFILED: profiled, STATIC: static, "free": after_loading, "sum": summed}
