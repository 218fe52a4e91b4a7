"""Changed settings with which more requests run at once, and a layout with which all of them do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from math import ceil, inf

from ..calc.memory.fit import largest_fitting
from ..calc.touched_experts import expert_layers
from ..core.record import remembered
from ..core.type_names import TYPE_CHECKING
from ..data import tables
from ..engines.hardware import is_reachable
from ..engines.profile import read_profile
from ..engines.settings import FOUR_BITS, smaller_format
from ..estimate.hardware import more_counts
from ..fitting.advice import Change, Settings, advice, first_enough, tried
from ..inputs.gguf_names import GGUF_ENGINE, USUAL_GGUF, usual_format
from .step.step_models import engine_step

if TYPE_CHECKING:
    from .result import ServingResult

MOST_TIMES, MOST_LAYOUT_TIMES = 8, 64  # as many GPUs, and of a layout with which all requests run
FASTER = 1.05  # tokens per second of a layout that is named


def running_changes(result: ServingResult) -> Iterator[Change]:
    """Yield the best change of each kind, and a layout with which all requests run if none of these is enough."""
    found: list[Change] = []
    attempt, helps = partial(_wide, result), partial(_helps, result)
    for change in advice(partial(_kinds, result), attempt, helps, lambda *_: False, _most_running, most=None):
        found.append(change)
        yield change
    if not any(holds_all(*one) for one in found):
        kinds = [_layouts(result)]
        yield from advice(lambda _: kinds, attempt, lambda one: helps(one) and one.all_run, choose=_fastest, most=1)


def faster_layout(result: ServingResult) -> Change | None:
    """Return a layout that is faster in one way than that of a result, or None if there is none.

    Where tensor-parallel ranks were not chosen because others have more tokens per second, these ranks may take less
    time per output token. Otherwise, divided experts or replicas may have more tokens per second.
    """
    ranks, layouts = result.mesh.tp, list[Settings]()
    if result.has_chosen_layout:
        if result.gpus > result.accelerator.node:
            return None
        shortest = (result.tpot_s or 0.0) / FASTER
        usual = advice(
            lambda _: [[{"tp": result.gpus}]], partial(_wide, result),
            lambda one: one.fits and (one.tpot_s or inf) < shortest,
        )  # fmt: skip
        return next(usual, None)
    if not result.all_run or result.point.used != ranks or ranks == 1:
        return None
    if _has_experts(result):
        layouts = [_divided(ranks)]
    elif engine_step(result.engine).has_data_parallel:
        sizes = [tp for tp in _powers(ranks // 2) if ranks % tp == 0 and ranks // tp <= result.load.concurrency]
        layouts = [{"tp": tp, "dp": ranks // tp} for tp in sizes]

    def helps(one: ServingResult) -> bool:
        return one.all_run and one.tokens_per_s_gpu > FASTER * result.tokens_per_s_gpu

    changes = advice(lambda _: [layouts], lambda change: Change(change, result.retry(change)), helps, choose=_fastest)
    return next(changes, None)


def layout_of_all(result: ServingResult) -> ServingResult | None:
    """Return the result on the same GPUs in pipeline stages on which all requests run, fewest stages first, or None."""
    kinds = [_stages(result)] if result.fits and not result.service.has_layout else []
    found = next(advice(lambda _: kinds, partial(_wide, result), lambda one: one.all_run), None)
    return found and found.result


def _stages(result: ServingResult) -> list[Settings]:
    """Return the layouts of the same GPUs in pipeline stages, fewest first."""
    ranks = result.point.used
    return [{"tp": tp, "pp": ranks // tp} for tp in reversed(_powers(ranks // 2)) if ranks % tp == 0]


def holds_all(change: Settings, result: ServingResult) -> bool:
    """Return whether all requests run, and are not fewer."""
    return result.all_run and "concurrency" not in change


def _kinds(result: ServingResult, found: Sequence[Change]) -> Iterator[Iterable[Settings]]:
    """Yield the changes of each kind, smallest first."""
    card, ranks = result.accelerator, result.point.used
    if result.fits:
        yield [{"concurrency": result.running}]
    if result.load.most < result.time.capacity:
        yield [{"max_num_seqs": ceil(result.load.concurrency)}]
        if any(holds_all(*change) for change in found):  # the memory is enough
            return
    if result.mesh.tp > 1:
        yield [_divided(ranks)] if _has_experts(result) else []
        yield _stages(result)
    yield from ([{kind: name} for name in _smaller_formats(result, kind)] for kind in ("cache", "weights"))
    is_short = not result.fits and not any(holds_all(*change) for change in found)
    is_engine_given = {"engine", "calibration"} & result.service.asked.keys()
    if is_short and ranks == 1 and not is_engine_given and result.engine != GGUF_ENGINE:
        # which moves what does not fit to host memory
        yield [{"engine": GGUF_ENGINE, "weights": usual_format(result.architecture)}]
    if not result.fits and tables("engines").get(result.engine, {}).get("rule") == "sum":
        yield _in_host_memory(result)
    most = [count for count in more_counts(card.node, ranks, MOST_TIMES) if is_reachable(card, count)]
    enough = first_enough(most, lambda count: _holds(result, _on_more(result, count)))
    for count in most[-1:] if enough is None else [enough]:
        yield _on_more(result, count)


def _on_more(result: ServingResult, count: int) -> Iterator[Settings]:
    """Yield changes to more GPUs: the default layout, more tensor-parallel ranks if these are given, and experts."""
    own = {"gpu": f"{result.accelerator.name}:{count}"}
    yield own
    tp, rest = divmod(count * result.mesh.tp, result.point.used)
    if not rest:
        yield {**own, "tp": tp}
    if _has_experts(result):
        yield {**own, **_divided(count)}


def _holds(result: ServingResult, changes: Iterable[Settings]) -> bool:
    """Return whether all requests run with one of the changes."""
    attempt = partial(_wide, result)
    return any(tried(change, attempt, lambda one: _helps(result, one) and one.all_run) for change in changes)


def _smaller_formats(result: ServingResult, kind: str) -> Iterator[str]:
    """Yield the format of ``weights`` or ``cache`` with fewer bits, and those with fewer still."""
    yield smaller_format(result.engine, kind)
    entry, told = tables("engines").get(result.engine), result.architecture.inputs
    usual = read_profile(entry["title"], entry).settings.get(kind) if entry else None
    if kind == "weights" and result.engine == GGUF_ENGINE:
        usual = USUAL_GGUF
    if usual:
        yield usual
    if kind == "weights" and not (result.fits or told.get("quantization") or told.get("types")):
        yield FOUR_BITS


def _in_host_memory(result: ServingResult) -> Iterator[Settings]:
    """Yield the fewest experts in host memory, or else the most layers on the GPUs, with which a request fits."""
    n_layers, has_experts = result.architecture.main.n_layers, _has_experts(result)

    def change(on_gpu: int) -> Settings:
        return {"cpu_experts": n_layers - on_gpu} if has_experts else {"gpu_layers": on_gpu}

    most = largest_fitting(lambda on_gpu: result.retry(change(on_gpu)).fits, n_layers, 0)
    if most is not None:
        yield change(most)


def _layouts(result: ServingResult) -> list[Settings]:
    """Return the layouts of the fewest GPUs on which all requests run, if any."""
    used, node = result.point.used, result.accelerator.node
    counts = [used, *more_counts(node, used, MOST_LAYOUT_TIMES)]
    count = first_enough(counts, lambda count: _holds(result, _layouts_of(result, count)))
    return [] if count is None else [*_layouts_of(result, count)]


def _layouts_of(result: ServingResult, count: int) -> Iterator[Settings]:
    for tp in _powers(min(count, result.accelerator.node)):
        if count % tp == 0:
            dp = count // tp
            sizes = {"tp": tp, "dp": dp, "ep": count if dp > 1 and _has_experts(result) else 1}
            shown = {key: size for key, size in sizes.items() if size > 1 or getattr(result.mesh, key) > 1}
            yield {"gpu": f"{result.accelerator.name}:{count}", **({"tp": 1} if tp < count else {}), **shown}


def _wide(result: ServingResult, change: Settings) -> Change:
    """Return a change with its result, and with more sequences if the engine alone limits them."""

    def compute() -> Change:
        found = result.retry(change)
        if "concurrency" in change or found.all_run or found.load.most >= found.time.capacity:
            return Change(change, found)
        start = found.point.start
        ranks = 1 if start and start.settings.get("divides_sequences") else found.mesh.dp
        wider = {**change, "max_num_seqs": ceil(found.load.concurrency / ranks)}
        return Change(wider, result.retry(wider))

    return remembered(result, "_tried", tuple(change.items()), compute)


def _helps(result: ServingResult, one: ServingResult) -> bool:
    """Return whether more requests run, or all of them."""
    runs_more = one.all_run or one.running > max(result.running, 1)
    return one.fits and runs_more and is_reachable(result.accelerator, one.gpus)


def _most_running(changes: Iterator[Change]) -> Change | None:
    """Return the first change with which all requests run, or else the one with which most of them do."""
    tried = list[Change]()
    for change in changes:
        if change.result.all_run:
            return change
        tried.append(change)
    return max(tried, key=lambda change: change.result.running, default=None)


def _fastest(changes: Iterator[Change]) -> Change | None:
    return max(changes, key=lambda change: change.result.tokens_per_s_gpu, default=None)


def _has_experts(result: ServingResult) -> bool:
    return bool(expert_layers(result.architecture))


def _divided(ranks: int) -> Settings:
    """Return the layout whose ranks have different requests and share the experts."""
    return {"tp": 1, "dp": ranks, "ep": ranks}


def _powers(most: int) -> list[int]:
    """Return the powers of two up to ``most``."""
    return [1 << power for power in range(most.bit_length())]
