"""Search for changed settings with which a step of reinforcement learning fits.

Changes that cost time are made only if they are needed. An 8-bit optimizer, LoRA, QLoRA and more GPUs follow in the
order of what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError
from ..core.record import record
from ..inputs.gpus import gpu_name
from .fit_changes import LARGE_OPTIMIZERS, SMALL_OPTIMIZER
from .recipes import LORA_RANK, QUANTISED

if TYPE_CHECKING:
    from ..training.rl import RlMemory

MOST, MOST_GPUS = 3, 1024  # changes, and GPUs of the trainer
SHARES, RANKS = (0.5, 0.9), (2, 4, 8)  # of an engine that does not start
# settings that need less memory, from the one that costs least time to the one that costs most
FEWER_BYTES: dict[str, Any] = {"sleep": 2, "loss": "fused", "recompute": "full", "offload": True, "micro_batch": 1}
COLOCATED = ("sleep", "offload")


@record
class RlChange:
    """Changed settings with which a step fits, as arguments of ``rl``, and its memory with these settings."""

    settings: dict[str, Any]
    result: RlMemory


@record
class RlSearch:
    """A step that does not fit, its settings, and a function that computes it with changed settings."""

    result: RlMemory
    given: Mapping[str, Any]
    compute: Callable[[Mapping[str, Any]], RlMemory]

    def changes(self) -> tuple[RlChange, ...]:
        """Return the cheapest changes."""
        return tuple(islice(self._changes(), MOST))

    def _changes(self) -> Iterator[RlChange]:
        count, engines = self.result.count, self._engines()
        engine = self._engine(engines, count)
        found: list[RlChange] = []
        for training in self._trainings() if engine is not None else ():
            change = self._reduced({**(engine or {}), **training})
            if change and not any(one.settings.items() <= change.settings.items() for one in found):
                found.append(change)
                yield change
        while (count := count * 2) <= MOST_GPUS:
            engine = self._engine(engines, count)
            if engine is not None and (change := self._reduced({**self._gpus(count), **engine})):
                yield change
                return

    def _check(self, settings: Mapping[str, Any]) -> RlMemory | None:
        with suppress(InputError):  # a setting that the model or the mesh does not allow
            found = self.compute(settings)
            return found if found.fits else None
        return None

    def _reduced(self, settings: dict[str, Any]) -> RlChange | None:
        """Return changed settings, with those of ``FEWER_BYTES`` that are needed in addition."""
        is_apart = self.result.settings["rollout"] == "separate"
        kept = {
            name: value
            for name, value in FEWER_BYTES.items()
            if self.given.get(name) != value and not (is_apart and name in COLOCATED)
        }
        found = self._check({**settings, **kept})
        if found is None:
            return None
        for name in reversed(tuple(kept)):
            fewer = {other: value for other, value in kept.items() if other != name}
            if smaller := self._check({**settings, **fewer}):
                kept, found = fewer, smaller
        return RlChange({**settings, **kept}, found)

    def _engines(self) -> list[dict[str, Any]]:
        """Return changes with which the engine starts, those with the smallest share of a GPU first."""
        own = self.result.settings
        if self.result.engine.starts:
            return [{}]
        found = []
        for share in (own["share"], *(each for each in SHARES if each > own["share"])):
            for ranks in (own["engine_tp"], *(each for each in RANKS if each > own["engine_tp"])):
                change = {"engine_tp": ranks, "share": share}
                with suppress(InputError):
                    if self.compute(change).engine.starts:
                        found.append({name: value for name, value in change.items() if own[name] != value})
                        break
        return found

    def _engine(self, engines: list[dict[str, Any]], count: int) -> dict[str, Any] | None:
        """Return the first change whose number of ranks divides the GPUs that the engine shares with the trainer."""
        is_apart = self.result.settings["rollout"] == "separate"
        return next((change for change in engines if is_apart or count % change.get("engine_tp", 1) == 0), None)

    def _trainings(self) -> list[dict[str, Any]]:
        """Return changes of the training without more GPUs."""
        is_whole = self.given.get("lora_rank") is None
        adapters = {"lora_rank": LORA_RANK} if is_whole else {}
        is_large = is_whole and self.given.get("optimizer") in LARGE_OPTIMIZERS
        return [
            {}, *([{"optimizer": SMALL_OPTIMIZER}] if is_large else []), *([adapters] if adapters else []),
            *([{**adapters, "weights": QUANTISED}] if self.given.get("weights") is None else []),
        ]  # fmt: skip

    def _gpus(self, count: int) -> dict[str, Any]:
        """Return a number of GPUs, on which data-parallel ranks divide the states of the training."""
        mesh, times = self.result.training.mesh, count // self.result.count
        gpu = {"gpu": f"{gpu_name(self.result.accelerator, self.result.gpu_memory)}:{count}"}
        is_given = any(self.given.get(name) for name in ("dp", "tp", "pp", "cp", "mesh"))
        return {**gpu, "dp": mesh.dp * times, "zero": mesh.zero or 3} if is_given else gpu
