"""Lookup of number formats, mixtures and accelerators by name, ignoring case, spaces and punctuation.

``Q4_K_M``, ``q4-k-m`` and ``q4_k_m`` are equivalent, and so are ``H100 SXM`` and ``h100-sxm``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from ..calc.memory.number_formats import Format, read_format
from ..calc.memory.weight_formats import TABLES, UNQUANTISED, FormatRule, RequestedFormats
from ..core.errors import InputError, UnknownNameError
from ..core.traits import NORM, ROUTER
from ..data import table, tables
from ..estimate.hardware import Accelerator, read_accelerators

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..checkpoint.published_weights import PublishedWeights
    from ..core.architecture import Architecture

VENDORS = ("nvidia", "geforce", "amd", "instinct", "google", "aws", "intel", "apple")
PLAIN_NAMES = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}
GENERAL = ("mxfp4", "nvfp4", "bf16")  # GGUF has another format of the same name
MIXTURE_KEPT = (NORM, ROUTER, *TABLES[1:])


def plain(name: str) -> str:
    """Normalise a name to lowercase letters, digits and periods.

    >>> plain("Q4_K_M"), plain("RTX 4090")
    ('q4km', 'rtx4090')
    """
    return "".join(sign for sign in name.lower() if sign.isalnum() or sign == ".")


def format_names() -> list[str]:
    """Return the names of all number formats and mixtures."""
    return [*tables("formats"), *table("mixtures")]


def _aliases(entries: Mapping[str, Any]) -> list[str]:
    """Return the names and aliases of all table entries."""
    return [alias for name, entry in entries.items() for alias in (name, *entry.get("aliases", ()))]


@lru_cache(maxsize=1)
def _formats_by_plain_name() -> dict[str, str]:
    found: dict[str, str] = {}
    for name, entry in tables("formats").items():
        for alias in _aliases({name: entry}):
            found.setdefault(plain(alias), name)
    return found


def number_format(name: str, parameter: str = "") -> Format:
    """Look up a number format by name."""
    own = _formats_by_plain_name().get(plain(name))
    if own is None:
        known = [*(table("mixtures") if parameter == "weights" else ()), *_aliases(tables("formats"))]
        hint = "run llmcalc formats list to see all formats"
        raise UnknownNameError("number format", name, known, parameter=parameter, hint=hint)
    return _read(own)


@cache
def _read(name: str) -> Format:
    entry = tables("formats")[name]
    fallback = _read(entry["fallback"]) if "fallback" in entry else None
    return read_format(name, entry, fallback)


def weight_formats(name: str, base: Format, only: Iterable[str] = (), keep: Iterable[str] = ()) -> RequestedFormats:
    """Look up a number format, or a mixture of weight formats such as ``q4_k_m``, by name."""
    chosen, kept = tuple(map(_component, only)), tuple(map(_component, keep))
    both = [part for part in chosen if part in kept]
    if both:
        raise InputError(
            f"{both[0]!r} cannot be both quantised and kept unquantised",
            parameter="keep",
            hint="list it in either {only} or {keep}",
        )
    mixture = next((entry for key, entry in table("mixtures").items() if plain(key) == plain(name)), None)
    usual: tuple[str, ...] = UNQUANTISED if mixture is None else MIXTURE_KEPT
    left = tuple(part for part in usual if part not in chosen)
    stays = (*left, *(part for part in kept if part not in left))
    if mixture is None:
        return RequestedFormats(name.lower(), number_format(name, "weights"), base, chosen, stays)
    rules = tuple(
        FormatRule(entry["of"], number_format(entry["format"]), entry.get("layers", "all"), entry.get("when", ""))
        for entry in mixture.get("rules", ())
    )
    return RequestedFormats(name.lower(), number_format(mixture["main"]), number_format("fp32"), chosen, stays, rules)


def published_weights(architecture: Architecture) -> PublishedWeights:
    """Return the weight formats of the checkpoint or config from which an architecture was loaded."""
    from ..checkpoint.published_weights import PublishedWeights, layout_candidates
    from ..checkpoint.quantisation.read import read_quantisation, safetensors_type

    told = architecture.inputs
    layout = layout_candidates(architecture)[0]
    if told.get("types"):
        formats = {name: number_format(_ggml(kind)) for name, kind in told["types"].items()}
        old = ("attn_kv_b.weight", "ffn_up.0.weight")  # older names
        layout += "+" if any(name.endswith(old) for name in formats) else ""
        return PublishedWeights(None, "F32", number_format("fp32"), layout, formats)
    if "dtype" not in told and "quantization" not in told:
        hint = "load a checkpoint or its config.json, or use {weights=FORMAT}"
        raise InputError("the published weight format is unknown", parameter="weights", hint=hint)
    dtype = safetensors_type(told.get("dtype"))
    method = told.get("quantization")
    quantisation = read_quantisation(method, dtype, bool(told.get("quantization_within"))) if method else None
    return PublishedWeights(quantisation, dtype, number_format(PLAIN_NAMES[dtype]), layout)


def _ggml(kind: str) -> str:
    """Return the number format name of a GGUF tensor type."""
    name = kind.lower()
    return name if name in tables("formats") and name not in GENERAL else f"gguf-{name}"


def _component(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ").replace("cross attention", "cross-attention")


@lru_cache(maxsize=1)
def accelerators() -> dict[str, Accelerator]:
    """Return all accelerators by name."""
    found = [one for key, entry in tables("hardware").items() for one in read_accelerators(key, entry)]
    return {one.name: one for one in found}


@lru_cache(maxsize=1)
def _accelerator_names() -> dict[str, list[str]]:
    """Return a mapping from each name and alias to the names of the matching accelerators."""
    found: dict[str, list[str]] = {}
    for key, entry in tables("hardware").items():
        own = [one.name for one in read_accelerators(key, entry)]
        for alias in _aliases({key: entry}):
            found.setdefault(plain(alias), []).extend(own)
            if len(own) > 1:
                for one in own:
                    found.setdefault(plain(alias + one.removeprefix(key)), []).append(one)
    return {alias: list(dict.fromkeys(names)) for alias, names in found.items()}


def accelerator(name: str) -> Accelerator:
    """Look up an accelerator by name, such as ``h100``, ``a100-80gb``, ``RTX 4090`` or ``tpu-v5p``."""
    wanted = plain(name)
    for vendor in VENDORS:
        wanted = wanted.removeprefix(vendor)
    names = _accelerator_names()
    candidates = names.get(wanted) or names.get(plain(name)) or []
    if not candidates and wanted:
        candidates = list(dict.fromkeys(one for alias in names if alias.startswith(wanted) for one in names[alias]))
    if not candidates:
        known, hint = _aliases(tables("hardware")), "run llmcalc hardware list to see all accelerators"
        raise UnknownNameError("accelerator", name, known, parameter="gpu", hint=hint)
    if len(candidates) > 1:
        raise InputError(f"{name!r} is ambiguous", parameter="gpu", hint=f"use one of {', '.join(candidates)}")
    return accelerators()[candidates[0]]


_NAMED = re.compile(r"(.+?)(?:(?::\s*|\s+)[x×]?|[x×])(\d{1,6})")
_COUNTED = re.compile(r"(\d{1,6})\s*[x×]\s*(.+)")


def name_and_count(gpu: str) -> tuple[str, int | None]:
    """Split a GPU specification such as ``h100:8`` into a name and an optional count.

    >>> name_and_count("h100:8"), name_and_count("mi300xx4"), name_and_count("8x h200"), name_and_count("l4")
    (('h100', 8), ('mi300x', 4), ('h200', 8), ('l4', None))
    """
    if plain(gpu) in _accelerator_names():
        return gpu, None
    if match := _COUNTED.fullmatch(gpu.strip()):
        return match[2], int(match[1])
    if match := _NAMED.fullmatch(gpu.strip()):
        return match[1], int(match[2])
    return gpu, None
