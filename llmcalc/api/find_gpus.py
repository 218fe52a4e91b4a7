"""Search for the GPUs on which a model fits, cheapest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import takewhile
from typing import Any, ClassVar

from ..calc.memory.fit import Fit, read_size
from ..core.architecture import Architecture
from ..core.errors import SizeError
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, record
from ..core.setting import CONVENTION, SIZES, check_values
from ..estimate.cost import quoted_prices
from ..estimate.hardware import Accelerator
from .accelerators import accelerators
from .defaults import RESERVE, default_seq
from .effects import check_effects
from .fit import FIT, check_fit
from .layouts import Layout, layouts
from .load import Source, load
from .settings import FORMATS, IS_TRAINING, MEMORY_MODE, SERVING, TRAINING, memory_settings, read_settings

COUNTS = (1, 2, 4, 8)  # GPUs, up to a node
FitsOn = Callable[[int], Iterator[Fit]]  # fit checks of a number of GPUs, by layout
SETTINGS = (*SIZES, MEMORY_MODE, IS_TRAINING, *FORMATS, *SERVING, *TRAINING, CONVENTION)


@record
class FittingGpus:
    """The fewest GPUs of a kind on which a model fits, in a power of two, and the fit check.

    ``price`` is the range of quoted prices of all these GPUs in US dollars per hour, or None if unknown.
    """

    accelerator: Accelerator
    count: int
    fit: Fit
    price: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        quoted = {"price": list(self.price) if self.price else None, "quotes": self.accelerator.price}
        return {"gpu": self.accelerator.name, **self.fit.to_dict(), **quoted}


@record
class GpuSearch(NotebookDisplay):
    """The GPUs on which a model fits, cheapest first, then those without a price, least memory first.

    Attributes:
        architecture: model that was checked.
        gpus: GPUs on which the model fits.
        too_small: accelerators on which the model does not fit, not even on a node.
        reserve: memory per GPU for the runtime, as given.
        settings: settings of the workload.
    """

    architecture: Architecture
    gpus: tuple[FittingGpus, ...]
    too_small: tuple[Accelerator, ...]
    reserve: str | int
    settings: dict[str, Any]

    EVIDENCE: ClassVar[dict[str, str]] = {"gpus": "assumed", "too_small": "assumed"}

    @property
    def summary(self) -> str:
        """One-line summary of the result."""
        return f"{self.architecture.name} fits on {len(self.gpus)} of {len(self.gpus) + len(self.too_small)} GPUs"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        gpus, too_small = [one.to_dict() for one in self.gpus], [one.name for one in self.too_small]
        return {"gpus": gpus, "too_small": too_small, "evidence": self.evidence}


def find_gpus(model: Source, *, reserve: str | int = RESERVE, **settings: Any) -> GpuSearch:
    """Find the GPUs on which a model fits: for each kind, the fewest of 1, 2, 4 or 8 GPUs, up to a node.

    Serving uses the best layout, and training uses ZeRO-3.

    >>> import llmcalc
    >>> found = llmcalc.find_gpus("llama3-70b", weights="fp8")
    >>> [(one.accelerator.name, one.count) for one in found.gpus if one.accelerator.name.startswith("a100-sxm")]
    [('a100-sxm-80gb', 1), ('a100-sxm-40gb', 2)]

    Args:
        model: an architecture, or anything ``load`` reads.
        reserve: memory per GPU for the runtime: bytes, ``"2GiB"`` or ``"10%"``.
        settings: parameters of ``memory`` other than ``mesh``, or ``training=True`` for training.

    Raises:
        InputError: conflicting settings.
    """
    check_values(FIT, {"reserve": reserve})
    settings = read_settings("a search for GPUs", SETTINGS, settings)
    sizes = {setting.name: settings.pop(setting.name) for setting in SIZES if setting.name in settings}
    training = settings.pop("mode", "inference") == "training" or settings.pop("training", False)
    arguments = {**memory_settings({"training": training, **settings}), **sizes}
    architecture = load(model)
    check_effects(SETTINGS, {"training": training, **settings, **sizes}, architecture)
    if arguments.get("seq") is None:
        arguments["seq"] = default_seq(architecture)
    del arguments["mesh"]
    fits_on = _fits(architecture, arguments)
    found, too_small = list[FittingGpus](), list[Accelerator]()
    for card in accelerators().values():
        total = card.usable_bytes
        of_runtime = read_size(reserve, "reserve", total) if isinstance(reserve, str) else reserve
        one = _fewest(card, total, of_runtime, fits_on)
        if one:
            found.append(one)
        else:
            too_small.append(card)
    found.sort(key=_cost)
    shown = {"batch": 1, "seq": arguments["seq"], **sizes, **settings, **({"training": True} if training else {})}
    return GpuSearch(architecture, tuple(found), tuple(too_small), reserve, shown)


def _cost(one: FittingGpus) -> tuple[bool, float, int, str]:
    """Return the sort key of GPUs: the lowest quoted price, or else the total memory."""
    memory = one.fit.memory * one.count
    return one.price is None, one.price[0] if one.price else memory, memory, one.accelerator.name


def _fits(architecture: Architecture, arguments: dict[str, Any]) -> FitsOn:
    """Return a function that yields the fit checks of a number of GPUs in all layouts, best first.

    The memory of a layout does not depend on the GPU and is computed once.
    """
    is_training = arguments["mode"] == "training"

    @cache
    def layouts_of(count: int) -> list[Layout | None]:
        return [None] if is_training or count == 1 else [*layouts(architecture, count, count)]

    @cache
    def check(count: int, number: int) -> Fit | None:
        with suppress(SizeError):  # the mesh does not divide the model
            return check_fit(architecture, 0, 0, count, layout=layouts_of(count)[number], **arguments)
        return None

    def fits_on(count: int) -> Iterator[Fit]:
        found = (check(count, number) for number in range(len(layouts_of(count))))
        return (one for one in found if one and not getattr(one.result, "refusals", ()))

    return fits_on


def _fewest(card: Accelerator, total: int, reserve: int, fits_on: FitsOn) -> FittingGpus | None:
    """Return the fewest GPUs of a kind on which the model fits, or None."""
    for count in takewhile(lambda count: count <= card.node, COUNTS):
        for fit in fits_on(count):
            if fit.needed <= total - reserve:
                prices = quoted_prices(card)
                price = (prices[0] * count, prices[1] * count) if prices else None
                return FittingGpus(card, count, changed(fit, memory=total, reserve=reserve), price)
    return None
