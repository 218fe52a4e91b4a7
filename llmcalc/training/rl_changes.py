"""Changed settings with which a step of reinforcement learning fits.

Changes that cost time are made only if they are needed. An 8-bit optimizer, LoRA, QLoRA and more GPUs follow in the
order of what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..core.record import record
from ..estimate.hardware import NODE, usual_counts
from ..fitting.advice import Change, Settings, advice, first_enough, tried
from ..fitting.fit_changes import LESS, LORA_RANK, QUANTISED
from ..inputs.gpus import gpu_name

if TYPE_CHECKING:
    from .rl import RlMemory

MOST_GPUS = 1024  # of the trainer
SHARES, RANKS = (0.5, 0.9), (2, 4, 8)  # of an engine that does not start
# settings that need less memory, from the one that costs least time to the one that costs most
FEWER_BYTES: Settings = {"sleep": 2, "loss": "fused", "recompute": "full", "offload": True, "micro_batch": 1}
COLOCATED = ("sleep", "offload")


def rl_changes(
    result: RlMemory, given: Mapping[str, Any], compute: Callable[[Settings], RlMemory]
) -> tuple[Change, ...]:
    """Return the cheapest changes of ``given`` settings with which a step fits, as arguments of ``rl``.

    ``compute`` returns the memory of a step with changed settings.
    """
    known = _Known(result, given, compute)
    return tuple(advice(lambda found: known.kinds(), known.reduced, _fits))


def _fits(result: RlMemory) -> bool:
    return result.fits


@record
class _Known:
    """A step that does not fit, its settings, and a function that computes it with changed settings."""

    result: RlMemory
    given: Mapping[str, Any]
    compute: Callable[[Settings], RlMemory]

    def kinds(self) -> Iterator[Iterable[Settings]]:
        """Yield changes of the training, and then more GPUs."""
        engines, count = self._engines(), self.result.count
        if (engine := self._engine(engines, count)) is not None:
            for training in self._trainings():
                yield [{**engine, **training}]
        card, is_given = self.result.accelerator, self._has_layout
        larger = {
            more: {**self._gpus(more), **own}
            for more in usual_counts(card.node if card else NODE, MOST_GPUS)
            if more > count and not (is_given and more % count) and (own := self._engine(engines, more)) is not None
        }
        enough = first_enough([*larger], lambda more: tried(larger[more], self._smallest, _fits) is not None)
        if enough is not None:
            yield [larger[enough]]

    def attempt(self, settings: Settings) -> Change:
        """Return the memory of a step with changed settings."""
        return Change(settings, self.compute(settings))

    def reduced(self, settings: Settings) -> Change:
        """Return changed settings, with those of ``FEWER_BYTES`` that are needed in addition."""
        best = self._smallest(settings)
        for name in reversed(self._saving()) if best.result.fits else ():
            fewer = {other: value for other, value in best.settings.items() if other != name}
            best = tried(fewer, self.attempt, _fits) or best
        return best

    def _saving(self) -> list[str]:
        """Return the settings that need less memory with the values of ``FEWER_BYTES``."""
        others = COLOCATED if self.result.settings["rollout"] == "separate" else ()
        return [name for name, value in FEWER_BYTES.items() if self.given.get(name) != value and name not in others]

    def _smallest(self, settings: Settings) -> Change:
        return self.attempt({**settings, **{name: FEWER_BYTES[name] for name in self._saving()}})

    @property
    def _has_layout(self) -> bool:
        return any(self.given.get(name) for name in ("dp", "tp", "pp", "cp", "mesh"))

    def _engines(self) -> list[Settings]:
        """Return changes with which the engine starts, those with the smallest share of a GPU first."""
        own = self.result.settings
        if self.result.engine.starts:
            return [{}]
        shares, ranks = ([own[name], *(one for one in more if one > own[name])]
                         for name, more in (("share", SHARES), ("engine_tp", RANKS)))  # fmt: skip
        kinds = [[{"engine_tp": tp, "share": share} for tp in ranks] for share in shares]
        found = advice(lambda _: kinds, self.attempt, lambda one: one.engine.starts, most=None)
        return [{name: value for name, value in one.settings.items() if own[name] != value} for one in found]

    def _engine(self, engines: list[Settings], count: int) -> Settings | None:
        """Return the first change whose number of ranks divides the GPUs that the engine shares with the trainer."""
        is_apart = self.result.settings["rollout"] == "separate"
        return next((change for change in engines if is_apart or count % change.get("engine_tp", 1) == 0), None)

    def _trainings(self) -> list[Settings]:
        """Return changes of the training without more GPUs."""
        adapters = {"lora_rank": LORA_RANK} if self.given.get("lora_rank") is None else {}
        optimizers = LESS["optimizer"].get(self.given.get("optimizer"), ()) if adapters else ()
        return [
            {}, *({"optimizer": name} for name in optimizers), *([adapters] if adapters else []),
            *([{**adapters, "weights": QUANTISED}] if self.given.get("weights") is None else []),
        ]  # fmt: skip

    def _gpus(self, count: int) -> Settings:
        """Return a number of GPUs, on which data-parallel ranks divide the states of the training."""
        mesh, times = self.result.training.mesh, count // self.result.count
        gpu = {"gpu": f"{gpu_name(self.result.accelerator, self.result.gpu_memory)}:{count}"}
        return {**gpu, "dp": mesh.dp * times, "zero": mesh.zero or 3} if self._has_layout else gpu
