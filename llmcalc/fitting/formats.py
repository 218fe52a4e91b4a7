"""Weight formats that are tried for a GPU, with their bits per weight."""

from __future__ import annotations

from ..core.architecture import Architecture
from ..core.record import NamedTuple, remembered
from ..data import table
from ..engines.hardware import checkpoint_format, supports
from ..estimate.hardware import Accelerator
from .memory import serving_weights

# common weight formats, most bits first
FORMATS = (
    "bf16", "int8-channel", "q8_0", "mxfp8", "fp8", "fp8-block", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s",
    "nvfp4", "nf4", "mxfp4", "gptq-int4-g128", "awq-int4-g128", "nf4-double", "iq4_xs", "q3_k_m", "iq3_m", "q2_k",
    "iq2_m", "iq2_xxs", "iq1_s",
)  # fmt: skip

# other formats into which llama.cpp quantises, between those above
LLAMA_CPP = (
    "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl", "q3_k_l", "iq3_s", "q3_k_s", "iq3_xs", "iq3_xxs", "q2_k_s", "iq2_s",
    "iq2_xs", "iq1_m",
)  # fmt: skip


class WeightBits(NamedTuple):
    """Total bits and elements of weights in a format. Published formats and formats of llama.cpp are marked."""

    bits: int
    elements: int
    is_published: bool
    is_llama_cpp: bool

    @property
    def average(self) -> float:
        """Average number of bits per weight."""
        return self.bits / self.elements


def weight_bits(
    architecture: Architecture,
    weights: str | None,
    dtype: str,
    only: tuple[str, ...] = (),
    keep: tuple[str, ...] = (),
) -> WeightBits:
    """Return the total bits of the weights in a format."""

    def compute() -> WeightBits:
        formats = serving_weights(architecture, weights, dtype, only, keep)
        stored = formats.stored(architecture)
        totals = sum(one.bits for one in stored), sum(one.elements for one in stored)
        return WeightBits(*totals, formats.published, formats.has_host_table)

    return remembered(architecture, "_weight_bits", (weights, dtype, only, keep), compute)


def format_candidates(architecture: Architecture, dtype: str, card: Accelerator | None = None) -> dict[str, float]:
    """Return the common weight formats that a GPU supports, with their bits per weight.

    If the published checkpoint is quantised, the candidates are its own formats and formats with fewer bits. If no
    engine of the GPU reads it, they are all formats. File types of llama.cpp are left out if another one is smaller and
    has a lower measured perplexity, such as Q4_1 beside Q4_K_M.
    """
    known = [name for name in (*FORMATS, *LLAMA_CPP) if supports(card, name)]
    bits = {name: weight_bits(architecture, name, dtype).average for name in known}
    own = checkpoint_format(card, architecture) if weight_bits(architecture, None, dtype).is_published else None
    if own:
        most = weight_bits(architecture, own, dtype).average
        bits = {own: most, **{name: size for name, size in bits.items() if size < most}}
    return {name: size for name, size in bits.items() if not _is_surpassed(name, bits)}


def _is_surpassed(name: str, bits: dict[str, float]) -> bool:
    """Return whether another file type has a lower perplexity in at most as many bits."""
    types = table("mixtures")
    own = types.get(name, {}).get("perplexity")
    others = ((size, types.get(other, {}).get("perplexity")) for other, size in bits.items())
    return own is not None and any(size <= bits[name] and their is not None and their < own for size, their in others)
