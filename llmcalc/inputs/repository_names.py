"""Models by name: presets, GGUF files, and repositories whose names state the format of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ..core.architecture import Architecture
from ..core.record import NamedTuple
from ..core.type_names import Any
from ..data import table
from ..schema.model_names import LONGEST, organisation
from ..schema.preset_files import find_name
from .gguf_names import FILE_FORMAT, GgufName, gguf_name

MLX = "mlx"  # its methods are those of a checkpoint, as embeddings are quantised too
_MLX = r"mlx-(?:(\d)bit|(.+))"


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


class NamedModel(NamedTuple):
    """The name or alias of a preset, and what the name of a file or repository says about its weights, if anything."""

    preset: str
    file: GgufName | QuantisedName | None = None

    def inputs(self, architecture: Architecture) -> Mapping[str, Any]:
        """Return the weight format as inputs of an architecture."""
        stated = self.file.weights(architecture) if self.file else ""
        if match := re.fullmatch(_MLX, stated):
            own = {"bits": int(match[1]), "group_size": 64} if match[1] else {"mode": match[2]}
            return {"quantization": {"quant_method": MLX, **own}}
        return {FILE_FORMAT: stated} if stated else {}


def find_model(name: str) -> NamedModel | None:
    """Return the model that a name means, or None. ``schema/model_names.py`` states the rule.

    A name that ends in a weight format is that of the model without this end. It is unknown if the end is unknown, so
    that a format is never ignored.

    >>> find_model("qwen3-235b").preset, find_model("nvidia/Llama-3.3-70B-Instruct-FP4").preset, find_model("a/b")
    ('qwen3-235b-a22b', 'llama3.3-70b', None)

    Raises:
        InputError: the beginning of the names of several models.
    """
    if preset := find_name(name):
        return NamedModel(preset)
    file = stored_name(name)
    found = (find_name(each) for each in (file.models if file else ()) if each)
    return next((NamedModel(preset, file) for preset in found if preset), None)


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
    suffixes, suffix = table("repository_suffixes"), match[2].lower().replace("_", "-")
    stated = suffixes.get(f"{organisation(name)}/{suffix}") or suffixes.get(suffix)
    if not stated:  # the end of another organisation
        return None
    return QuantisedName((match[1], match[1].partition("/")[2] or match[1]), stated)


@lru_cache(maxsize=1)
def _pattern() -> re.Pattern[str]:
    """Return the pattern of names with a format, before which converters name themselves, and after which a version."""
    ends = sorted({each.rpartition("/")[2] for each in table("repository_suffixes")}, key=len, reverse=True)
    listed = "|".join(re.escape(each).replace(r"\-", "[-_]") for each in ends)
    before, after = r"(?:[-_](?:quantized|unsloth))?", r"(?:-v\d|-preview)?"
    return re.compile(rf"([^/]+/.+?|[^/]+?){before}[-_.]({listed}){after}", re.IGNORECASE)
