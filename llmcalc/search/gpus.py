"""Search for the GPUs on which a model fits, cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, ClassVar

from ..calc.memory.fit import Fit, read_size
from ..calc.memory.inference import InferenceMemory
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import SizeError
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, record
from ..core.setting import CONVENTION, LARGEST, SIZES
from ..engines.hardware import reads
from ..estimate.hardware import Accelerator, Instance
from ..estimate.prices import price_quotes
from ..fitting.check import check_fit, with_room_on_host
from ..fitting.layouts import Layout, layouts, share_of_weights
from ..inputs.defaults import default_seq
from ..inputs.effects import check_effects
from ..inputs.gpus import accelerator, accelerators, instances
from ..inputs.models import Source, read_model
from ..inputs.settings import FORMATS, IS_TRAINING, MEMORY_MODE, SERVING, TRAINING, memory_settings, read_settings

COUNTS = (1, 2, 4, 8)  # GPUs, up to a node
FitsOn = Callable[[int, int], Iterator[Fit]]  # fit checks of a number of GPUs with these usable bytes, by layout
SETTINGS = (*SIZES, MEMORY_MODE, IS_TRAINING, *FORMATS, *SERVING, *TRAINING, CONVENTION)


@record
class FittingGpus:
    """GPUs on which a model fits, and the fit check.

    Attributes:
        accelerator: kind of the GPUs.
        count: number of GPUs.
        fit: fit check on these GPUs.
        instance: cloud instance with these GPUs, if any.
        price: lowest and highest price of all these GPUs in US dollars per hour, or None if unknown.
        dated: date of the lowest price, or empty if unknown.
        quotes: prices as text, with sellers and dates: of one GPU, or of the instance.
    """

    accelerator: Accelerator
    count: int
    fit: Fit
    instance: Instance | None
    price: tuple[float, float] | None
    dated: str
    quotes: str

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        names = {"gpu": self.accelerator.name, "instance": self.instance.name if self.instance else None}
        quoted = {"price": list(self.price) if self.price else None, "dated": self.dated, "quotes": self.quotes}
        return {**names, **self.fit.to_dict(), **quoted}


@record
class GpuSearch(NotebookDisplay):
    """The GPUs on which a model fits, cheapest first, then those without a price, least memory first.

    Attributes:
        architecture: model that was checked.
        gpus: GPUs on which the model fits.
        too_small: accelerators on which the model does not fit, not even on a node.
        unread: accelerators on which no engine reads the weights.
        reserve: memory per GPU for the runtime, as given.
        settings: settings of the workload.
    """

    architecture: Architecture
    gpus: tuple[FittingGpus, ...]
    too_small: tuple[Accelerator, ...]
    reserve: str | int
    settings: dict[str, Any]
    unread: tuple[Accelerator, ...] = ()

    EVIDENCE: ClassVar[dict[str, str]] = {"gpus": "assumed", "too_small": "assumed"}

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        n_kinds = sum(1 for one in self.gpus if one.instance is None)
        return f"{self.architecture.name} fits on {n_kinds} of {n_kinds + len(self.too_small)} kinds of GPUs"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        gpus, too_small = [one.to_dict() for one in self.gpus], [one.name for one in self.too_small]
        unread = [one.name for one in self.unread]
        return {"gpus": gpus, "too_small": too_small, "unread": unread, "evidence": self.evidence}


def search_gpus(model: Source, reserve: str | int, settings: Mapping[str, Any]) -> GpuSearch:
    """Find the GPUs on which a model fits, with settings that each have an effect on it."""
    settings = read_settings("a search for GPUs", SETTINGS, settings)
    sizes = {setting.name: settings.pop(setting.name) for setting in SIZES if setting.name in settings}
    training = settings.pop("mode", "inference") == "training" or settings.pop("training", False)
    arguments = {**memory_settings({"training": training, **settings}), **sizes}
    architecture = read_model(model)
    check_effects(SETTINGS, {"training": training, **settings, **sizes}, architecture)
    if arguments.get("seq") is None:
        arguments["seq"] = default_seq(architecture)
    del arguments["mesh"]
    fits_on = _fits(architecture, arguments)
    found, too_small = list[FittingGpus](), list[Accelerator]()
    unread = tuple(
        card for card in accelerators().values() if not (training or reads(card, architecture, settings.get("weights")))
    )
    for card in (one for one in accelerators().values() if one not in unread):
        fit = _fewest(card, reserve, fits_on, [count for count in COUNTS if count <= card.node])
        if fit:
            found.append(FittingGpus(card, fit.count, fit, None, *_prices(card, fit.count)))
        else:
            too_small.append(card)
    found += (one for one in _on_instances(reserve, fits_on) if one.accelerator not in unread)
    found.sort(key=_cost)
    shown = {"batch": 1, "seq": arguments["seq"], **sizes, **settings, **({"training": True} if training else {})}
    return GpuSearch(architecture, tuple(found), tuple(too_small), reserve, shown, unread)


def _cost(one: FittingGpus) -> tuple[bool, float, int, str]:
    """Return the sort key of GPUs: the lowest quoted price, or else the total memory."""
    memory = one.fit.memory * one.count
    return one.price is None, one.price[0] if one.price else memory, memory, one.accelerator.name


def _fits(architecture: Architecture, arguments: dict[str, Any]) -> FitsOn:
    """Return a function that yields the fit checks of a number of GPUs in all layouts that may fit, best first.

    The memory of a layout does not depend on the GPU and is computed once.
    """
    is_training = arguments["mode"] == "training"

    @cache
    def layouts_of(count: int) -> list[Layout | None]:
        return [None] if is_training else [*layouts(architecture, count, count)] if count > 1 else [Layout(1, Mesh())]

    @cache
    def check(count: int, number: int) -> Fit | None:
        with suppress(SizeError):  # the mesh does not divide the model
            return check_fit(architecture, 0, 0, count, layout=layouts_of(count)[number], **arguments)
        return None

    def has_room(layout: Layout | None, usable: int) -> bool:
        whole = check(1, 0) if layout else None
        return layout is None or whole is None or share_of_weights(whole.result, layout) <= usable

    def fits_on(count: int, usable: int) -> Iterator[Fit]:
        found = (check(count, n) for n, layout in enumerate(layouts_of(count)) if has_room(layout, usable))
        return (one for one in found if one and not getattr(one.result, "refusals", ()))

    return fits_on


def _fewest(card: Accelerator, reserve: str | int, fits_on: FitsOn, counts: Iterable[int]) -> Fit | None:
    """Return the fit check on the first number of GPUs on which the model fits, or None."""
    total = card.usable_bytes
    of_runtime = read_size(reserve, "reserve", total) if isinstance(reserve, str) else reserve
    for count in counts:
        for fit in fits_on(count, total - of_runtime):
            result = fit.result
            if isinstance(result, InferenceMemory):
                result = with_room_on_host(result, total, card.shared_bytes)
                fit = changed(fit, result=result, needed=result.peak - result.host)
            if fit.needed <= total - of_runtime:
                return changed(fit, memory=total, reserve=of_runtime)
    return None


def _on_instances(reserve: str | int, fits_on: FitsOn) -> Iterator[FittingGpus]:
    """Yield the cheapest cloud instance with the fewest GPUs on which the model fits, by cloud and accelerator."""
    cheapest: dict[tuple[str, str], dict[int, Instance]] = {}
    for one in sorted(instances().values(), key=lambda one: one.offer.usd if one.offer else LARGEST):
        if one.offer:
            cheapest.setdefault((one.cloud, one.gpu), {}).setdefault(one.count, one)
    for (_, gpu), by_count in cheapest.items():
        fit = _fewest(accelerator(gpu), reserve, fits_on, sorted(by_count))
        if fit:
            own = by_count[fit.count]
            offer = own.offer
            assert offer
            yield FittingGpus(accelerator(gpu), fit.count, fit, own, (offer.usd, offer.usd), offer.date, str(offer))


def _prices(card: Accelerator, count: int) -> tuple[tuple[float, float] | None, str, str]:
    """Return the lowest and highest price of several accelerators, the date of the lowest, and all quotes as text."""
    quotes = price_quotes(card)
    if not quotes:
        return None, "", ""
    low, high = min(quotes), max(quotes)
    return (low.usd * count, high.usd * count), low.dated, "; ".join(dict.fromkeys(quote.text for quote in quotes))
