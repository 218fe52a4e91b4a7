"""Prices and power that the cost and the energy of served tokens follow from."""

from __future__ import annotations

import re

from ..core.errors import InputError
from ..core.setting import LARGEST
from ..data import table
from ..estimate.hardware import Accelerator
from ..estimate.prices import price_of
from .money import ApiPrice, Terms

API_PRICE = r"(?a)\s*\$?(\d{1,6}(?:\.\d{1,6})?)\s*/\s*\$?(\d{1,6}(?:\.\d{1,6})?)\s*"


def read_terms(card: Accelerator, price: float | None, watts: float | None, api_price: str | None) -> Terms:
    """Return the prices and the power of an accelerator.

    Args:
        card: the accelerator.
        price: US dollars per hour (default: quoted prices).
        watts: measured power (default: by what kernels read and compute, from the rated power).
        api_price: prices of an API, such as ``0.5/1.5``.
    """
    api = read_api_price(api_price) if api_price is not None else None
    found = price_of(card, price)
    if api and found is None:
        hint = "add the price of a GPU-hour, such as {price=2.5}"
        raise InputError(f"no price of {card.title} is known to compare with", parameter="api_price", hint=hint)
    return Terms(found, card.power, watts, api, table("serving_power"))


def read_api_price(text: str) -> ApiPrice:
    """Return the prices of a million input and output tokens.

    >>> read_api_price("0.5/1.5")
    ApiPrice(input=0.5, output=1.5)
    """
    match = re.fullmatch(API_PRICE, text)
    prices = tuple(float(each) for each in match.groups()) if match else ()
    if not prices or not 0 < sum(prices) < LARGEST:
        hint = "use US dollars per million input and output tokens, such as {api_price=0.5/1.5}"
        raise InputError(f"invalid price {text.strip()[:40]!r}", parameter="api_price", hint=hint)
    return ApiPrice(*prices)
