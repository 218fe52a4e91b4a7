"""Changed settings of a serving engine with which a model starts, or with which the GPUs store all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .engine_settings import smaller_format
from .llama_cpp_fit import LENGTH, longest_context, placements

if TYPE_CHECKING:
    from .engine_result import ServeResult

FEWEST = 256  # tokens of the shortest suggested context


def candidates(result: ServeResult) -> Iterable[dict[str, Any]]:
    """Yield changed settings that need less memory, or use more of it, in the order of what they cost."""
    if result.placed:
        yield from _of_llama_cpp(result)
        return
    settings = result.settings
    longest, available = result.longest_in(0), result.memory.available.best
    if longest >= FEWEST:
        yield {"max_model_len": longest - longest % 1024 if longest > 1024 else longest}
    if settings["share"] < 0.95:
        yield {"share": 0.95}
    if not settings.get("cache"):
        yield {"cache": "fp8"}
    for n_sequences in (256, 64, 16):
        if n_sequences < settings["max_num_seqs"]:
            yield {"max_num_seqs": n_sequences}
            if available <= 0:
                yield {"max_num_seqs": n_sequences, "max_model_len": min(8192, result.max_model_len)}
    for times in () if settings.get("attention_dp") else (2, 4, 8):
        yield {"tp": settings.get("tp", 1) * times}
    if not settings.get("weights"):
        yield {"weights": "fp8"}


def _of_llama_cpp(result: ServeResult) -> Iterator[dict[str, Any]]:
    """Yield a shorter context, the fewest experts or layers in host memory, and a smaller cache."""
    retry, settings = result.retry, result.settings
    assert retry is not None
    kind = smaller_format(result.engine, "cache")
    cache = {} if settings.get("cache") else {"cache": kind, "cache_v": kind}

    def fits(change: Mapping[str, Any]) -> bool:
        found = retry(change)
        return found.verdict == "starts" and not found.automatic

    most = retry({"auto_fit": False}).max_model_len if LENGTH in result.automatic else result.max_model_len
    if LENGTH not in result.automatic and (length := _rounded(longest_context(most, fits))):
        yield {LENGTH: length}
    if not result.automatic:
        yield from placements(result, fits)
    if cache and fits(cache):
        yield cache
    elif cache and (length := _rounded(longest_context(most, lambda change: fits({**cache, **change})))):
        yield {LENGTH: length, **cache}


def _rounded(length: int) -> int:
    return length - length % 1024 if length > 1024 else length
