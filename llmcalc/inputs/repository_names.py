"""Names of files and repositories that name a model and the format of its weights."""

from __future__ import annotations

import re
from functools import lru_cache

from ..core.architecture import Architecture
from ..core.record import NamedTuple
from ..data import table
from ..schema.model_names import LONGEST, organisation
from .gguf_names import GgufName, gguf_name


class QuantisedName(NamedTuple):
    """Names under which the model of a repository may be known, and the weight format that its name states."""

    models: tuple[str, ...]
    stated: str

    def weights(self, _: Architecture) -> str:
        """Return the weight format."""
        return self.stated

    def notes(self, name: str, _: Architecture) -> tuple[str, ...]:
        """Return a note on the weight format, which the config of the repository states for sure."""
        return (f"weights in {self.stated} are assumed from the name {name}; its config.json states the method",)


def stored_name(name: str) -> GgufName | QuantisedName | None:
    """Read the name of a GGUF file, or of a repository with quantised weights, or return None for another name."""
    return gguf_name(name) or quantised_name(name)


def quantised_name(name: str) -> QuantisedName | None:
    """Read the name of a repository with quantised weights, or return None for another name.

    >>> quantised_name("Qwen/Qwen3-32B-AWQ")
    QuantisedName(models=('Qwen/Qwen3-32B', 'Qwen3-32B'), stated='awq-int4-g128')
    """
    match = _pattern().fullmatch(name) if len(name) <= LONGEST else None
    if match is None:
        return None
    suffixes, suffix = table("repository_suffixes"), match[2].lower()
    models = (match[1], match[1].partition("/")[2] or match[1])
    return QuantisedName(models, suffixes.get(f"{organisation(name)}/{suffix}", suffixes[suffix]))


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    ends = sorted((each for each in table("repository_suffixes") if "/" not in each), key=len, reverse=True)
    return re.compile(rf"([^/]+/.+?|[^/]+?)(?:-quantized)?[-_.]({'|'.join(map(re.escape, ends))})", re.IGNORECASE)
