"""Changed settings with which a batch fits on GPUs, as ``fit`` finds them, or with which it is computed faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from ..core.errors import InputError
from ..engines.hardware import refused_format
from ..engines.settings import usual_weights
from ..fitting.advice import Change, Settings, advice
from ..fitting.fit import read_question
from ..serving.latency_times import DECODE, Latency
from ..serving.request_times import weight_bytes
from .engine_fit import ask_engine

TAKEN = ("weights", "cache", "tp", "pp", "dp", "ep", "engine")  # settings of ``latency`` that ``fit`` has too
LAYOUT, FORMATS = ("tp", "pp", "dp", "ep"), ("weights", "experts", "attention_weights")
LARGER_BATCH = 8
LEAST_GAIN = 1.02  # in tokens per second
LEAST_SAVED = 0.9  # bytes of weights in a smaller format, relative to the published one, at most


def latency_changes(result: Latency, given: Settings, ask: Callable[[Settings], Latency]) -> Iterator[Change]:
    """Yield the cheapest change of each kind with which the batch fits, or if it does, is computed faster.

    Args:
        result: time of the batch.
        given: settings of ``latency`` that were given.
        ask: returns the time with changed settings.
    """
    least = LEAST_GAIN * result.tokens_per_s if result.fits else 0.0

    def helps(one: Latency) -> bool:
        has_other = one.formats["weights"] != result.formats["weights"]
        is_smaller = not has_other or weight_bytes(one.model) <= LEAST_SAVED * weight_bytes(result.model)
        return is_smaller and one.fits and one.tokens_per_s > least

    def kinds(_: Sequence[Change]) -> Iterable[Iterable[Settings]]:
        return () if result.too_long else _faster(result, given) if result.fits else _fitting(result, given)

    return advice(kinds, lambda change: Change(change, ask(change)), helps)


def _fitting(result: Latency, given: Settings) -> Iterator[list[Settings]]:
    """Yield the changes with which the sequences fit at their last token."""
    own = {name: given[name] for name in TAKEN if given.get(name) is not None}
    engine = own.pop("engine", None)
    own |= {"batch": result.workload.batch, "seq": result.length}
    gpus = f"{result.accelerator.name}:{result.count}"
    with suppress(InputError):  # a layout that does not divide the model
        question = read_question(result.architecture, gpus, None, None, None, None, own)
        changes = [change for change, _ in ask_engine(question, own, None, engine).changes]
        yield from ([_as_batch(result, change)] for change in changes if "step_tokens" not in change)


def _as_batch(result: Latency, change: Settings) -> Settings:
    """Return a change of ``fit`` as settings of ``latency``."""
    found = dict(change)
    if count := found.pop("count", None):
        found["gpu"] = f"{found['gpu']}:{count}"
    if seq := found.pop("seq", None):
        name = "context" if result.mode == DECODE else "seq"
        found[name] = getattr(result.workload, name) - (result.length - seq)
    return found


def _faster(result: Latency, given: Settings) -> Iterator[list[Settings]]:
    """Yield weights in fewer bits that the GPU computes in, twice the GPUs, and a larger batch."""
    card, engine = result.accelerator, result.model.engine.name
    if given.keys().isdisjoint(FORMATS):
        names = [name for name in usual_weights(engine) if name != "fp8" or name in card.peak]
        yield [{"weights": name} for name in names if not refused_format(engine, card, name, result.architecture)]
    if card.node > 1 and given.keys().isdisjoint(LAYOUT):
        yield [{"gpu": f"{card.name}:{2 * result.count}"}]
    yield [{"batch": LARGER_BATCH * result.workload.batch}]
