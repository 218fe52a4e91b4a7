"""An accelerator: what it holds, moves and computes, as its vendor says. Sparse peaks stand apart, never a default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.record import fields, record

UNITS = {"GB": 10**9, "GiB": 2**30}


@record
class Accelerator:
    """One accelerator.

    Attributes:
        name: what it is called; with its memory, where models differ in it.
        title: its full name.
        year: when it came out.
        memory_bytes: its memory.
        memory_text: the vendor's figure, and how it is read.
        bandwidth: bytes a second of its memory, or None.
        peak: dense FLOP/s by number format; nothing for formats that it does not compute in, or that are not confirmed.
        sparse: FLOP/s with structured zeros.
        fp16_accumulate: FLOP/s where sums are kept in fp16.
        link: name of the link to its neighbours, and its bytes a second in both directions together (or None).
        power: watts, or None.
        price: US dollars an hour as quoted, with sellers and dates.
        source: where the figures come from.
        checked: ``true``, ``partly`` (some figures were not read in the source) or ``false``.
        unconfirmed: figures on which sources differ, as text; nothing is computed from them.
        note: what else to know.
    """

    name: str
    title: str
    year: int
    memory_bytes: int
    memory_text: str
    bandwidth: int | None
    peak: Mapping[str, int]
    sparse: Mapping[str, int]
    fp16_accumulate: Mapping[str, int]
    link: tuple[str, int | None]
    power: int | None
    price: str
    source: str
    checked: str
    unconfirmed: Mapping[str, str]
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data whose keys are the attribute names."""
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**own, "link": {"name": self.link[0], "both_ways": self.link[1]}}


def read_accelerators(key: str, entry: Mapping[str, Any]) -> list[Accelerator]:
    """The accelerators of an entry of the data files: one for each size of memory."""
    sizes, unit = entry["memory"], entry.get("unit", "GB")
    several = isinstance(sizes, list)
    return [_read(f"{key}-{size}gb" if several else key, entry, size, unit) for size in (sizes if several else [sizes])]


def _read(name: str, entry: Mapping[str, Any], size: int, unit: str) -> Accelerator:
    reading = "10^9 bytes each, the smaller reading" if unit == "GB" else "2^30 bytes each"
    link, price, checked = entry.get("link", {}), entry.get("price", {}), entry["checked"]
    sold = ", ".join(filter(None, (price.get("source", ""), "" if price.get("checked", True) else "not confirmed")))
    return Accelerator(
        name,
        entry["title"] if str(size) in entry["title"] else f"{entry['title']} {size}{unit}",
        entry["year"],
        size * UNITS[unit],
        f"{size} {unit}, {reading}",
        _whole(entry.get("bandwidth")),
        _peaks(entry.get("peak", {})),
        _peaks(entry.get("sparse", {})),
        _peaks(entry.get("fp16_accumulate", {})),
        (link.get("name", ""), _whole(link.get("both_ways"))),
        _whole(entry.get("power")),
        f"{price['usd_per_hour']} ({sold})" if price else "",
        entry["source"],
        checked if isinstance(checked, str) else str(checked).lower(),
        dict(entry.get("unconfirmed", {})),
        entry.get("note", ""),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _peaks(found: Mapping[str, float]) -> dict[str, int]:
    return {name: round(value) for name, value in found.items()}
