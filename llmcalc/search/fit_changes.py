"""Search for changed settings with which a model fits, in the order of what they cost the user.

Smaller steps and a quantised cache cost nothing or little. Weights in a smaller format lose quality, a smaller batch or
a shorter context serves less, and more GPUs cost money. Formats of less than four bits per weight come last. In
training, an 8-bit optimizer, LoRA and QLoRA come before more GPUs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice, product
from typing import Any

from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import record, remembered
from ..core.setting import SCALES
from ..engines.hardware import is_reachable, supports
from ..estimate.hardware import Accelerator
from ..fitting.check import check_fit
from ..fitting.formats import weight_bits
from ..fitting.sizes import solve_gpus, solve_size
from ..fitting.solution import Change
from ..inputs.defaults import step_limit
from .recipes import LORA_RANK, QUANTISED

MOST = 3  # changes
STEPS = (2048, 512)  # tokens
# weight formats that engines serve, in the order of the quality that they lose
FORMATS = ("fp8", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "awq-int4-g128", "nvfp4", "mxfp4")
LOW_FORMATS = ("q3_k_m", "iq3_m", "q2_k", "iq2_m", "iq2_xxs")
CACHES = ("fp8", "q8_0")  # of engines in general, and of llama.cpp
SHORTEST = 8  # part of the context, as a divisor
LOW_BITS = "low-bit weights"
SERVING = (
    ("step_tokens",), ("cache",), ("step_tokens", "cache"), ("weights",), ("batch",), ("seq",), ("gpus",),
    ("cache", "weights"), ("cache", "batch"), ("cache", "seq"), ("weights", "batch"), ("weights", "seq"),
    ("cache", "weights", "batch"), ("cache", "weights", "seq"), (LOW_BITS,), (LOW_BITS, "cache"),
)  # fmt: skip
TRAINING = (
    ("loss",), ("recompute",), ("loss", "recompute"), ("optimizer",), ("optimizer", "recompute"),
    ("optimizer", "loss", "recompute"), ("batch",), ("lora_rank",), ("lora_rank", "recompute"),
    ("lora_rank", "loss", "recompute"), ("weights",), ("weights", "recompute"), ("weights", "loss", "recompute"),
    ("lora_rank", "weights"), ("lora_rank", "weights", "recompute"), ("lora_rank", "weights", "loss", "recompute"),
    ("seq",), ("gpus",), ("recompute", "batch"), ("recompute", "seq"), ("loss", "recompute", "batch"),
    ("loss", "recompute", "seq"),
)  # fmt: skip
LARGE_OPTIMIZERS, SMALL_OPTIMIZER = (None, "adamw"), "adam-8bit"
SMALLER = ("weights", "lora_rank", "optimizer")  # settings that change the smallest workload
RECOMPUTE = ("none", "selective", "full")


def find_changes(
    architecture: Architecture, gpu: str, card: Accelerator | None, budget: dict[str, Any], arguments: dict[str, Any]
) -> Iterator[Change]:
    """Yield the cheapest changes with which a model fits on a GPU, or on several."""
    return islice(Search(architecture, gpu, card, budget, arguments).changes(), MOST)


@record
class Search:
    """A fit check that fails: the architecture, the GPU and its memory, and the arguments of ``memory``."""

    architecture: Architecture
    gpu: str
    card: Accelerator | None
    budget: dict[str, Any]
    arguments: dict[str, Any]

    def changes(self) -> Iterator[Change]:
        """Yield the changes with which the model fits, cheapest first. No change contains another change."""
        found: list[set[str]] = []
        for names in TRAINING if self.arguments.get("mode") == "training" else SERVING:
            own = {"weights" if name == LOW_BITS else name for name in names}
            change = None if any(known <= own for known in found) else self._change(names)
            if change:
                found.append(own)
                yield change

    def _change(self, names: tuple[str, ...]) -> Change | None:
        """Return the cheapest values of the settings ``names`` with which the model fits."""
        with suppress(InputError):  # a setting that the model or the mesh does not allow
            if names == ("gpus",):
                return self._more_gpus()
            if names in (("batch",), ("seq",)):
                return self._smaller(*names)
        for values in product(*map(self._values, reversed(names))):
            keys = ("weights" if name == LOW_BITS else name for name in reversed(names))
            settings = dict(zip(keys, values, strict=True))
            change = self._check(settings) if self._has_engine(settings) else None
            if change:
                return change
        return None

    def _has_engine(self, settings: dict[str, Any]) -> bool:
        """Return whether an engine has both formats: llama.cpp has no cache in fp8, and only it reads its files."""
        cache, weights = settings.get("cache"), settings.get("weights", self.arguments.get("weights"))
        own = [tuple(self.arguments.get(name, ())) for name in ("only", "keep")]
        dtype = self.arguments.get("dtype", "bf16")
        is_file = weight_bits(self.architecture, weights, dtype, *own).is_llama_cpp or not supports(
            self.card, CACHES[0]
        )
        return cache is None or CACHES[is_file] == cache

    def _check(self, settings: dict[str, Any]) -> Change | None:
        with suppress(InputError):
            if not self._fits_at_all({name: settings[name] for name in SMALLER if name in settings}):
                return None
            found = check_fit(self.architecture, **self.budget, **{**self.arguments, **settings}, is_trial=True)
            if found.fits and not getattr(found.result, "refusals", ()):
                return Change(dict(reversed(settings.items())), found)
        return None

    def _fits_at_all(self, changed: dict[str, Any]) -> bool:
        """Return whether the smallest workload fits with the changed settings."""
        is_training = self.arguments.get("mode") == "training"
        least = [{}, {"recompute": "full", "loss": "fused"}] if is_training else [{"step_tokens": 1}]

        def fits(settings: dict[str, Any]) -> bool:
            smallest = {**self.arguments, **changed, "batch": 1, "seq": 1, **settings}
            try:
                return check_fit(self.architecture, **self.budget, **smallest, is_trial=True).fits
            except InputError:
                if is_training:
                    return True  # not known, as a setting is not allowed
                raise

        return remembered(self, "_smallest", tuple(changed.items()), lambda: any(map(fits, least)))

    def _more_gpus(self) -> Change | None:
        found = solve_gpus(self.architecture, self.budget, self.arguments)
        if found is None or found[0] <= self.budget["count"] or not is_reachable(self.card, found[0]):
            return None
        is_trained = self.arguments.get("mode") == "training" and self.arguments.get("mesh") not in (None, Mesh())
        mesh = {"mesh": found[1].result.mesh} if is_trained else {}  # with more data-parallel ranks
        return Change({"gpu": self.gpu, "count": found[0], **mesh}, found[1])

    def _smaller(self, name: str) -> Change | None:
        """Return the largest smaller batch, or the longest shorter context in thousands of tokens."""
        asked = self.arguments.get(name) or 1
        if asked == 1 or not self._fits_at_all({}):
            return None
        size, found = solve_size(name, self.architecture, self.budget, self.arguments)
        if size is None or (name == "seq" and size * SHORTEST < asked):
            return None
        rounded = size - size % SCALES["k"] if name == "seq" and size > SCALES["k"] else size
        return Change({name: size}, found) if rounded == size else self._check({name: rounded})

    def _values(self, name: str) -> list[Any]:
        """Return the values of a setting that need less memory than the present value, cheapest first."""
        now = self.arguments.get(name)
        if name == "step_tokens":
            limit = step_limit(now, self.arguments.get("convention"))
            return [steps for steps in STEPS if limit is None or steps < limit]
        if name in ("batch", "seq"):
            halves = ((now or 1) // 2**power for power in range(1, (now or 1).bit_length()))
            return [size for size in halves if name == "batch" or size * SHORTEST >= (now or 1)]
        if name == "recompute":
            return list(RECOMPUTE[RECOMPUTE.index(now or "none") + 1 :])
        if name == "loss":
            return ["fused"] if now != "fused" else []
        if name == "cache":
            return list(CACHES) if now is None else []
        if name == "lora_rank":
            return [LORA_RANK] if now is None else []
        if name == "optimizer":
            return [SMALL_OPTIMIZER] if now in LARGE_OPTIMIZERS and not self.arguments.get("lora_rank") else []
        if name == "weights" and self.arguments.get("mode") == "training":
            return [QUANTISED] if now is None else []
        return self._formats(FORMATS if name == "weights" else LOW_FORMATS)

    def _formats(self, names: tuple[str, ...]) -> list[str]:
        """Return the formats with fewer bits than the present weights that the GPUs can store in total.

        Several GPUs run engines that have no formats of llama.cpp.
        """
        budget, dtype = self.budget, self.arguments.get("dtype", "bf16")
        own = [tuple(self.arguments.get(name, ())) for name in ("only", "keep")]
        total = (budget["memory_bytes"] - budget["reserve"]) * budget["count"] * BITS_A_BYTE
        most = min(weight_bits(self.architecture, self.arguments.get("weights"), dtype, *own).bits - 1, total)
        names = tuple(name for name in names if supports(self.card, name))
        found = ((name, weight_bits(self.architecture, name, dtype, *own)) for name in names)
        is_alone = budget["count"] == 1
        return [name for name, weights in found if weights.bits <= most and (is_alone or not weights.is_llama_cpp)]
