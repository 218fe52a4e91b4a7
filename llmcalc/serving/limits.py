"""Limits on the times of requests."""

from __future__ import annotations

import re

from ..core.errors import InputError
from ..estimate.amounts import TIMES

LIMIT = r"(?a)\s*(ttft|tpot|e2e)\s*(?:<=?|=)\s*(\d+(?:\.\d+)?)\s*(us|ms|s)\s*"


def read_limits(text: str) -> dict[str, float]:
    """Return the limits in seconds that a text such as ``ttft<300ms,tpot<10ms`` states. A ``=`` needs no quotes.

    ``e2e`` limits the time of a whole request.

    >>> read_limits("ttft=300ms, tpot<0.01s")
    {'ttft': 0.3, 'tpot': 0.01}
    """
    found = {}
    for part in text.split(","):
        match = re.fullmatch(LIMIT, part)
        if match is None or float(match[2]) <= 0 or match[1] in found:
            unit = "add a unit, " if part.strip()[-1:].isdigit() else "use limits "
            hint = f"{unit}such as {{sla=ttft=300ms,tpot=10ms}}"
            raise InputError(f"invalid limit {part.strip()[:40]!r}", parameter="sla", hint=hint)
        found[match[1]] = float(match[2]) * TIMES[match[3]]
    return found
