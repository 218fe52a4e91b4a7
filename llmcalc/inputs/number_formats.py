"""Lookup of number formats and mixtures by name, ignoring case, spaces and punctuation.

``Q4_K_M``, ``q4-k-m`` and ``q4_k_m`` are equivalent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache

from ..calc.memory.number_formats import Format, read_format
from ..calc.memory.weight_formats import TABLES, UNQUANTISED, FormatRule, RequestedFormats
from ..core.errors import InputError, UnknownNameError
from ..core.record import OF_LAYERS, changed, remembered
from ..core.traits import NORM, ROUTER
from ..core.type_names import TYPE_CHECKING, Any
from ..data import table, tables

if TYPE_CHECKING:
    from ..checkpoint.published_weights import PublishedWeights
    from ..core.architecture import Architecture

CHECKPOINT = "checkpoint"  # the published formats
PLAIN_NAMES = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}
GENERAL = ("mxfp4", "nvfp4", "bf16")  # GGUF has another format of the same name
_WEIGHT_INPUTS = ("types", "dtype", "quantization", "quantization_within")  # facts about a checkpoint's weights
_OTHER_SIGNS = re.compile(r"[^\w.]|_")
MIXTURE_KEPT = (NORM, ROUTER, *TABLES[1:3])  # llama.cpp quantises tables of layers, as those of Gemma 3n


def plain(name: str) -> str:
    """Normalise a name to lowercase letters, digits and periods.

    >>> plain("Q4_K_M"), plain("RTX 4090")
    ('q4km', 'rtx4090')
    """
    return _OTHER_SIGNS.sub("", name.lower())


def format_names() -> list[str]:
    """Return the names of all number formats and mixtures."""
    return [*tables("formats"), *table("mixtures")]


def aliases_of(entries: Mapping[str, Any]) -> list[str]:
    """Return the names and aliases of all table entries."""
    return [alias for name, entry in entries.items() for alias in (name, *entry.get("aliases", ()))]


@cache
def by_plain_name(folder: str) -> dict[str, str]:
    """Return the names of the entries of data files by the plain forms of their names and aliases."""
    entries = tables(folder).items()
    return {plain(alias): name for name, entry in entries for alias in (name, *entry.get("aliases", ()))}


@lru_cache(maxsize=1)
def mixtures() -> dict[str, dict[str, Any]]:
    """Return the mixtures of number formats by name, each with all of its rules."""
    own: dict[str, dict[str, Any]] = table("mixtures")
    found = dict[str, dict[str, Any]]()
    for name, entry in own.items():  # one that others are like comes before them
        like = found.get(entry.get("like", ""), {})
        found[name] = {**like, **entry, "rules": [*entry.get("rules", ()), *like.get("rules", ())]}
    return found


def mixture_name(name: str) -> str | None:
    """Return the mixture that a name means, or None.

    Dynamic mixtures have the prefix ``UD-``, which is often left out. One that is not known is the usual mixture.

    >>> [mixture_name(name) for name in ("Q4_K_M", "UD-Q4_K_XL", "q4_k_xl", "UD-IQ3_S", "bf16")]
    ['q4_k_m', 'ud-q4_k_xl', 'ud-q4_k_xl', 'iq3_s', None]
    """
    own, known = plain(name), _mixtures_by_plain_name()
    return next((known[each] for each in (own, f"ud{own}", own.removeprefix("ud")) if each in known), None)


@lru_cache(maxsize=1)
def _mixtures_by_plain_name() -> dict[str, str]:
    return {plain(name): name for name in mixtures()}


def number_format(name: str, parameter: str = "") -> Format:
    """Look up a number format by name."""
    own = name if name in tables("formats") else by_plain_name("formats").get(plain(name))
    if own is None:
        known = [*(table("mixtures") if parameter == "weights" else ()), *aliases_of(tables("formats"))]
        hint = "run llmcalc formats list to see all formats"
        raise UnknownNameError("number format", name, known, parameter=parameter, hint=hint)
    return _read(own)


@cache
def _read(name: str) -> Format:
    entry = tables("formats")[name]
    return read_format(name, entry, _read(entry["fallback"]) if "fallback" in entry else None)


def weight_formats(name: str, base: Format, only: Iterable[str] = (), keep: Iterable[str] = ()) -> RequestedFormats:
    """Look up a number format, or a mixture of weight formats such as ``q4_k_m``, by name."""
    chosen, kept = tuple(map(_component, only)), tuple(map(_component, keep))
    both = [part for part in chosen if part in kept]
    if both:
        text, hint = f"{both[0]!r} cannot be both quantised and kept unquantised", "list it in either {only} or {keep}"
        raise InputError(text, parameter="keep", hint=hint)
    found = mixture_name(name)
    mixture = mixtures()[found] if found else None
    usual: tuple[str, ...] = UNQUANTISED if mixture is None else MIXTURE_KEPT
    left = tuple(part for part in usual if part not in chosen)
    stays = (*left, *(part for part in kept if part not in left))
    if mixture is None:
        return RequestedFormats(name.lower(), number_format(name, "weights"), base, chosen, stays)
    rules = tuple(
        FormatRule(entry["of"], number_format(entry["format"]), entry.get("layers", "all"), entry.get("when", ""))
        for entry in mixture["rules"]
    )
    main, base = number_format(mixture["main"]), number_format("fp32")
    return RequestedFormats(name.lower(), main, base, chosen, stays, rules, has_host_table=True)


def kept_quantised(formats: RequestedFormats, published: str) -> RequestedFormats:
    """Return the formats of a file type of llama.cpp with the tensors that the checkpoint stores quantised.

    They are the exceptions of ``published``, the file type of the checkpoint. Files of other types keep them, such as
    the experts of gpt-oss in MXFP4 (bartowski/openai_gpt-oss-20b-GGUF, README.md; docs/data/gguf_sizes.csv).
    """
    kept = tuple(rule for rule in weight_formats(published, formats.base).rules if rule not in formats.rules)
    return changed(formats, rules=(*kept, *formats.rules))


def published_weights(architecture: Architecture) -> PublishedWeights | RequestedFormats:
    """Return the weight formats of a model's checkpoint, config or preset, or bf16 if none of them states a format."""

    def compute() -> PublishedWeights | RequestedFormats:
        from ..checkpoint.published_weights import layout_candidates

        layout = layout_candidates(architecture)[0]
        told = {name: value for name, value in architecture.inputs.items() if name in _WEIGHT_INPUTS}
        known = remembered(architecture, f"{OF_LAYERS}_weights", layout, lambda: (told, _weights(told, layout)))
        return known[1] if known[0] == told else _weights(told, layout)

    return remembered(architecture, "_published_weights", None, compute)


def _weights(told: Mapping[str, Any], layout: str) -> PublishedWeights | RequestedFormats:
    from ..checkpoint.published_weights import PublishedWeights
    from ..checkpoint.quantisation.read import read_quantisation, safetensors_type

    if told.get("types"):
        formats = {name: number_format(_ggml(kind)) for name, kind in told["types"].items()}
        old = ("attn_kv_b.weight", "ffn_up.0.weight")  # older names
        layout += "+" if any(name.endswith(old) for name in formats) else ""
        return PublishedWeights(None, "F32", number_format("fp32"), layout, formats)
    if "dtype" not in told and "quantization" not in told:
        return weight_formats("bf16", number_format("bf16"))
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
