"""Inference state of a model, such as the KV cache, recurrent states and convolution states."""

from __future__ import annotations

from ..calc.kv_cache import StateSize
from ..calc.memory.number_formats import Format
from ..calc.sharding import Mesh
from ..core.record import changed
from ..core.setting import CONVENTION, SIZES
from ..inputs.arguments import read_arguments
from ..inputs.models import Source
from ..inputs.settings import CACHE, CACHE_DTYPE, CACHE_FORMAT, WHOLE_MESH
from ..quantities.state import measure

_PAGE, _BEAMS = CACHE
SETTINGS = (
    *SIZES, CACHE_DTYPE, changed(CACHE_FORMAT, kind=(str, Format)), _PAGE, changed(_BEAMS, default=1), WHOLE_MESH,
    CONVENTION,
)  # fmt: skip


def state(
    model: Source,
    *,
    batch: int = 1,
    seq: int | str | None = None,
    target_seq: int | str | None = None,
    dtype: str = "bf16",
    convention: str | None = None,
    cache: str | Format | None = None,
    page: int | str | None = None,
    extend: bool = False,
    mesh: Mesh | None = None,
    beams: int = 1,
) -> StateSize:
    """Compute the size of the KV cache, recurrent states and convolution states after ``seq`` tokens.

    >>> import llmcalc
    >>> llmcalc.state("llama3-8b", seq=8192).bytes
    1073741824

    Args:
        model: an architecture, or anything ``load`` reads.
        batch: number of sequences.
        seq: tokens per sequence (default: 2048, or the number of learned positions if smaller). A window of W tokens
            caches ``min(seq, W - 1)`` tokens, and so do chunks of W tokens, whose memory is not released in between.
        target_seq: number of decoder tokens of an encoder-decoder model (default: ``seq``).
        dtype: number format of the state.
        convention: ``torch`` counts the contents of transformers' cache objects.
        cache: number format of keys and values (default: ``dtype``).
        page: block size of a paged KV cache, in tokens.
        extend: allow sequences longer than the learned positions.
        mesh: number of ranks of each kind of parallelism, which shard the state.
        beams: number of beams per sequence. All beams share the keys and values of an encoder.

    Raises:
        InputError: an invalid workload or number format, or a setting that has no effect.
    """
    architecture, given = read_arguments(model, SETTINGS, locals())
    return measure(architecture, given)
