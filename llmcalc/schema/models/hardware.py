"""pydantic models of accelerators, cloud instances and prices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .fields import Checked, Rate, RatesByFormat, Size, Sourced, Text
from .validation import Model


class Bus(Model):
    """A link with its total bandwidth in both directions in bytes per second."""

    name: Text
    both_ways: Rate


class Link(Model):
    """A link between accelerators, with the total bandwidth in both directions in bytes per second.

    If it joins fewer accelerators than a node has, ``others`` is the link of larger groups.
    """

    name: Text
    both_ways: Rate | None = None
    joins: Size | None = None
    others: Bus | None = None


class Price(Model):
    """Quoted prices in US dollars per hour."""

    usd_per_hour: Text
    source: Text | None = None
    checked: bool = True


class Usable(Model):
    """Memory that programs can allocate, in GiB, with one value per memory size if there are several.

    ``sources`` are those of memory sizes with another source.
    """

    gib: Rate | list[Rate | None]
    source: Text
    sources: dict[str, Text] = Field({})


class Node(Model):
    """Number of accelerators that fast links connect."""

    gpus: Size
    source: Text


class Network(Model):
    """Network bandwidth of one accelerator in its usual server."""

    gbit_per_s: Rate
    source: Text


Date = Annotated[str, Field(pattern=r"^20[0-9]{2}(-[0-9]{2}){0,2}$")]


class Offer(Model):
    """A rental price of one accelerator in US dollars per hour."""

    usd: Rate
    kind: Literal["on demand", "reserved", "spot"]
    seller: Text
    date: Date
    source: Text


class Instance(Model):
    """A cloud instance with its accelerators, and its on-demand price in US dollars per hour if known."""

    cloud: Text
    gpu: Text
    count: Size
    source: Text
    aliases: list[Text] = Field([])
    usd: Rate | None = None
    region: Text | None = None
    date: Date | None = None
    price_source: Text | None = None


class Accelerator(Sourced):
    """An accelerator with one or more memory sizes."""

    title: Text
    year: Annotated[int, Field(ge=2000, le=2100)]
    generation: Text | None = None
    checked: Checked  # a required key
    aliases: list[Text] = Field([])
    memory: Size | list[Size]
    usable: Usable | None = None
    node: Node | None = None
    unit: Literal["GB", "GiB"] = "GB"
    bandwidth: Rate | None = None
    peak: RatesByFormat = Field({})
    sparse: RatesByFormat = Field({})
    fp16_accumulate: RatesByFormat = Field({})
    link: Link | None = None
    unified_memory: bool = False
    power: Rate | None = None
    price: Price | None = None
    offers: list[Offer] = Field([])
    sms: Size | None = None
    l2_mib: Rate | None = None
    network: Network | None = None
    unconfirmed: dict[str, Text] = Field({})
