"""Changed settings with which more requests run at once, and a layout with which all of them do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Any

from ..calc.memory.fit import largest_fitting
from ..calc.touched_experts import expert_layers
from ..core.errors import InputError
from ..data import tables
from ..engines.hardware import is_reachable
from ..engines.profile import read_profile
from ..engines.settings import smaller_format
from ..inputs.gguf_names import GGUF_ENGINE, USUAL_GGUF, usual_format
from ..serving.step.step_models import engine_step
from .space import powers

if TYPE_CHECKING:
    from ..serving.result import ServingResult

FACTORS = (2, 4, 8)  # as many GPUs
FASTER = 1.05  # tokens per second of a layout that is named
PUBLISHED_FOUR_BITS = "awq-int4-g128"  # the usual 4-bit format of repositories for engines other than llama.cpp
MOST_FACTOR = 64  # as many GPUs of a layout with which all requests run
Change = tuple[dict[str, Any], "ServingResult"]


def running_changes(result: ServingResult) -> Iterator[Change]:
    """Yield the best change of each kind, and a layout with which all requests run if none of these is enough."""
    is_enough = False
    for candidates in _alone(result):
        if is_enough and any("engine" in change for change in candidates):
            continue
        found = [*_helpful(result, candidates)]
        if found:
            change = next((each for each in found if each[1].all_run), max(found, key=lambda each: each[1].running))
            is_enough = is_enough or holds_all(*change)
            yield change
            if is_enough and "max_num_seqs" in change[0] and len(change[0]) == 1:  # the memory is enough
                return
    if not is_enough and (whole := _whole(result)):
        yield whole


def faster_layout(result: ServingResult) -> Change | None:
    """Return the layout with divided experts or replicas that has more tokens per second than tensor-parallel ranks.

    Returns None if there is no such layout.
    """
    mesh = result.mesh
    if not result.all_run or result.used != mesh.tp or mesh.tp == 1:
        return None
    if any(True for _ in expert_layers(result.architecture)):
        changes = [_divided(mesh.tp)]
    elif engine_step(result.engine).has_data_parallel:
        changes = [
            {"tp": tp, "dp": mesh.tp // tp}
            for tp in powers(mesh.tp // 2)
            if mesh.tp % tp == 0 and mesh.tp // tp <= result.load.concurrency
        ]
    else:
        return None
    found = []
    for change in changes:
        with suppress(InputError):  # a layout that the model does not allow
            found.append((change, result.retry(change)))
    best = max(found, key=lambda one: (one[1].all_run, one[1].tokens_per_s_gpu), default=None)
    if best and best[1].all_run and best[1].tokens_per_s_gpu > FASTER * result.tokens_per_s_gpu:
        return best
    return None


def holds_all(change: dict[str, Any], result: ServingResult) -> bool:
    """Return whether all requests run, and are not fewer."""
    return result.all_run and "concurrency" not in change


def _alone(result: ServingResult) -> Iterator[list[dict[str, Any]]]:
    """Yield the changes of each kind, smallest first."""
    name, ranks = result.accelerator.name, result.used
    has_experts = any(True for _ in expert_layers(result.architecture))
    entry, told = tables("engines").get(result.engine), result.architecture.inputs
    is_quantised = bool(told.get("quantization") or told.get("types"))
    if result.fits:
        yield [{"concurrency": result.running}]
    if result.load.most < result.time.capacity:
        yield [{"max_num_seqs": ceil(result.load.concurrency)}]
    if has_experts and result.mesh.tp > 1:
        yield [_divided(ranks)]
    for kind in ("cache", "weights"):
        usual = read_profile(entry["title"], entry).settings.get(kind) if entry else None  # smaller still
        if kind == "weights" and result.engine == GGUF_ENGINE:
            usual = USUAL_GGUF
        published = PUBLISHED_FOUR_BITS if kind == "weights" and not (result.fits or is_quantised) else None
        yield [{kind: name} for name in (smaller_format(result.engine, kind), usual, published) if name]
    if not result.fits and ranks == 1 and result.is_engine_assumed and result.engine != GGUF_ENGINE:
        yield [
            {"engine": GGUF_ENGINE, "weights": usual_format(result.architecture)}
        ]  # which moves what does not fit to host memory
    if entry and entry["rule"] == "sum" and not result.fits:
        yield _in_host_memory(result, has_experts=has_experts)
    larger: list[dict[str, Any]] = []
    for factor in FACTORS:  # the second one if tensor-parallel ranks are given
        own = {"gpu": f"{name}:{ranks * factor}"}
        larger += [own, {**own, "tp": result.mesh.tp * factor}]
        if has_experts:
            larger.append({**own, **_divided(ranks * factor)})
    yield larger


def _in_host_memory(result: ServingResult, *, has_experts: bool) -> list[dict[str, Any]]:
    """Return the fewest experts in host memory, or else the most layers on the GPUs, with which a request fits."""
    n_layers, name = result.architecture.main.n_layers, "cpu_experts" if has_experts else "gpu_layers"

    def change(on_gpu: int) -> dict[str, Any]:
        return {name: n_layers - on_gpu if has_experts else on_gpu}

    most = largest_fitting(lambda on_gpu: result.retry(change(on_gpu)).fits, n_layers, 0)
    return [] if most is None else [change(most)]


def _divided(ranks: int) -> dict[str, Any]:
    """Return the layout whose ranks have different requests and share the experts."""
    return {"tp": 1, "dp": ranks, "ep": ranks}


def _helpful(result: ServingResult, candidates: Iterable[dict[str, Any]]) -> Iterator[Change]:
    """Yield the changes with which more requests run, or all of them."""
    for change in candidates:
        with suppress(InputError):  # a format or a layout that the model does not allow
            found = _wide(result, change)
            if not is_reachable(result.accelerator, found[1].gpus):
                continue
            if found[1].fits and (found[1].all_run or found[1].running > max(result.running, 1)):
                yield found


def _wide(result: ServingResult, change: dict[str, Any]) -> Change:
    """Return a change with its result, and with more sequences if the engine alone limits them."""
    found = result.retry(change)
    if "concurrency" in change or found.all_run or found.load.most >= found.time.capacity:
        return change, found
    ranks = 1 if found.memory and found.memory.settings.get("divides_sequences") else found.mesh.dp
    wider = {**change, "max_num_seqs": ceil(found.load.concurrency / ranks)}
    return wider, result.retry(wider)


def _whole(result: ServingResult) -> Change | None:
    """Return the layout with the most tokens per second on the fewest GPUs with which all requests run, or None."""
    name, ranks, node = result.accelerator.name, result.used, result.accelerator.node
    has_experts = any(True for _ in expert_layers(result.architecture))
    for factor in powers(MOST_FACTOR):
        count, found = ranks * factor, list[Change]()
        for tp in powers(min(count, node)):
            if count % tp == 0:
                dp = count // tp
                sizes = {"tp": tp, "dp": dp, "ep": count if has_experts and dp > 1 else 1}
                shown = {key: size for key, size in sizes.items() if size > 1 or getattr(result.mesh, key) > 1}
                change = {"gpu": f"{name}:{count}", **({"tp": 1} if tp < count else {}), **shown}
                found += [each for each in _helpful(result, [change]) if each[1].all_run]
        if found:
            return max(found, key=lambda each: each[1].tokens_per_s_gpu)
    return None
