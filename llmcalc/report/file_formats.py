"""A line about the format of weights that an engine reads from files, if no format is given."""

from __future__ import annotations

from ..core.architecture import Architecture
from ..core.errors import spelled
from ..inputs.gguf_names import GGUF_ENGINE, USUAL_GGUF
from ..inputs.number_formats import CHECKPOINT
from ..inputs.settings import PLAIN


def sixteen_bit_line(architecture: Architecture, engine: str, weights: str | None, dtype: str = "bf16") -> str:
    """Return a line about weights in 16 bits, which llama.cpp rarely serves, or nothing for another engine or format.

    Weights are in the published format in every command. Names of GGUF files and of models of Ollama state another one.
    """
    if weights in (None, CHECKPOINT):
        weights = "" if architecture.inputs.get("quantization") else dtype
    if engine != GGUF_ENGINE or weights not in PLAIN:
        return ""
    return spelled(f"weights: {weights}, as published; {{weights={USUAL_GGUF}}} is the usual format of GGUF files")
