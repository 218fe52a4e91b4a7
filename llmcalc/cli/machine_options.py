"""Options of ``scale`` and ``train``: accelerators at work, what they cost, and how they become a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.errors import InputError
from .spec import Option

if TYPE_CHECKING:
    from ..estimate.cost import Machine

GPU = Option(
    "--gpu", "gpu", "The accelerator, and how many: h100:512.", metavar="NAME[:N]", complete="accelerators"
)  # fmt: skip
MFU = Option(
    "--mfu", "mfu", "Model FLOPs utilisation that you expect, such as 40% (default: as published for it).",
    metavar="SHARE",
)  # fmt: skip
PRECISION = Option(
    "--precision", "precision", "Number format of the matrix products (default: 16 bits).", metavar="FORMAT"
)
PRICE = Option(
    "--price", "price", "US dollars of an accelerator-hour (default: what is quoted).", metavar="DOLLARS"
)  # fmt: skip
ADD_GPU = "add --gpu, such as --gpu h100:512"
MACHINE = (GPU, MFU, PRECISION, PRICE)


def machine(given: dict[str, Any]) -> Machine | None:
    """The accelerators that were asked for; None: none.

    Raises:
        InputError: options that need an accelerator without one.
    """
    from ..api import names as lookup
    from ..api.train import machine as working
    from ..estimate.amounts import read_share
    from .commands.fit import split

    if given["gpu"] is None:
        for option in MACHINE[1:]:
            if given[option.name] is not None:
                raise InputError("speaks of an accelerator", parameter=option.name, hint=ADD_GPU)
        return None
    name, count = (given["gpu"], None) if lookup.is_accelerator(given["gpu"]) else split(given["gpu"])
    share = read_share(given["mfu"], "mfu") if given["mfu"] is not None else None
    return working(name, 1 if count is None else count, share, given["precision"])


def price(given: dict[str, Any]) -> float | None:
    """US dollars an hour, as given."""
    from ..estimate.amounts import read_amount

    return None if given["price"] is None else read_amount(given["price"], "price", "2.50")
