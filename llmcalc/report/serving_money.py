"""Texts, tables and notes about the price and the energy of served tokens."""

from __future__ import annotations

from ..core.printable import three_digits
from ..core.type_names import Any
from ..estimate.hardware import Accelerator
from ..estimate.prices import Price, usual_price
from ..serving.money import KINDS, Money
from .document import Fact, Table, table_of
from .numbers import dollars, ends_text, percent

ENERGY = "energy of the accelerators alone, without hosts, network and cooling"


def price_clause(price: tuple[float, float] | None, lead: str = "", tokens: str = "tokens") -> str:
    """Return the end of a sentence that states the price of a million tokens, if it is known.

    >>> price_clause((0.1, 0.2), "for ")
    ', for $0.100 to $0.200 per million tokens'
    """
    return f", {lead}{dollars(price)} per million {tokens}" if price else ""


def usual_price_of(span: tuple[float, float], card: Accelerator, price: Price, width: float) -> float:
    """Return the price of tokens at the usual price of a GPU-hour, from its interval."""
    return span[0] * width / price.low * usual_price(card, price)


def price_facts(result: Any, width: float, **spans: tuple[float, float] | None) -> list[Fact]:
    """Return prices of a million tokens by what they are of, each with its interval."""
    if not result.price:
        return []
    price, found, ends = result.price, list[Fact](), ""
    if price.low < price.high:
        ends = f", of {ends_text(*(f'${three_digits(usd)}' for usd in (price.low, price.high)))}"
    note = f"at ${usual_price(result.accelerator, price):g} per GPU-hour{ends}"
    for name, span in spans.items():
        if span:
            usd = usual_price_of(span, result.accelerator, price, width)
            found.append(Fact(f"price per million {name}", dollars((usd, usd)), note, interval=dollars(span)))
            note = "input and output"  # of tokens, after those of the output
    return found


def price_text(result: Any, point: Any) -> str:
    """Return the usual price of output tokens as the end of a sentence, if it is known."""
    if not result.price or not point.usd_per_million_output:
        return ""
    usd = usual_price_of(point.usd_per_million_output, result.accelerator, result.price, point.width)
    return f", ${three_digits(usd)} per million output tokens"


def money_table(own: Money) -> Table:
    """Return a table of the price and the energy of input and output tokens. It is empty if neither is known."""
    known = [kind for kind in KINDS if own.usd_per_million(kind) or own.wh_per_million(kind)]
    return table_of("price and energy per million tokens", known, {
        "tokens: name": str, "price: text": lambda kind: dollars(own.usd_per_million(kind)),
        "energy: text": lambda kind: energy_text(own.wh_per_million(kind)),
    })  # fmt: skip


def energy_text(span: tuple[float, float, float] | None) -> str:
    """Format an energy in Wh with its interval. An unknown energy is an empty string.

    >>> energy_text((100.0, 125.0, 1500.0))
    '125 Wh (100 to 1,500 Wh)'
    """
    if span is None:
        return ""
    low, best, high = map(three_digits, span)
    return f"{best} Wh" if low == high else f"{best} Wh ({low} to {high} Wh)"


def break_even(own: Money | None) -> tuple[Fact, ...]:
    """Return from which load own accelerators are cheaper than the API, if its price is given."""
    load, shares = (own.break_even_requests_per_s, own.break_even_utilisation) if own else (None, None)
    if load is None or shares is None:
        return ()
    if shares[0] > 1:
        return (Fact("break-even", "none", "the API is cheaper at this and every lower load"),)
    above = f"{ends_text(*map(percent, shares))} of this load and its interval; own GPUs are cheaper above"
    return (Fact("break-even", f"{ends_text(*map(three_digits, load))} requests/s", above),)


def money_notes(own: Money | None) -> tuple[str, ...]:
    """Return what prices and energies rest on."""
    if own is None:
        return ()
    notes = ["the time of prefills is charged to input tokens, that of decode steps to output tokens"]
    if own.power:
        doubt = f", ± {percent(own.power.error)}" if own.power.error else ""
        notes.append(f"{ENERGY}; power: {own.power.source}{doubt}")
    if own.api:
        notes.append(f"API: ${own.api.input:g} per million input and ${own.api.output:g} per million output tokens")
    return tuple(notes)


def price_notes(own: Price | None) -> tuple[str, ...]:
    """Return a note with the price of a GPU, if it is known."""
    if own is None:
        return ()
    ends = "prices of tokens are for the median quote, their intervals for all quotes and the error of the times"
    return f"price of a GPU: {dollars((own.low, own.high))} per hour, {own.source}", *([ends] * (own.low < own.high))
