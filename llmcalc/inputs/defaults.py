"""Defaults shared by Python and the command line."""

from __future__ import annotations

from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.setting import SCALES, read_integer
from ..core.workload import positions

SEQ = 2048
RESERVE = "1GiB"  # per GPU, for the runtime
STEP_TOKENS = 8192  # the usual limit of vLLM, SGLang and TensorRT-LLM for serving on large GPUs
LLAMA_CPP_STEP_TOKENS = 512  # the default of n_ubatch in llama.cpp
ALL = "all"


def default_seq(*models: Architecture, mode: str = "forward") -> int:
    """Return the default sequence length.

    The default is 1 for a decode step. Otherwise, it is 2048, or the number of learned positions if smaller.

    >>> import llmcalc
    >>> default_seq(llmcalc.load("gpt3")), default_seq(llmcalc.load("gpt1")), default_seq(mode="decode")
    (2048, 512, 1)
    """
    return 1 if mode == "decode" else min([SEQ, *(positions(model) or SEQ for model in models)])


def step_limit(step_tokens: str | int | None, convention: str | None = None, is_llama_cpp: bool = False) -> int | None:
    """Return the maximum number of tokens in a serving step, or None if a step computes all tokens.

    The default is 8192, or 512 in llama.cpp. Transformers' eager code computes all tokens at once.

    >>> step_limit(None), step_limit(None, is_llama_cpp=True), step_limit(None, "torch")
    (8192, 512, None)
    >>> step_limit("2k"), step_limit("all")
    (2048, None)
    """
    if step_tokens is None:
        return None if convention == "torch" else LLAMA_CPP_STEP_TOKENS if is_llama_cpp else STEP_TOKENS
    if step_tokens == ALL:
        return None
    found = read_integer(step_tokens, SCALES) if isinstance(step_tokens, str) else step_tokens
    if not found:
        hint = f"use a number such as {STEP_TOKENS} or 8k, or {ALL}"
        raise InputError(f"invalid number of tokens {step_tokens!r}", parameter="step_tokens", hint=hint)
    return found


def cached_tokens(mode: str, context: int | None) -> int:
    """Return the number of tokens cached before a step. A decode step requires ``context``."""
    if mode == "decode" and context is None:
        raise InputError("a decode step requires the number of cached tokens", parameter="mode", hint="add {context=N}")
    return context or 0


def default_context(architecture: Architecture, new_tokens: int = 1) -> int:
    """Return the default number of tokens before new tokens, which need positions, too."""
    length, known = default_seq(architecture), positions(architecture)
    return length if known is None else max(min(length, known - new_tokens), 1)
