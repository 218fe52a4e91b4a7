"""Models that serving engines cannot load, by what their layers are."""

from __future__ import annotations

from ..calc.kv_cache import state
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import remembered
from ..data import tables


def unserved(engine: str, architecture: Architecture) -> str:
    """Return why an engine cannot load a model, or empty text. Of unknown engines, nothing is known.

    >>> import llmcalc
    >>> unserved("vllm", llmcalc.load("t5-small"))
    'vLLM does not serve encoder-decoder models of text'
    >>> unserved("tensorrt-llm", llmcalc.load("mamba2-370m"))
    'TensorRT-LLM does not serve models without attention'
    """
    kind = _unserved_kind(engine, architecture)
    return kind and f"{tables('engines')[engine]['title']} does not serve {kind}"


def _unserved_kind(engine: str, architecture: Architecture) -> str:
    """Return the kind of models that a model is of and an engine cannot load, or empty text."""
    rule = tables("engines").get(engine, {}).get("unserved", {})
    if architecture.is_encoder_decoder and rule.get("encoder_decoder"):
        return "encoder-decoder models of text"
    kinds = {*rule.get("kinds", "").split()}
    if found := next((kind for kind in _kinds(architecture) if kind in kinds), None):
        return f"models with {found.replace('_', ' ')} layers"
    return "models without attention" if rule.get("attention_free") and not has_attention(architecture) else ""


def _kinds(architecture: Architecture) -> list[str]:
    """Return the kinds of the layers of all blocks, which are found once for all engines."""
    layers = (layer for run in architecture.main.runs for part in run.block.sublayers for _, layer in part.layers())
    return remembered(architecture, "_kinds", None, lambda: list(dict.fromkeys(layer.kind() for layer in layers)))


def unserved_note(engine: str, architecture: Architecture) -> str:
    """Return that an engine, or no known one, serves a model whose kernels are estimated, or empty text."""
    kind = _unserved_kind(engine, architecture)
    return f"no known engine serves {kind}" if kind and not _servers(architecture) else unserved(engine, architecture)


def _servers(architecture: Architecture) -> list[str]:
    return [name for name in tables("engines") if not _unserved_kind(name, architecture)]


def check_model(engine: str, architecture: Architecture) -> None:
    """Check that an engine can load a model.

    Raises:
        InputError: if it cannot. The hint names the engines that can.
    """
    if text := unserved(engine, architecture):
        others = _servers(architecture)
        hint = f"use {' or '.join(f'{{engine={name}}}' for name in others)}" if others else "no known engine serves it"
        raise InputError(text, parameter="model", hint=hint)


def has_attention(architecture: Architecture) -> bool:
    """Return whether a model caches tokens, and not only recurrent states."""

    def compute() -> bool:
        return len({state(architecture, seq=tokens, extend=True).bytes for tokens in (1, 2**20)}) > 1

    return remembered(architecture, "_has_attention", (), compute)
