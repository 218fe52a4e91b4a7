"""Changed settings with which a model fits, in the order of what they cost the user.

Smaller steps and a quantised cache cost nothing or little. Weights in a smaller format lose quality, a smaller batch or
a shorter context serves less, and more GPUs cost money. Formats of less than four bits per weight come last. In
training, an 8-bit optimizer, LoRA and QLoRA come before more GPUs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any

from ..calc.memory.number_formats import BITS_A_BYTE
from ..core.errors import InputError
from ..core.record import record, remembered
from ..core.setting import SCALES
from ..engines.hardware import supports
from ..inputs.defaults import step_limit
from .advice import Change, Settings, advice
from .formats import WeightBits, weight_bits
from .question import Question

LORA_RANK, QUANTISED, SMALL_OPTIMIZER = 16, "nf4", "adam-8bit"
STEPS = (2048, 512)  # tokens
SHORTEST = 8  # part of the context, as a divisor
LOW_BITS, QLORA = "low-bit weights", "frozen weights"
WEIGHTS = ("weights", LOW_BITS, QLORA)
# weight formats that engines serve, in the order of the quality that they lose
FORMATS = {
    "weights": ("fp8", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "awq-int4-g128", "nvfp4", "mxfp4"),
    LOW_BITS: ("q3_k_m", "iq3_m", "q2_k", "iq2_m", "iq2_xxs"),
}
CACHES = ("fp8", "q8_0")  # of engines in general, and of llama.cpp
# values that need less memory than the present one, cheapest first
LESS: dict[str, dict[Any, tuple[Any, ...]]] = {
    "cache": {None: CACHES},
    "recompute": {**dict.fromkeys((None, "none", "selective"), ("op", "full")), "op": ("full",)},
    "loss": {None: ("fused",), "eager": ("fused",)},
    "optimizer": {None: (SMALL_OPTIMIZER,), "adamw": (SMALL_OPTIMIZER,)},
    "lora_rank": {None: (LORA_RANK,)},
    QLORA: {None: (QUANTISED,)},
}
# kinds of changes, as the settings that they change
SERVING = (
    ("step_tokens",), ("cache",), ("step_tokens", "cache"), ("weights",), ("batch",), ("seq",), ("gpus",),
    ("cache", "weights"), ("cache", "batch"), ("cache", "seq"), ("weights", "batch"), ("weights", "seq"),
    ("cache", "weights", "batch"), ("cache", "weights", "seq"), (LOW_BITS,), (LOW_BITS, "cache"),
)  # fmt: skip
TRAINING = (
    ("loss",), ("recompute",), ("loss", "recompute"), ("optimizer",), ("optimizer", "recompute"),
    ("optimizer", "loss", "recompute"), ("batch",), ("lora_rank",), ("lora_rank", "recompute"),
    ("lora_rank", "loss", "recompute"), (QLORA,), (QLORA, "recompute"), (QLORA, "loss", "recompute"),
    ("lora_rank", QLORA), ("lora_rank", QLORA, "recompute"), ("lora_rank", QLORA, "loss", "recompute"),
    ("seq",), ("gpus",), ("recompute", "batch"), ("recompute", "seq"), ("loss", "recompute", "batch"),
    ("loss", "recompute", "seq"),
)  # fmt: skip
SMALLER = ("weights", "lora_rank", "optimizer")  # settings that change the smallest workload


def fit_changes(question: Question) -> Iterator[Change]:
    """Yield changes with which a model fits, as arguments of ``fit``. No change contains another change."""
    known = _Known(question)
    return advice(
        lambda found: known.kinds(),
        lambda settings: Change(settings, question.ask(settings, is_trial=True)),
        question.is_solved_by,
        repeats=lambda change, found: found.keys() <= change.keys(),
    )


@record
class _Known:
    """The question of a model that does not fit."""

    question: Question

    @property
    def arguments(self) -> Settings:
        """Settings of the question."""
        return self.question.arguments

    def kinds(self) -> Iterator[Iterable[Settings]]:
        """Yield the candidates of each kind."""
        for names in TRAINING if self.question.is_training else SERVING:
            if names == ("gpus",):
                yield self.question.more_gpus()
            elif names in (("batch",), ("seq",)):
                yield self._largest(*names)
            else:
                yield filter(self._is_possible, self._combined(names))

    def _combined(self, names: tuple[str, ...]) -> Iterator[Settings]:
        keys = ["weights" if name in WEIGHTS else name for name in names]
        for values in product(*map(self._values, reversed(names))):
            yield dict(zip(keys, reversed(values), strict=True))

    def _values(self, name: str) -> Sequence[Any]:
        """Return the values of a setting that need less memory than the present value, cheapest first."""
        now = self.arguments.get("weights" if name in WEIGHTS else name)
        if name in FORMATS:
            return self._formats(FORMATS[name])
        if name in ("batch", "seq"):
            halves = ((now or 1) // 2**power for power in range(1, (now or 1).bit_length()))
            return [size for size in halves if name == "batch" or size * SHORTEST >= (now or 1)]
        if name == "step_tokens":
            limit = step_limit(now, self.arguments.get("convention"))
            return [steps for steps in STEPS if limit is None or steps < limit]
        if name == "optimizer" and self.arguments.get("lora_rank"):
            return ()  # the states of the adapters are small
        return LESS[name].get(now, ())

    def _formats(self, names: tuple[str, ...]) -> list[str]:
        """Return the formats with fewer bits than the present weights that the GPUs can store in total.

        Several GPUs run engines that have no formats of llama.cpp.
        """
        budget = self.question.budget
        total = (budget["memory_bytes"] - budget["reserve"]) * budget["count"] * BITS_A_BYTE
        most, is_alone = min(self._bits(self.arguments.get("weights")).bits - 1, total), budget["count"] == 1
        found = ((name, self._bits(name)) for name in names if supports(self.question.card, name))
        return [name for name, weights in found if weights.bits <= most and (is_alone or not weights.is_llama_cpp)]

    def _bits(self, weights: str | None) -> WeightBits:
        only, keep = (tuple(self.arguments.get(name, ())) for name in ("only", "keep"))
        return weight_bits(self.question.architecture, weights, self.arguments.get("dtype", "bf16"), only, keep)

    def _is_possible(self, settings: Settings) -> bool:
        """Return whether an engine has both formats, and the smallest workload fits with the changed settings.

        llama.cpp has no cache in fp8, and only it reads its files.
        """
        if (cache := settings.get("cache")) is not None:
            weights = settings.get("weights", self.arguments.get("weights"))
            is_file = self._bits(weights).is_llama_cpp or not supports(self.question.card, CACHES[0])
            if cache != CACHES[is_file]:
                return False
        changed = {name: settings[name] for name in SMALLER if name in settings}
        return remembered(self, "_smallest", tuple(changed.items()), lambda: self._smallest_fits(changed))

    def _smallest_fits(self, changed: Settings) -> bool:
        smallest: Settings = {**changed, "batch": 1, "seq": 1}
        savings = [{}, {"recompute": "full", "loss": "fused"}] if self.question.is_training else [{"step_tokens": 1}]
        for saved in savings:
            try:
                if self.question.ask({**smallest, **saved}, is_trial=True).fits:
                    return True
            except InputError:
                return self.question.is_training  # not known, as one of these settings is not allowed
        return False

    def _largest(self, name: str) -> Iterator[Settings]:
        """Yield the largest smaller batch, or the longest shorter context in thousands of tokens."""
        asked = self.arguments.get(name) or 1
        size = self.question.largest(name)[0] if asked > 1 else None
        if size and (name == "batch" or size * SHORTEST >= asked):
            yield {name: size - size % SCALES["k"] if name == "seq" and size > SCALES["k"] else size}
