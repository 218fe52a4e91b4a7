"""The GPUs of a training run, read from their name, with a published or given utilisation."""

from __future__ import annotations

from ..core.errors import InputError
from ..core.setting import Setting, check_values
from ..data import table
from ..estimate.amounts import share
from ..estimate.cost import (
    AS_GIVEN,
    SIXTEEN_BIT,
    UNKNOWN,
    Machine,
    Span,
    number_format_of,
    usual_format,
    utilisation,
    utilisations,
)
from ..estimate.hardware import Accelerator
from ..inputs.gpus import read_gpus
from ..inputs.training_settings import MFU, PRECISION
from ..kernels.efficiencies import efficiencies

MACHINE = Setting("gpu", (Machine, str))
OF_MACHINE = (Setting("name", str, ""), Setting("count", int, least=1), MFU, PRECISION)


def read_machine(
    name: str,
    count: int | None = None,
    mfu: float | str | None = None,
    precision: str | None = None,
    *,
    needs_mfu: bool = True,
) -> Machine:
    """Return named GPUs with their utilisation.

    Unless ``needs_mfu`` is set, GPUs without a published utilisation have an unknown one: ``train`` computes the time
    of their steps from the operations.
    """
    check_values(OF_MACHINE, {"name": name, "count": count, "mfu": mfu, "precision": precision})
    gpus = read_gpus(name, count)
    found, number = gpus.accelerator, gpus.count or 1
    if found is None:
        raise InputError("requires a named accelerator", parameter="gpu", hint="use a name, as in {gpu=h100:512}")
    if mfu is not None:
        value = share(mfu, "mfu")
        return Machine(found, number, number_format_of(found, precision), Span(value, value, value), AS_GIVEN)
    measured = table("utilisation")
    chosen = number_format_of(found, precision) if precision else usual_format(found, measured)
    if not needs_mfu and chosen not in utilisations(found, measured):
        return Machine(found, number, chosen, Span(1, 1, 1), UNKNOWN)
    return Machine(found, number, chosen, *utilisation(found, chosen, measured))


def precision_of(accelerator: Accelerator, wanted: str | None) -> str:
    """Return the number format of the peak of matrix products in a format, such as ``fp4`` for NVFP4."""
    known = efficiencies()
    peaks = known.peaks_of(known.kernel_of(wanted)) if wanted else []
    if wanted is None or wanted in accelerator.peak or set(peaks) & set(SIXTEEN_BIT):  # formats that are expanded
        return number_format_of(accelerator, wanted)
    return next((name for name in peaks if name in accelerator.peak), None) or number_format_of(accelerator, wanted)
