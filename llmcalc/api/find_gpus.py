"""GPUs on which a model fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.setting import check_values
from ..fitting.fit import FIT
from ..inputs.defaults import RESERVE
from ..inputs.models import Source
from ..search.gpus import GpuSearch, search_gpus

if TYPE_CHECKING:
    from typing import Unpack

    from ..inputs.typed_settings import GpuSearchSettings


def find_gpus(model: Source, *, reserve: str | int = RESERVE, **settings: Unpack[GpuSearchSettings]) -> GpuSearch:
    """Find the GPUs on which a model fits: for each kind, the fewest of 1, 2, 4 or 8 GPUs, up to a node.

    The result also has the cheapest cloud instances on which the model fits. Serving uses the best layout, and training
    uses ZeRO-3.

    >>> import llmcalc
    >>> found = llmcalc.find_gpus("llama3-70b", weights="fp8")
    >>> [(one.count, one.accelerator.name, one.instance.name) for one in found.gpus if one.instance][:2]
    [(4, 'l4', 'g6.12xlarge'), (1, 'a100-sxm-80gb', 'a2-ultragpu-1g')]

    Args:
        model: an architecture, or anything ``load`` reads.
        reserve: memory per GPU for the runtime: bytes, ``"2GiB"`` or ``"10%"``.
        settings: parameters of ``memory`` other than ``mesh``, or ``training=True`` for training.

    Raises:
        InputError: conflicting settings.
    """
    check_values(FIT, {"reserve": reserve})
    return search_gpus(model, reserve, settings)
