"""Training programs: what they run at the same time, their attention kernels, and how their steps deviate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..core.errors import nearest, short_repr
from ..core.record import changed, record
from ..data import table
from ..estimate.hardware import Accelerator
from .schedule import Overlaps, TrainingCoefficients

ANY = ""  # name of the entry of a program that is not known


@record
class Program:
    """A training program.

    Attributes:
        name: short name, or empty for any program.
        title: full name.
        overlaps: collectives that it runs at the same time as kernels, and the times of its launches and between steps.
        flash: generation of the FlashAttention kernels that it uses.
        gradient_bits: bits per element of gradients that replicas exchange.
        dispatcher: ``deepep`` if it sends a token to its experts once per rank and node, or empty.
        lora_targets: modules to which it adds adapters if none are named, or nothing for all linear ones.
        factor: time of its steps relative to that of any program.
        factors: the same on GPUs of a generation in a number format, such as ``Hopper fp8``, for published steps.
        spread: error of its steps relative to that of all programs.
    """

    name: str
    title: str
    overlaps: Overlaps
    flash: int
    gradient_bits: int = 16
    dispatcher: str = ""
    lora_targets: tuple[str, ...] = ()
    factor: float = 1.0
    factors: Mapping[str, float] = {}
    spread: float = 1.0

    def slower_attention(self, family: str) -> float:
        """Return the time of attention relative to the kernels that were measured on a family of accelerators."""
        slower = table("training_time")["flash"][str(self.flash)]
        return float(slower.get(family, slower.get("other", 1.0)))

    def is_known_on(self, accelerator: Accelerator, number_format: str) -> bool:
        """Return whether there are published steps on such GPUs."""
        return f"{accelerator.generation} {number_format}" in self.factors

    def factor_on(self, accelerator: Accelerator, number_format: str) -> float:
        """Return the time of steps relative to that of any program."""
        return self.factors.get(f"{accelerator.generation} {number_format}", self.factor)


@cache
def programs() -> dict[str, Program]:
    """Return the known programs by name, and that of an unknown program under an empty name."""
    fitted = table("training_time")["programs"]
    found = {}
    for name, entry in table("training_programs").items():
        own = fitted.get(name, {})
        times = {name: own.get(name, 1.0) for name in ("host", "rest")}
        overlaps = Overlaps(**dict.fromkeys(entry["hides"], 1), **times)
        targets = tuple(entry.get("lora_targets") or ())
        facts = entry["flash"], entry.get("gradient_bits", 16), entry.get("dispatcher", ""), targets
        fitted_values = own.get("factor", 1.0), own.get("factors", {}), own.get("spread", 1.0)
        found[name] = Program(name, entry["title"], overlaps, *facts, *fitted_values)
    return found


def program(name: str | None) -> Program:
    """Return a program by name. An unknown name has the facts of any program, and a title that says that it is unknown.

    >>> program("torchtitan").title, program("megatron-ml").title
    ('torchtitan', "any program ('megatron-ml' is unknown; did you mean megatron-lm?)")
    """
    known = programs()
    if (name or ANY) in known:
        return known[name or ANY]
    own = str(name)
    near = nearest(own, [each for each in known if each[:1] == own[:1].lower()], 1)
    likely = f"; did you mean {near[0]}?" if near else ""
    return changed(known[ANY], name=own, title=f"any program ({short_repr(own)} is unknown{likely})")


def coefficients() -> TrainingCoefficients:
    """Return the coefficients of all programs."""
    return TrainingCoefficients(**table("training_time")["coefficients"])
