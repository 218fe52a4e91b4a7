"""Accelerator specifications published by vendors, including memory, bandwidth, peak FLOP/s and power."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.record import NamedTuple, fields, record
from ..core.type_names import Any

UNITS = {"GB": 10**9, "GiB": 2**30}
MIB, GBIT = 2**20, 10**9 / 8  # bytes
SYSTEM_BYTES = 2 * 2**30  # of unified memory, for the operating system and other programs: assumed
NODE = 8  # accelerators in a node, if the data do not say otherwise
TRAY = 4  # accelerators by which part of a large node grows


def usual_counts(node: int, most: int) -> list[int]:
    """Return the usual numbers of accelerators up to ``most``: powers of two in a node, and then whole nodes.

    >>> usual_counts(8, 30)
    [1, 2, 4, 8, 16, 24]
    """
    return sorted({*[1 << power for power in range(min(node, most).bit_length())], *range(node, most + 1, node)})


def parts_of_node(node: int) -> list[int]:
    """Return the numbers of accelerators that parts of a node have.

    >>> parts_of_node(18)
    [1, 2, 3, 4, 5, 6, 7, 8, 12, 16]
    """
    return [*range(1, min(node, NODE)), *range(NODE, node, TRAY)]


def more_counts(node: int, count: int, times: int) -> list[int]:
    """Return the usual numbers of accelerators that are larger than ``count``, up to a multiple of it."""
    return [size for size in usual_counts(node, times * count) if size > count]


class Offer(NamedTuple):
    """A rental price in US dollars per hour (``on demand``, ``reserved`` or ``spot``)."""

    usd: float
    kind: str
    seller: str
    date: str
    source: str

    def __str__(self) -> str:
        return f"{self.usd:.2f} {self.seller}, {self.kind} ({self.date})"


@record
class Instance:
    """A cloud instance with ``count`` accelerators, and its on-demand price if known."""

    name: str
    cloud: str
    gpu: str
    count: int
    offer: Offer | None
    source: str


def read_instance(name: str, entry: Mapping[str, Any]) -> Instance:
    """Return an instance from a data file entry."""
    usd, place = entry.get("usd"), f"{entry['cloud']} {entry.get('region', '')}".strip()
    offer = Offer(usd, "on demand", place, entry["date"], entry["price_source"]) if usd else None
    return Instance(name, entry["cloud"], entry["gpu"], entry["count"], offer, entry["source"])


@record
class Accelerator:
    """Specifications of an accelerator.

    Attributes:
        name: short name, including the memory size if the accelerator is sold with different memory sizes.
        memory_text: published memory size and its interpretation in bytes.
        usable_bytes: memory that programs can allocate according to the driver, or ``memory_bytes`` if unknown.
        usable_text: source of ``usable_bytes``.
        node: number of accelerators with fast links, which tensor parallelism requires.
        node_text: source of ``node``.
        peak: dense FLOP/s by number format, excluding unsupported and unconfirmed formats.
        link: pair of interconnect name and bidirectional bandwidth in bytes per second. The bandwidth may be None.
        joined: number of accelerators that ``link`` joins, or None for all of a node.
        bus: link of larger groups in a node, as ``link``, or None.
        unified_memory: whether the GPU and the host share one memory.
        price: quoted price in US dollars per hour, with sellers, dates and the source.
        price_source: source of the price.
        offers: rental prices with their dates.
        generation: architecture, such as ``Hopper``, or empty.
        sms: number of streaming multiprocessors.
        l2_bytes: size of the L2 cache.
        network: bytes per second that the network of the usual server gives one accelerator, in each direction.
        network_text: server of ``network``.
        checked: whether the figures were verified against their source (``true``, ``partly`` or ``false``).
        unconfirmed: disputed figures as text, never used in calculations.
    """

    name: str
    title: str
    year: int
    memory_bytes: int
    memory_text: str
    usable_bytes: int
    usable_text: str
    node: int
    node_text: str
    bandwidth: int | None
    peak: Mapping[str, int]
    sparse: Mapping[str, int]
    fp16_accumulate: Mapping[str, int]
    link: tuple[str, int | None]
    joined: int | None
    bus: tuple[str, int] | None
    unified_memory: bool
    power: int | None
    price: str
    price_source: str
    offers: tuple[Offer, ...]
    generation: str
    sms: int | None
    l2_bytes: int | None
    network: int | None
    network_text: str
    source: str
    checked: str
    unconfirmed: Mapping[str, str]
    note: str

    @property
    def vendor(self) -> str:
        """Vendor, the first word of the title."""
        return self.title.partition(" ")[0]

    @property
    def shared_bytes(self) -> int | None:
        """Memory that programs have on the GPU and in host memory together, or None if the GPU has its own memory."""
        return max(self.memory_bytes, self.usable_bytes) - SYSTEM_BYTES if self.unified_memory else None

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a plain dictionary."""
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        bus = {"name": self.bus[0], "both_ways": self.bus[1]} if self.bus else None
        offers = [offer._asdict() for offer in self.offers]
        return {**own, "link": {"name": self.link[0], "both_ways": self.link[1]}, "bus": bus, "offers": offers}


def sizes_of(key: str, entry: Mapping[str, Any]) -> list[tuple[str, int, float | None]]:
    """Return the name of the accelerator of each memory size in a data file entry, the size, and the usable GiB."""
    sizes, usable = entry["memory"], entry.get("usable", {}).get("gib")
    if not isinstance(sizes, list):
        return [(key, sizes, usable)]
    return [(f"{key}-{size}gb", size, gib) for size, gib in zip(sizes, usable or [None] * len(sizes), strict=True)]


def read_accelerator(name: str, entry: Mapping[str, Any], size: int, usable: float | None) -> Accelerator:
    """Return the accelerator of a memory size in a data file entry."""
    unit = entry.get("unit", "GB")
    reading = "10^9 bytes per GB (lower bound)" if unit == "GB" else "2^30 bytes per GiB"
    link, price, checked = entry.get("link", {}), entry.get("price", {}), entry["checked"]
    sold = ", ".join(filter(None, (price.get("source", ""), "" if price.get("checked", True) else "not confirmed")))
    network = entry.get("network", {})
    rates = (entry.get("bandwidth"), link.get("both_ways"), entry.get("power"))
    bandwidth, both_ways, power = (None if rate is None else round(rate) for rate in rates)
    flops: dict[str, Any] = {
        key: {number_format: round(rate) for number_format, rate in entry.get(key, {}).items()}
        for key in ("peak", "sparse", "fp16_accumulate")
    }
    return Accelerator(
        name=name,
        title=entry["title"] if str(size) in entry["title"] else f"{entry['title']} {size}{unit}",
        year=entry["year"],
        memory_bytes=size * UNITS[unit],
        memory_text=f"{size} {unit}, {reading}",
        usable_bytes=round(usable * UNITS["GiB"]) if usable else size * UNITS[unit],
        usable_text=f"usable: {entry['usable'].get('sources', {}).get(str(size), entry['usable']['source'])}"
        if usable
        else f"{size} {unit}, {reading}; usable part unknown",
        node=entry.get("node", {}).get("gpus", NODE),
        node_text=entry.get("node", {}).get("source", "assumed"),
        bandwidth=bandwidth,
        **flops,
        link=(link.get("name", ""), both_ways),
        joined=link.get("joins"),
        bus=(others["name"], round(others["both_ways"])) if (others := link.get("others")) else None,
        unified_memory=entry.get("unified_memory", False),
        power=power,
        price=f"{price['usd_per_hour']} ({sold})" if price else "",
        price_source=price.get("source", ""),
        offers=tuple(Offer(**offer) for offer in entry.get("offers", ())),
        generation=entry.get("generation", ""),
        sms=entry.get("sms"),
        l2_bytes=round(entry["l2_mib"] * MIB) if "l2_mib" in entry else None,
        network=round(network["gbit_per_s"] * GBIT) if network else None,
        network_text=network.get("source", ""),
        source=entry["source"],
        checked=checked if isinstance(checked, str) else str(checked).lower(),
        unconfirmed=dict(entry.get("unconfirmed", {})),
        note=entry.get("note", ""),
    )
