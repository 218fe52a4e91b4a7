"""Prices of accelerators: quotes with their dates, and the price of accelerator-hours."""

from __future__ import annotations

import re

from ..core.record import NamedTuple
from .cost import AS_GIVEN, Span
from .hardware import Accelerator

SPOT = "spot"  # kind of an offer that can end at any time
_PRICE = r"\d+\.\d+"
_DATE = r"20\d\d(-\d\d)?"


class Quote(NamedTuple):
    """A price in US dollars per hour with its date, or an empty one, and the text that states it."""

    usd: float
    dated: str
    text: str


class Price(NamedTuple):
    """Price in US dollars per accelerator-hour, and its source."""

    low: float
    high: float
    source: str

    def of(self, hours: Span) -> tuple[float, float]:
        """Return the cost range in US dollars for the given accelerator-hours."""
        return hours.low * self.low, hours.high * self.high

    def within(self, hours: float, width: float) -> tuple[float, float]:
        """Return the cost range of accelerator-hours that may be fewer or more by the factor ``width``."""
        return hours * self.low / width, hours * self.high * width


def price_quotes(accelerator: Accelerator) -> list[Quote]:
    """Return the quoted on-demand prices, or the spot prices if no others are known.

    Prices that are not confirmed are left out.
    """
    text = "" if "not confirmed" in accelerator.price else accelerator.price.rpartition(" (")[0]  # without the sources
    date = re.search(_DATE, accelerator.price)
    listed = [Quote(float(usd), date[0] if date else "", text) for usd in re.findall(_PRICE, text)]
    offered = {kind: [Quote(one.usd, one.date, str(one)) for one in accelerator.offers if (one.kind == SPOT) is kind]
               for kind in (False, True)}  # fmt: skip
    return [*offered[False], *listed] or offered[True]


def median_quote(accelerator: Accelerator) -> Quote:
    """Return the quote in the middle, or the lower one of two."""
    quotes = sorted(price_quotes(accelerator))
    return quotes[(len(quotes) - 1) // 2]


def usual_price(accelerator: Accelerator, price: Price) -> float:
    """Return the price of a GPU-hour as it was given, or the median of its quotes."""
    return price.low if price.low == price.high else median_quote(accelerator).usd


def price_of(one: Accelerator, dollars: float | None = None) -> Price | None:
    """Return the given or quoted price in US dollars per hour, or None if the price is unknown."""
    if dollars is not None:
        return Price(dollars, dollars, AS_GIVEN)
    quotes = price_quotes(one)
    if not quotes:
        return None
    texts = "; ".join(dict.fromkeys(quote.text for quote in quotes))
    source = f" ({one.price_source})" if any(quote.text in one.price for quote in quotes) else ""
    return Price(min(quotes).usd, max(quotes).usd, f"quoted: {texts}{source}")
