"""Names of GGUF files and their repositories, which name a model and usually the format of its weights."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..core.architecture import Architecture
from ..data import tables

USUAL_GGUF, GGUF_ENGINE = "q4_k_m", "llama.cpp"
FILE_FORMAT = "file_format"  # input of an architecture: weight format of the file that the user names
LONGEST = 500  # characters
_QUANT = r"(?:UD-)?(I?Q\d\w*|BF16|F16|F32|MXFP4(?:_MOE)?)"
_GGUF = re.compile(
    rf"((?:[^/]*/)*([^/:]+?))(?:[-.]{_QUANT})?(?:[-_.]GGUF(?:[:]{_QUANT})?|\.gguf)", re.IGNORECASE
)  # org/Qwen3-8B-GGUF:Q4_K_M, and the path of Qwen3-8B-Q4_K_M.gguf


class GgufName(NamedTuple):
    """Names under which a model may be known, the name in the file, and the weight format, empty if not stated."""

    models: tuple[str, ...]
    model: str
    stated: str

    def weights(self, architecture: Architecture) -> str:
        """Return the weight format, which is the published or usual one if the name states none."""
        own = self.stated or usual_format(architecture)
        kinds: dict[str, str] = tables("engines")[GGUF_ENGINE]["published"]
        return kinds.get(own, own)

    def notes(self, name: str, architecture: Architecture) -> tuple[str, ...]:
        """Return a note on the weight format if the name states none."""
        usual = usual_format(architecture)
        return () if self.stated else (f"weights in {usual} are assumed, since the name {name} states no format",)


def gguf_name(name: str) -> GgufName | None:
    """Read the name of a GGUF file or of its repository, or return None for another name.

    >>> gguf_name("unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M")
    GgufName(models=('Qwen3-30B-A3B', 'unsloth/Qwen3-30B-A3B', ''), model='Qwen3-30B-A3B', stated='q4_k_m')
    """
    match = _GGUF.fullmatch(name) if len(name) <= LONGEST else None
    if match is None:
        return None
    models = (match[2], match[1], match[2].partition("_")[2])
    return GgufName(models, match[2], (match[4] or match[3] or "").lower())


def usual_format(architecture: Architecture) -> str:
    """Return the format of GGUF files whose name states none: that of the checkpoint, or the most common one."""
    return published_format(architecture, GGUF_ENGINE) or USUAL_GGUF


def published_format(architecture: Architecture, engine: str) -> str | None:
    """Return the engine's format of a checkpoint with quantised weights, if the engine has such a format."""
    method = (architecture.inputs.get("quantization") or {}).get("quant_method")
    found = tables("engines").get(engine, {}).get("published", {}).get(method)
    return str(found) if found else None
