"""Speculative decoding as the settings of an engine ask for it, and what it changes before a draft is loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction

from ...core.errors import InputError
from ...core.record import NamedTuple
from ...core.setting import Setting
from ...core.type_names import Any
from .states import StatePool

MODEL, MTP, EAGLE, EAGLE3, NONE = "draft_model", "mtp", "eagle", "eagle3", "none"
METHODS = {  # of engines: the method
    "eagle": EAGLE, "eagle3": EAGLE3, "nextn": MTP, "mtp": MTP, "standalone": MODEL, "draft_model": MODEL,
    "simple": MODEL, "suffix": NONE, "none": NONE,
}  # fmt: skip
HEADS = (EAGLE, EAGLE3)
LLAMA_CPP = "sum"
DRAFTED = 3  # tokens that llama.cpp drafts by default
POOLED_DRAFTED, POOLED_REQUESTS = 4, 48  # tokens and requests of SGLang with drafts, unless they are given


class Asked(NamedTuple):
    """Speculative decoding as settings ask for it: its method, the name of the draft, its tensor-parallel ranks and
    the format of its weights.
    """

    method: str
    name: str = ""
    tp: int = 0
    weights: str | None = None


def asked_draft(settings: Mapping[str, Any]) -> Asked | None:
    """Return the speculative decoding that settings ask for, or None."""
    found = {"method": settings.get("draft_method"), "model": settings.get("draft"), **_config(settings)}
    name, typed = str(found.get("model") or ""), _typed(str(found.get("method") or ""))
    if not name and not typed:
        return None
    method = _method(typed)
    if not method and typed:
        hint = f"use one of {', '.join(sorted(METHODS))}"
        raise InputError(f"the method {typed!r} is not known", parameter="draft_method", hint=hint)
    lowered = name.lower()
    guessed = EAGLE3 if "eagle3" in lowered else EAGLE if "eagle-" in lowered else MODEL
    if method == EAGLE and not name:  # SGLang: the layer of the model itself
        method = MTP
    tp, weights = int(found.get("draft_tensor_parallel_size") or 0), found.get("quantization")
    return Asked(method or guessed, name, tp, str(weights) if weights else None)


def stated_method(settings: Mapping[str, Any]) -> str:
    """Return the method that settings state, or an empty string."""
    return _method(_typed(str(_config(settings).get("method", settings.get("draft_method")) or "")))


def _method(typed: str) -> str:
    """Return the method that an option names, or an empty string."""
    return METHODS.get(typed) or (MTP if typed.endswith("_mtp") else "")


def drafted_tokens(settings: Mapping[str, Any]) -> int | None:
    """Return the number of drafted tokens per step as the engine counts them, or None if settings state none."""
    found = _config(settings).get("num_speculative_tokens", settings.get("draft_tokens"))
    if found is not None:
        Setting("num_speculative_tokens", int, least=1).check(found)
    return found


def kept_drafts(settings: Mapping[str, Any]) -> int:
    """Return the number of drafted tokens for which vLLM keeps recurrent states, also if they are looked up."""
    asked = asked_draft(settings)
    return 0 if asked is None else drafted_tokens(settings) or int(asked.method != NONE)


def steps_in_flight(settings: Mapping[str, Any]) -> int:
    """Return the number of steps whose tokens vLLM counts for a window, because no earlier step frees their blocks.

    A step is scheduled while the one before it runs, and each pipeline stage computes another one. The first model
    runner does only one of both, and older versions only count one step.

    >>> steps_in_flight({"counts_in_flight": True, "serial_drafts": []})
    2
    """
    if not settings.get("counts_in_flight"):
        return 1
    stages, overlaps = int(settings.get("pp", 1)), settings.get("async_scheduling")
    if overlaps is None:
        asked = asked_draft(settings)
        overlaps = asked is None or asked.method not in settings["serial_drafts"]
    return stages + bool(overlaps and (stages == 1 or settings.get("overlaps_stages")))


def _config(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON value of ``speculative_config``."""
    text = settings.get("speculative_config")
    if not text:
        return {}
    try:
        return {**json.loads(text)}
    except (ValueError, TypeError):
        hint = 'use JSON such as {"model": "MODEL", "num_speculative_tokens": 3}'
        raise InputError("invalid JSON in speculative_config", parameter="command", hint=hint) from None


def _typed(names: str) -> str:
    """Return the method of an option. llama.cpp accepts several, separated by commas, and calls its drafts draft-*."""
    drafts = [name.removeprefix("draft-") for name in names.lower().split(",") if not name.lower().startswith("ngram")]
    return next(iter(drafts), NONE)


def state_copies(settings: Mapping[str, Any], rule: str) -> int:
    """Return the number of copies of recurrent states that llama.cpp keeps, to go back to any drafted token."""
    asked = asked_draft(settings) if rule == LLAMA_CPP else None
    is_kept = asked is not None and asked.method in (MTP, EAGLE3)
    return 1 + (settings.get("draft_tokens") or DRAFTED) if is_kept else 1


def state_pool(settings: Mapping[str, Any], given: Mapping[str, Any], has_draft: bool) -> StatePool:
    """Return SGLang's pool of recurrent states on a rank.

    A running request has one further state for each drafted token.
    """
    keeps_prefixes = not settings.get("disable_radix_cache")
    requests = settings["max_num_seqs"] if "max_num_seqs" in given else POOLED_REQUESTS if has_draft else None
    total = settings.get("max_states", None if keeps_prefixes else requests)
    replicas = settings.get("dp", 1) if settings.get("attention_dp") else 1
    drafted = (settings.get("draft_tokens") or POOLED_DRAFTED) if has_draft else 0
    return StatePool(
        slots=None if total is None else int(total) // replicas, ratio=Fraction(str(settings["state_ratio"])),
        per_request=settings["states_per_request"] if keeps_prefixes else 1, drafted=drafted,
        running=(requests or 0) // replicas, padding=settings["padding_states"], is_joint=settings["joint_states"],
    )  # fmt: skip
