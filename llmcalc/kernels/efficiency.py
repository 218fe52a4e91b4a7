"""Coefficients of the closed forms of kernels, from data files, for an accelerator and a number format.

Coefficients that were measured on the accelerator itself come first, then those of an accelerator that runs the same
kernels (a sibling), then those of the nearest family of kernels, then a fit to all accelerators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import inf

from ..calc.memory.number_formats import Format
from ..core.errors import InputError
from ..core.record import record
from ..core.type_names import Any
from ..estimate.hardware import MIB, Accelerator
from .kernels import CLOCK, Device

OWN, SIBLING, NEAREST, GENERIC = "own", "sibling", "nearest", "generic"
EXPANDED = "bf16"  # kernels of formats that are expanded as they are read
SMS, L2_MIB = 128, 64  # of an accelerator of no known family
LANES = 128  # fp32 operations of a multiprocessor in a clock cycle, each a multiplication and an addition
NETWORK, PCI_EXPRESS = 50e9, 32e9  # bytes per second in one direction: 400 Gbit/s, and generation 4 with 16 lanes


@record
class Operands:
    """How an accelerator computes with weights of a number format.

    Attributes:
        kernel: name of the kernels, by the format in which they compute.
        peak: FLOP/s of the accelerator in this format.
        activation_bytes: bytes of an element of the activations.
        variants: other kernels of the same format. The fastest kernel is used.
        is_expanded: whether the weights are expanded to 16 bits as they are read.
        weights: number format of the weights.
    """

    kernel: str
    peak: float
    activation_bytes: float
    variants: tuple[str, ...] = ()
    is_expanded: bool = False
    weights: str = ""


@record
class Efficiency:
    """Coefficients of a kernel.

    Attributes:
        values: coefficients by name.
        origin: ``own``, ``sibling``, ``nearest`` or ``generic``.
        accelerator: the accelerator on which the kernels were measured, or empty.
        kernel: format of the measured kernels, and their library if one is asked for and measured.
        is_library: whether the kernels are those of the library that was asked for.
        error: mean and median absolute error of the form in percent, for shapes that were left out, if known.
    """

    values: Mapping[str, float]
    origin: str
    accelerator: str
    kernel: str
    error: tuple[float, ...]
    is_library: bool = False


class Efficiencies:
    """Coefficients of all kinds of kernels.

    Args:
        table: function that reads a data file by its name, such as ``efficiency/gemm``.
    """

    def __init__(self, table: Callable[[str], Mapping[str, Any]]) -> None:
        self._table = table
        own = table("kernels")
        self._formats: Mapping[str, Mapping[str, Any]] = own["formats"]
        self._families: Mapping[str, Mapping[str, Any]] = own["families"]
        self._found: dict[tuple[str, str, str, frozenset[str], str], Efficiency] = {}
        self._kernels: dict[str, str] = {}  # by number format

    def device(self, accelerator: Accelerator) -> Device:
        """Return the figures that the forms use. A figure that the datasheet lacks is that of a usual family member."""
        family = self._families.get(self.family_of(accelerator.name), {})
        link = accelerator.link[1]
        fp32 = accelerator.peak.get("fp32")
        cycle = 2 * accelerator.sms * family.get("lanes", LANES) if accelerator.sms and family else None
        if accelerator.bandwidth is None:
            raise InputError(f"no confirmed memory bandwidth of {accelerator.title}", parameter="gpu")
        return Device(
            sms=accelerator.sms or family.get("sms", SMS),
            bandwidth=accelerator.bandwidth,
            l2=accelerator.l2_bytes or family.get("l2_mib", L2_MIB) * MIB,
            link=link / 2 if link else PCI_EXPRESS,
            network=accelerator.network or NETWORK,
            joined=accelerator.joined or inf,
            bus=accelerator.bus[1] / 2 if accelerator.bus else 0.0,
            clock=fp32 / cycle if fp32 and cycle else CLOCK,
        )

    def assumed(self, accelerator: Accelerator) -> dict[str, str]:
        """Return the figures of ``device`` that neither the datasheet nor the network of usual servers states."""
        own = self.device(accelerator)
        texts = {
            "sms": (accelerator.sms, f"{own.sms:g} multiprocessors"),
            "link": (accelerator.link[1], f"links of {own.link / 1e9:g} GB/s per direction (PCI Express 4.0)"),
            "network": (accelerator.network, f"a network of {own.network * 8 / 1e9:g} Gbit/s per GPU"),
        }
        return {name: text for name, (known, text) in texts.items() if not known}

    def operands(self, accelerator: Accelerator, number_format: Format) -> Operands:
        """Return how an accelerator computes with weights of a number format.

        An accelerator without a peak of the format expands the weights to 16 bits.
        """
        for name in (self.kernel_of(number_format.name), EXPANDED):
            entry = self._formats[name]
            peak = self._peak(accelerator, entry["peak"])
            if peak:
                is_expanded = name == EXPANDED and number_format.bits_per_weight < 16
                variants = tuple(entry.get("variants", ()))
                return Operands(name, peak, entry["activation_bits"] / 8, variants, is_expanded, number_format.name)
        known = ", ".join(accelerator.peak) or "none"
        message = f"no confirmed peak FLOP/s of {accelerator.title}"
        raise InputError(message, parameter="gpu", hint=f"known formats: {known}")

    def kernel_of(self, name: str) -> str:
        """Return the kernels that compute with weights of a number format: those that name it, or that match it."""
        if name not in self._kernels:
            named = (key for key, entry in self._formats.items() if name in entry["of"])
            self._kernels[name] = next(named, "") or self._kernel_by_pattern(name)
        return self._kernels[name]

    def _kernel_by_pattern(self, name: str) -> str:
        from fnmatch import fnmatchcase

        found = (key for key, entry in self._formats.items() if any(fnmatchcase(name, own) for own in entry["of"]))
        return next(found, EXPANDED)

    def kernel_with_peak(self, name: str) -> str | None:
        """Return the kernels that compute at a peak, such as ``fp8``, or None. Formats of 16 bits have the same."""
        of_16_bits = self._formats[EXPANDED]["peak"][:2]
        if name in of_16_bits:
            return EXPANDED
        return next((key for key, entry in self._formats.items() if name == entry["peak"][0]), None)

    def peaks_of(self, kernel: str) -> list[str]:
        """Return the formats of the peaks in which kernels compute, the preferred one first."""
        found: list[str] = self._formats[kernel]["peak"]
        return found

    def family_of(self, name: str) -> str:
        """Return the family of accelerators that run the same kernels, by the longest prefix, or an empty string."""
        prefixes = (
            (len(own), key) for key, entry in self._families.items() for own in entry["of"] if name.startswith(own)
        )
        return max(prefixes, default=(0, ""))[1]

    def coefficients(
        self, kind: str, accelerator: str, kernel: str = "", without: frozenset[str] = frozenset(), library: str = ""
    ) -> Efficiency:
        """Return the coefficients of a kind of kernel.

        Args:
            kind: name of a data file in ``data/efficiency``, such as ``gemm``.
            accelerator: name of the accelerator.
            kernel: format of the kernel, or kind of collective. Empty: the data have one kernel of this kind.
            without: measured accelerators to leave out, for cross-validation.
            library: library of the kernel, whose measurements come first where there are any.
        """
        key = (kind, accelerator, kernel, without, library)
        if key not in self._found:
            self._found[key] = self._look_up(*key)
        return self._found[key]

    def _look_up(self, kind: str, accelerator: str, kernel: str, without: frozenset[str], library: str) -> Efficiency:
        measured: dict[str, dict[str, Any]] = self._table(f"efficiency/{kind}")["coefficients"]
        kernel = kernel or next(iter(measured[GENERIC]))
        chain = (kernel, *self._formats.get(kernel, {}).get("nearest", ()))
        places = list(self._places(accelerator, measured, without))
        own = f"{kernel} {library}"
        for name in (own, *chain):
            for origin, place in places:
                if name in measured[place]:
                    return _read(measured[place][name], origin, place, name, name == own)
        name = next(name for name in (*chain, *measured[GENERIC]) if name in measured[GENERIC])
        return _read(measured[GENERIC][name], GENERIC, "", name)

    def _places(self, name: str, measured: Mapping[str, Any], without: frozenset[str]) -> Iterator[tuple[str, str]]:
        known = [place for place in measured if place != GENERIC and place not in without]
        own = [place for place in known if name == place or name.startswith(f"{place}-")]
        yield from ((OWN, place) for place in sorted(own, key=len, reverse=True))
        family = self.family_of(name)
        for origin, relative in ((SIBLING, family), *((NEAREST, each) for each in self._nearest(family))):
            if not relative:
                continue
            members = self._families[relative]["of"]
            related = [place for place in known if place not in own and self.family_of(place) == relative]
            for place in sorted(related, key=lambda each: [not each.startswith(own) for own in members]):
                yield origin, place

    def _nearest(self, family: str) -> Iterator[str]:
        """Yield the family whose kernels are the nearest, then the nearest of that family, and so on."""
        while family := self._families.get(family, {}).get("nearest", ""):
            yield family

    def _peak(self, accelerator: Accelerator, formats: list[str]) -> float:
        for name in formats:
            if name in accelerator.peak:
                return accelerator.peak[name]
        ratios = self._families.get(self.family_of(accelerator.name), {}).get("peaks", {})
        return accelerator.peak.get("bf16", 0) * next((ratios[name] for name in formats if name in ratios), 0)


def _read(entry: Mapping[str, Any], origin: str, place: str, kernel: str, is_library: bool = False) -> Efficiency:
    values = {name: value for name, value in entry.items() if name not in ("measurements", "error")}
    return Efficiency(values, origin, place, kernel, tuple(entry["error"]), is_library)
