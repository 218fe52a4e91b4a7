"""Which family a config of an unknown type is most like, judged by its keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .config import Config
from .families import names
from .irrelevant import IRRELEVANT


def most_similar(data: Mapping[str, Any]) -> str:
    """The family that leaves the fewest keys of a config unknown; of several the plainest, which stands first."""
    given = [key for key in data if key not in IRRELEVANT]
    return min(names(), key=lambda model_type: _unknown(model_type, given))


def _unknown(model_type: str, given: Collection[str]) -> int:
    own = Config({}, model_type, "")
    return sum(1 for key in given if key not in own.defaults and key not in own.aliases)
