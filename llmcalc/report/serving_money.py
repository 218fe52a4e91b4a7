"""Tables and notes about the price and the energy of served tokens."""

from __future__ import annotations

from ..estimate.prices import Price
from ..serving.money import KINDS, Money
from .document import Fact, Table, columns
from .numbers import dollars, percent, three_digits

ENERGY = "energy of the accelerators alone, without hosts, network and cooling"


def money_table(own: Money) -> Table:
    """Return a table of the price and the energy of input and output tokens. It is empty if neither is known."""
    rows = []
    for kind in KINDS:
        price, energy = own.usd_per_million(kind), own.wh_per_million(kind)
        if price or energy:
            rows.append((kind, dollars(price) if price else "", energy_text(energy) if energy else ""))
    return Table("price and energy per million tokens", columns("tokens: name", "price: text", "energy: text"), rows)


def energy_text(span: tuple[float, float, float]) -> str:
    """Format an energy in Wh with its interval.

    >>> energy_text((100.0, 125.0, 1500.0))
    '125 Wh (100 to 1,500 Wh)'
    """
    low, best, high = (three_digits(value) for value in span)
    return f"{best} Wh" if low == high else f"{best} Wh ({low} to {high} Wh)"


def break_even(own: Money) -> Fact | None:
    """Return from which load own accelerators are cheaper than the API, or None if no price of an API is given."""
    load, shares = own.break_even_requests_per_s, own.break_even_utilisation
    if load is None or shares is None:
        return None
    if shares[0] > 1:
        return Fact("break-even", "none", "the API is cheaper at this and every lower load")
    texts = " to ".join(dict.fromkeys(map(three_digits, load)))
    used = " to ".join(dict.fromkeys(map(percent, shares)))
    return Fact(
        "break-even", f"{texts} requests/s", f"{used} of this load and its interval; own GPUs are cheaper above"
    )


def money_notes(own: Money) -> tuple[str, ...]:
    """Return what prices and energies rest on."""
    notes = ["the time of prefills is charged to input tokens, that of decode steps to output tokens"]
    if own.power:
        doubt = f", ± {percent(own.power.error)}" if own.power.error else ""
        notes.append(f"{ENERGY}; power: {own.power.source}{doubt}")
    if own.api:
        notes.append(f"API: ${own.api.input:g} per million input and ${own.api.output:g} per million output tokens")
    return tuple(notes)


def price_notes(own: Price | None) -> tuple[str, ...]:
    """Return a note with the price of a GPU, if it is known."""
    return (f"price of a GPU: {dollars((own.low, own.high))} per hour, {own.source}",) if own else ()
