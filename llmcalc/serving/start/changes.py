"""Changed settings of a serving engine with which a model starts, or with which the GPUs store all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ...core.record import NOTHING
from ...data import tables
from ...engines.hardware import refuses_dtype
from ...engines.settings import LENGTH, divided_experts, smaller_format, smaller_weights, states_all
from ...estimate.hardware import NODE, usual_counts
from ...fitting.advice import Change, Settings, advice, first_enough, tried
from .llama_cpp_fit import longest_context, placements

if TYPE_CHECKING:
    from .start import Start

FEWEST, SHORT = 256, 32_768  # tokens of the shortest suggested context, and of one that is tried with others
FEW_TOKENS, FEW_SEQUENCES = 512, 16  # of a step
MOST_TIMES = 8  # as many GPUs
MOST_RANKS = 256  # tensor-parallel ranks of a suggestion
GPUS = "gpus"  # number of GPUs in a change
LAYOUT = frozenset({"tp", "pp"})


def start_changes(result: Start, predict: Callable[[Settings], Start]) -> Iterator[Change]:
    """Yield changes with which the engine starts for sure and chooses no settings so that it does."""

    def kinds(_: object) -> Iterator[list[Settings]]:
        for candidate in _candidates(result):
            change = {name: value for name, value in candidate.items() if result.settings.get(name) != value}
            if all(_is_stated(result, name, value) for name, value in change.items()):
                yield [change]

    def attempt(change: Settings) -> Change:
        found = predict(change)
        return Change(change, _as_read(result, change, found) if found.is_whole else found)

    return advice(kinds, attempt, _is_whole, _repeats)


def _as_read(result: Start, change: Settings, found: Start) -> Start:
    """Return how the engine starts with the command line that states a change, if one does."""
    read, deployed = result.deployment.reader, found.deployment
    is_line = read is not None and not deployed.is_ollama and states_all(result, change)
    return read(result.line(change), deployed.gpus).start() if read and is_line else found


def _is_whole(one: Start) -> bool:
    return one.is_whole


def _repeats(change: Settings, found: Settings) -> bool:
    """Return whether a change has the settings of another one in a layout of its own, or all of it on more GPUs."""
    names = found.keys() - LAYOUT
    if found.get(GPUS, 0) > change.get(GPUS, 0):
        return False
    own = {name: found[name] for name in names if name != GPUS}
    return names == change.keys() - LAYOUT or (bool(names) and own.items() <= change.items())


def _is_stated(result: Start, name: str, value: object) -> bool:
    """Return whether a command states a change, unlike weights that only another checkpoint has."""
    if result.deployment.is_ollama:
        return name in (LENGTH, "cache", "cache_v")
    return name == GPUS or result.offer({name: value}) != result.offer({})


def _candidates(result: Start) -> Iterator[Settings]:
    """Yield changed settings that need less memory, or use more of it, in the order of what they cost."""
    changes = _of_llama_cpp(result) if result.placed else _of_engine(result)
    if refuses_dtype(result.engine, result.deployment.accelerator, result.deployment.given.get("dtype")):
        yield (half := {"dtype": "fp16"})
        changes = ({**half, **change} for change in changes)
    yield from changes


def _of_engine(result: Start) -> Iterator[Settings]:
    settings = result.settings
    if result.refusals:  # ranks that do not divide the model, or more ranks than GPUs
        yield divided_experts(result.profile.flags, settings.get("tp", 1) * settings.get("dp", 1))
        yield from _fewer_gpus(result)
    if result.most_sequences < settings["max_num_seqs"]:
        yield {"max_num_seqs": result.most_sequences}
    longest = min(result.longest_in(0), result.deployment.limit.allowed or result.longest_in(0))
    if longest >= FEWEST:
        yield {LENGTH: _rounded(longest)}
    if settings["share"] < 0.95:
        yield {"share": 0.95}
    if not settings.get("cache"):
        yield {"cache": "fp8"}
    for n_sequences in (256, 64, 16):
        if n_sequences < settings["max_num_seqs"]:
            yield {"max_num_seqs": n_sequences}
            if result.memory.available.best <= 0:
                yield {"max_num_seqs": n_sequences, LENGTH: min(8192, result.max_model_len)}
    yield from _smaller_steps(result)
    smaller = _smaller_weights(result)
    for change in smaller:  # on the same GPUs
        yield change
        yield from _shorter(result, change)
    for change in ({}, *smaller):
        yield from _more_gpus(result, change)


def _smaller_weights(result: Start) -> list[Settings]:
    """Return the formats of fewer bits that are proposed unless one is given."""
    names = [] if result.settings.get("weights") else smaller_weights(result.engine, result.architecture.inputs)
    return [{"weights": name} for name in names]


def _shorter(result: Start, change: Settings) -> Iterator[Settings]:
    """Yield a change with the longest requests with which the engine starts for sure, or with a usual length.

    If it has no room for them, CUDA graphs are left out too.
    """
    with suppress(InputError):  # a format that the model does not allow
        for own in (change, {**change, **_eager(result)}):
            longest = min(result.retry(own).longest_in(0), result.max_model_len)
            if longest >= FEWEST:
                yield {**own, LENGTH: min(_rounded(longest), SHORT)}
                return


def _eager(result: Start) -> Settings:
    """Return the change to steps without CUDA graphs, if the engine has it and they are not left out yet."""
    read = tables("engines")[result.engine]["flags"]["read"].values()
    return {"enforce_eager": True} if "enforce_eager" in read and not result.settings.get("enforce_eager") else {}


def _smaller_steps(result: Start) -> Iterator[Settings]:
    """Yield steps without CUDA graphs, and with fewer tokens and sequences."""
    settings, read = result.settings, tables("engines")[result.engine]["flags"]["read"].values()
    n_sequences, tokens = settings.get("max_num_seqs") or 0, settings.get("max_num_batched_tokens") or 0
    eager = _eager(result)
    least = max(FEW_TOKENS, n_sequences)  # a sequence has a token in each step
    fewer = {"max_num_batched_tokens": least} if tokens > least and "max_num_batched_tokens" in read else {}
    yield from filter(None, (eager, fewer, {**eager, **fewer}))
    if n_sequences > FEW_SEQUENCES:
        yield {**eager, **fewer, "max_num_seqs": FEW_SEQUENCES}


def _fewer_gpus(result: Start) -> Iterator[Settings]:
    """Yield the usual layouts of fewer ranks on the GPUs that there are, largest first."""
    most = min(result.ranks - 1, result.deployment.gpus.count or result.ranks, MOST_RANKS)
    for size in reversed(usual_counts(_node(result), most)):
        yield from _layouts(result, size)


def _more_gpus(result: Start, change: Mapping[str, Any] = NOTHING) -> Iterator[Settings]:
    """Yield a change with the fewest GPUs, and a usual layout of them, with which the engine starts."""
    ranks, count, settings = result.ranks, result.deployment.gpus.count or result.ranks, result.settings
    replicas = settings.get("dp", 1)

    def layout(size: int) -> Settings | None:
        own = ({**change, **sizes, GPUS: size * replicas} for sizes in _layouts(result, size))
        return next((each.settings for each in (tried(one, attempt, _is_whole) for one in own) if each), None)

    def attempt(own: Settings) -> Change:
        return Change(own, result.retry(own))

    most = min(MOST_TIMES * ranks, max(MOST_RANKS, ranks)) // replicas
    sizes = [size for size in usual_counts(_node(result), most) if size * replicas > min(ranks, count)]
    size = None if settings.get("attention_dp") else first_enough(sizes, lambda size: layout(size) is not None)
    if size is not None:
        yield layout(size) or {}


def _layouts(result: Start, size: int) -> Iterator[Settings]:
    """Yield layouts of a number of GPUs: the most tensor-parallel ranks in a node, and half of them with two stages."""
    tp = min(size, _node(result))
    for parts in (1, 2) if tp > 1 else (1,):
        sizes = {"tp": tp // parts, "pp": size // tp * parts}
        yield {name: each for name, each in sizes.items() if each != result.settings.get(name, 1)}


def _node(result: Start) -> int:
    card = result.deployment.accelerator
    return card.node if card else NODE


def _of_llama_cpp(result: Start) -> Iterator[Settings]:
    """Yield a shorter context, the fewest experts or layers in host memory, and a smaller cache."""
    retry, settings = result.retry, result.settings
    kind = smaller_format(result.engine, "cache")
    cache = {} if settings.get("cache") else {"cache": kind, "cache_v": kind}

    def fits(change: Mapping[str, Any]) -> bool:
        return retry(change).is_whole

    most = retry({"auto_fit": False}).max_model_len if LENGTH in result.automatic else result.max_model_len
    if LENGTH not in result.automatic and (length := _rounded(longest_context(most, fits))):
        yield {LENGTH: length}
    if not result.automatic:
        yield from placements(result, fits)
    if cache and fits(cache):
        yield cache
    elif cache and (length := _rounded(longest_context(most, lambda change: fits({**cache, **change})))):
        yield {LENGTH: length, **cache}
    yield from _smaller_weights(result)


def _rounded(length: int) -> int:
    """Return a length in whole thousands of tokens."""
    return length - length % 1024 if length > 1024 else length
