"""Search for the presets that fit on GPUs, with the best weight format of each and the context that is left.

Memory is plain memory within the share of a GPU that the usual engine for the format uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, ClassVar

from ..calc.memory.inference import InferenceMemory
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.weight_formats import model_tensors
from ..calc.params import params
from ..core.architecture import Architecture
from ..core.errors import InputError, SizeError
from ..core.record import NamedTuple, record
from ..core.setting import BATCH, SEQ, Setting
from ..core.workload import positions
from ..data import tables
from ..engines.hardware import checkpoint_format, default_engine, supports
from ..engines.lengths import known_length
from ..engines.profile import read_profile
from ..estimate.hardware import NODE, Accelerator
from ..fitting.check import check_fit, layout_of
from ..fitting.context import largest_context
from ..fitting.fit import resources
from ..fitting.formats import weight_bits
from ..fitting.memory import serving_stages
from ..inputs.defaults import default_seq
from ..inputs.number_formats import CHECKPOINT, number_format, weight_formats
from ..inputs.settings import DTYPE, SERVING, WEIGHTS, read_settings
from ..serving.start.memory import default_share
from .gpu_plan import GpuPlan

MOST_CONTEXT = 2**20  # tokens up to which the context is searched
MOST_GPUS = 64
# weight formats to try, most bits first, and those of engines that run on several GPUs
FORMATS = ("q8_0", "fp8", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")
CLOSE_FORMATS = ("q8_0", "fp8")  # fp8 has more bits than q8_0 in a model with large embeddings
SHARDED_FORMATS = ("fp8", "awq-int4-g128")
SETTINGS = (BATCH, SEQ, DTYPE, WEIGHTS, *SERVING)
MOST = Setting("most", int, least=1)


class FittingModel(NamedTuple):
    """A model that fits on GPUs.

    Attributes:
        name: name of the preset and its size.
        title: name of the family.
        year: year of publication, or None.
        parameters: number of stored parameters.
        format: weight format with the most bits in which the model fits.
        weights: weights on one GPU, in bytes.
        context: largest context that fits, in tokens per sequence.
        is_limit: whether longer contexts were not tried, because the model has no more learned positions, or because
            the search ends at 1,048,576 tokens.
    """

    name: str
    title: str
    year: int | None
    parameters: int
    format: str
    weights: int
    context: int
    is_limit: bool


@record
class ModelSearch(GpuPlan):
    """The presets that fit on GPUs, newest first, the number of presets that were tried, and errors in others.

    ``is_cut`` is whether the search ended at the number of models that was asked for.
    """

    models: tuple[FittingModel, ...]
    n_tried: int
    errors: tuple[str, ...] = ()
    is_cut: bool = False

    EVIDENCE: ClassVar[dict[str, str]] = {"memory": "measured", "reserve": "assumed", "models": "assumed"}

    @property
    def summary(self) -> str:
        """One-line summary of the number of models that fit."""
        number = len(self.models)
        which = f"the {number} newest models that" if self.is_cut else f"{number} of {self.n_tried} models"
        return f"{which} fit on {self.gpus}"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        return {
            **super().to_dict(), "n_tried": self.n_tried, "models": [model._asdict() for model in self.models],
            "errors": list(self.errors), "evidence": self.evidence,
        }  # fmt: skip


def search_models(
    gpu: str | int | None,
    count: int | None,
    gpu_memory: str | int | None,
    reserve: str | int,
    most: int | None,
    settings: Mapping[str, Any],
) -> ModelSearch:
    """Find the presets that fit on GPUs with settings of ``memory``, or the ``most`` newest of them."""
    settings = read_settings("a search for models", SETTINGS, settings)
    for name in ("weights", "cache"):
        if settings.get(name, CHECKPOINT) != CHECKPOINT:
            if name == "weights":
                weight_formats(settings[name], number_format("bf16"))
            else:
                number_format(settings[name], "cache")
    card, number, total, of_runtime = resources(gpu, count, gpu_memory, reserve)
    if (number or 1) > MOST_GPUS:
        raise InputError(f"a list of models is limited to {MOST_GPUS} GPUs", parameter="gpu", hint="name one model")
    budget = {
        "memory_bytes": total, "reserve": of_runtime, "count": number or 1, "node": card.node if card else NODE,
    }  # fmt: skip
    found, errors, n_tried, is_cut = list[FittingModel](), list[str](), 0, False
    for year, files in _files_by_year():
        loaded = [*_loaded(files, errors)]
        n_tried += len(files)
        for architecture in sorted(loaded, key=lambda each: (-params(each).total, each.name)):
            if is_cut := len(found) == most:
                break
            model = _best(architecture, budget, settings, card)
            found += [model._replace(year=year)] if model else []
        if is_cut:
            break
    return ModelSearch(card, number or 1, total, of_runtime, settings, tuple(found), n_tried, tuple(errors), is_cut)


def _files_by_year() -> list[tuple[int | None, list[tuple[str, str | None]]]]:
    """Return the preset files with the sizes of their models by the year of publication, newest first."""
    from ..schema.preset_files import read_preset, sized_files

    found: dict[int | None, list[tuple[str, str | None]]] = {}
    for file, size in sized_files():
        year = None
        with suppress(InputError):
            year = read_preset(file).get("year")
        found.setdefault(year, []).append((file, size))
    return sorted(found.items(), key=lambda each: -(each[0] or 0))


def _loaded(files: list[tuple[str, str | None]], errors: list[str]) -> Iterator[Architecture]:
    """Yield the models of preset files, and add the errors of invalid ones."""
    from ..schema.preset import load_file

    for file, size in files:
        try:
            yield load_file(file, size)
        except InputError as error:
            errors.append(str(error))


def _best(
    architecture: Architecture, budget: dict[str, Any], settings: dict[str, Any], card: Accelerator | None
) -> FittingModel | None:
    """Return a model with the most bits per weight with which the context fits, or None."""
    limit = min(positions(architecture) or MOST_CONTEXT, known_length(architecture) or MOST_CONTEXT, MOST_CONTEXT)
    least = settings.get("seq") or min(default_seq(architecture), limit)
    for weights in _formats(architecture, budget, settings, card) if least <= limit else ():
        own = {**settings, "weights": weights} if weights else settings
        rest = {name: value for name, value in own.items() if name != "seq"}
        within = {**budget, "reserve": budget["reserve"] + unused_bytes(architecture, weights, budget, card)}
        usable, found, context = within["memory_bytes"] - within["reserve"], _stages(architecture, within, rest), 0
        while found and (longer := largest_context(found, usable, limit, max(least, context + 1))):
            context, best = longer, found
            more = budget["count"] > 1 and context < limit
            found = _stages(architecture, within, rest, context + 1) if more else ()
        if context:
            return FittingModel(
                architecture.name, architecture.title, None, params(architecture).total,
                weights or settings.get("dtype", DTYPE.default), max(stage.weights for stage in best), context,
                context == limit,
            )  # fmt: skip
    return None


def unused_bytes(
    architecture: Architecture, weights: str | None, budget: Mapping[str, Any], card: Accelerator | None
) -> int:
    """Return the bytes of a GPU that the usual engine for a weight format leaves unused by default."""
    if card is None:
        return 0
    name, total = default_engine(architecture, card, weights).name, int(budget["memory_bytes"])
    profile = read_profile(name, tables("engines")[name], None, card.name, total)
    return round(total * (1 - default_share(profile.settings, total, budget["count"])))


def _formats(
    architecture: Architecture, budget: dict[str, Any], settings: dict[str, Any], card: Accelerator | None
) -> Iterator[str | None]:
    """Yield the weight formats to try that may fit, most bits first. None is the format of the computation."""
    dtype, given = settings.get("dtype", DTYPE.default), settings.get("weights")
    total = (budget["memory_bytes"] - budget["reserve"]) * budget["count"] * BITS_A_BYTE
    listed = [given] if given else FORMATS if budget["count"] == 1 else SHARDED_FORMATS
    elements = sum(row.size * row.copies for row in model_tensors(architecture).distinct_rows)
    readable = [name for name in listed if given or supports(card, name)]
    possible = [name for name in readable if elements * _least_bits(name) <= total]
    if given or not possible:  # a larger format does not fit either
        yield from possible
        return
    own, most = None, float("inf")
    if not weight_bits(architecture, None, dtype).is_published or (own := checkpoint_format(card, architecture)):
        bits = weight_bits(architecture, own, dtype)
        most = bits.average
        if bits.bits <= total:
            yield own
    close = {name: weight_bits(architecture, name, dtype).average for name in possible if name in CLOSE_FORMATS}
    for name in sorted(possible, key=lambda name: -close.get(name, 0.0)):
        if (close.get(name) or weight_bits(architecture, name, dtype).average) < most:
            yield name


@cache
def _least_bits(name: str) -> float:
    """Return a lower bound of the bits per weight of a format (0 for that of the checkpoint)."""
    if name == CHECKPOINT:
        return 0.0
    formats = weight_formats(name, number_format("fp32"))
    return min(one.bits_per_weight for one in (formats.main, *(rule.format for rule in formats.rules)))


def _stages(
    architecture: Architecture, budget: dict[str, Any], arguments: dict[str, Any], seq: int = 1
) -> Sequence[InferenceMemory]:
    """Return the pipeline stages for one token in the best layout for ``seq`` tokens, or none if no layout fits."""
    if budget["count"] == 1:
        return serving_stages(architecture, seq=1, **arguments)
    with suppress(SizeError):  # no layout of this number of GPUs
        first = check_fit(architecture, **budget, seq=seq, is_trial=True, **arguments)
        if first.fits and not first.result.refusals:
            layout = layout_of(first)
            batch = -(-arguments.get("batch", 1) // layout.replicas)
            return serving_stages(architecture, **{**arguments, "seq": 1, "mesh": layout.mesh, "batch": batch})
    return ()
