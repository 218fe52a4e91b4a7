"""State of a model between tokens: KV cache, recurrent states and convolution tails."""

from __future__ import annotations

from ..calc.kv_cache import StateSize
from ..calc.kv_cache import state as count
from ..calc.memory.number_formats import Format
from ..calc.sharding import Mesh
from .defaults import default_seq
from .load import Source, load


def state(
    model: Source,
    *,
    batch: int = 1,
    seq: int | None = None,
    target_seq: int | None = None,
    dtype: str = "bf16",
    convention: str | None = None,
    cache: str | Format | None = None,
    page: int | None = None,
    extend: bool = False,
    mesh: Mesh | None = None,
    beams: int = 1,
) -> StateSize:
    """Size of the state after ``seq`` tokens: KV cache, recurrent states and convolution tails.

    >>> import llmcalc
    >>> llmcalc.state("llama3-8b", seq=8192).bytes
    1073741824

    Args:
        model: an architecture, or anything ``load`` reads.
        batch: sequences.
        seq: tokens per sequence (default: 2048, or the model's learned positions if fewer). A window of W tokens keeps
            ``min(seq, W - 1)`` of them.
        target_seq: decoder tokens of an encoder-decoder model (default: ``seq``).
        dtype: number format of the state.
        convention: ``torch`` counts what transformers' cache objects hold.
        cache: number format of keys and values (default: ``dtype``).
        page: block size of a paged KV cache, in tokens.
        extend: allow sequences beyond the learned positions.
        mesh: ranks that shard the state.
        beams: beams per sequence. Keys and values of an encoder are shared by all beams.

    Raises:
        InputError: an invalid workload or number format.
    """
    architecture = load(model)
    if isinstance(cache, str):
        from .names import number_format

        cache = number_format(cache, "cache")
    return count(
        architecture, batch=batch, seq=default_seq(architecture) if seq is None else seq, target_seq=target_seq,
        dtype=dtype, convention=convention, cache=cache, page=page, extend=extend, mesh=mesh, beams=beams,
    )  # fmt: skip
