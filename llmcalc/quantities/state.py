"""Size of the KV cache and other state.

elements: keys and values, latents and recurrent states that persist between decode steps
    omits: recomputed values
    like: shazeer2019
bytes: the elements in their number formats; recurrent states are in fp32
    omits: engines' metadata and unused blocks
    unlike: publications that count every state in 2 bytes
"""

from __future__ import annotations

from typing import Any

from ..analysis.quantity import Quantity
from ..calc.explain import state_tree
from ..calc.kv_cache import StateSize, state
from ..calc.memory.number_formats import BITS_A_BYTE
from ..core.architecture import Architecture
from ..core.form import Form
from ..core.setting import CONVENTION, SIZES
from ..inputs.number_formats import number_format
from ..inputs.settings import CACHE, CACHE_DTYPE, CACHE_FORMAT, split_settings

NAMES = ("dtype", "page", "beams", "mesh")


def measure(architecture: Architecture, settings: dict[str, Any]) -> StateSize:
    """Compute the size of the state with valid settings, which may have no effect."""
    sizes, _, _, convention = split_settings(settings, architecture)
    given, cache = {name: settings[name] for name in NAMES if name in settings}, settings.get("cache")
    stored = number_format(cache, "cache") if isinstance(cache, str) else cache
    return state(architecture, **sizes, **given, cache=stored, convention=convention)


def state_form(result: StateSize, part: str) -> tuple[Form, int]:
    """Return the closed form of the state size and its divisor.

    If the byte coefficients are not integers, the closed form counts bits and the divisor is 8.
    """
    bits = result.bits_form
    if part == "elements":
        return result.form, 1
    if any(factor % BITS_A_BYTE for factor in bits.terms.values()):
        return bits, BITS_A_BYTE
    return Form({atoms: factor // BITS_A_BYTE for atoms, factor in bits.terms.items()}), 1


QUANTITY = Quantity(
    "state", "state", "bytes", measure, state_tree,
    settings=(*SIZES, CACHE_DTYPE, CACHE_FORMAT, *CACHE, CONVENTION),
    unexplained=("dtype", "cache"),
    parts={"elements": "elements", "bytes": "bytes"},
    form=state_form,
    target=lambda result: result.bytes,
    has_size_forms=True,
    results=(StateSize,),
    evidence={"": StateSize.EVIDENCE},
)  # fmt: skip
