"""Accelerators on which serving engines run, and the weight formats that the engines read there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import NamedTuple
from ..core.type_names import Any
from ..data import table, tables
from ..estimate.hardware import Accelerator
from ..inputs.gguf_names import FILE_FORMAT, published_format
from ..inputs.number_formats import CHECKPOINT, mixture_name, number_format
from ..inputs.settings import PLAIN

GGUF, SAFETENSORS = "gguf", "safetensors"
ANY = {GGUF, SAFETENSORS}
MLX = "mlx"  # a quantisation that only MLX reads, which is none of the engines


def engines_on(card: Accelerator) -> Iterator[Mapping[str, Any]]:
    """Yield the profiles of the engines that run on an accelerator."""
    return (one for one in tables("engines").values() if _runs_on(one, card))


def _runs_on(profile: Mapping[str, Any], card: Accelerator) -> bool:
    devices = profile["devices"]
    return card.vendor in devices["vendors"] and card.generation not in devices.get("without", ())


def engine_titles(card: Accelerator) -> list[str]:
    """Return the titles of the engines that run on an accelerator."""
    return [one["title"] for one in engines_on(card)]


def check_engine(engine: str, card: Accelerator | None) -> None:
    """Check that an engine runs on an accelerator. Of unknown engines and accelerators, nothing is known.

    Raises:
        InputError: if it does not.
    """
    profile = tables("engines").get(engine)
    if profile is None or card is None or _runs_on(profile, card):
        return
    others = " or ".join(engine_titles(card))
    hint = f"use {others}" if others else f"use a GPU of {', '.join(profile['devices']['vendors'])}"
    raise InputError(f"{profile['title']} does not run on {card.title}", parameter="gpu", hint=hint)


def supports(card: Accelerator | None, name: str) -> bool:
    """Return whether a search may suggest a weight format for an accelerator, or for one of which only the memory is
    known: its hardware computes with the format, and an engine reads it there.
    """
    generations = tables("formats").get(name, {}).get("generations")
    return card is None or ((not generations or card.generation in generations) and has_reader(card, name))


def has_reader(card: Accelerator | None, weights: str | None, architecture: Architecture | None = None) -> bool:
    """Return whether an engine reads weights in a format, by default that of the checkpoint, on an accelerator.

    >>> from llmcalc.inputs.gpus import accelerators
    >>> mac, tpu = accelerators()["m4-max-40c-64gb"], accelerators()["tpu-v5e"]
    >>> [has_reader(card, name) for card in (mac, tpu) for name in ("bf16", "fp8", "q4_k_m")]
    [True, False, True, True, True, False]
    """
    files = _files(architecture) if weights in (None, CHECKPOINT) else _files_in(str(weights))
    return card is None or any(
        one["devices"]["files"] in files and not _refusal(one, card, weights, architecture) for one in engines_on(card)
    )


def refused_format(
    engine: str, card: Accelerator | None, weights: str | None, architecture: Architecture | None = None
) -> str:
    """Return why an engine does not compute with a weight format on an accelerator, or empty text.

    >>> from llmcalc.inputs.gpus import accelerators
    >>> refused_format("vllm", accelerators()["v100-sxm2-32gb"], "awq-int4-g128")
    'vLLM does not compute with awq-int4-g128 on Volta GPUs (it needs compute capability 7.5)'
    """
    profile = tables("engines").get(engine)
    return _refusal(profile, card, weights, architecture) if profile and card else ""


def check_weights(
    engine: str, card: Accelerator | None, formats: Iterable[str | None], architecture: Architecture
) -> None:
    """Check that an engine computes with all weight formats on an accelerator. None is that of the checkpoint.

    Raises:
        InputError: if it does not.
    """
    for name in formats:
        if text := refused_format(engine, card, name, architecture):
            raise InputError(text, parameter="weights", hint="use another format or a newer GPU")


def _refusal(
    profile: Mapping[str, Any], card: Accelerator, weights: str | None, architecture: Architecture | None
) -> str:
    rules = [rule for rule in profile.get("formats", ()) if card.generation in rule["without"]]
    if not rules:
        return ""
    name = _method(architecture) if weights in (None, CHECKPOINT) else _format_name(str(weights))
    words = {*re.split(r"[\s_-]+", name)}
    for rule in rules:
        if any(own in words or name == own for own in rule["names"].split()):
            text = f"{profile['title']} does not compute with {name} on {card.generation} GPUs"
            return f"{text} (it needs {rule['needs']})"
    return ""


def _format_name(weights: str) -> str:
    """Return the name of a number format without GGUF types, which are not formats of these engines."""
    return "" if mixture_name(weights) else number_format(weights, "weights").name


def _method(architecture: Architecture | None) -> str:
    """Return the quantisation method of a checkpoint as words, or empty text."""
    told: Mapping[str, Any] = architecture.inputs if architecture else {}
    method = told.get("quantization") or {}
    if not method.get("quant_method"):
        return ""
    from ..checkpoint.quantisation.read import read_quantisation  # needed only by quantised checkpoints

    with suppress(InputError):
        return read_quantisation(method, str(told.get("dtype") or "bf16")).name
    return str(method["quant_method"])


def checkpoint_format(card: Accelerator | None, architecture: Architecture) -> str | None:
    """Return the format in which engines on an accelerator read a checkpoint with quantised weights.

    This is its own format, or that of files into which it is converted without a loss, or None.

    >>> import llmcalc
    >>> from llmcalc.inputs.gpus import accelerators
    >>> checkpoint_format(accelerators()["m4-max-40c-64gb"], llmcalc.load("gpt-oss-20b"))
    'mxfp4_moe'
    """
    if has_reader(card, None, architecture):
        return CHECKPOINT
    found = (published_format(architecture, engine) for engine in tables("engines"))
    return next((name for name in found if name and has_reader(card, name)), None)


def reads(card: Accelerator | None, architecture: Architecture, weights: str | None) -> bool:
    """Return whether an engine on an accelerator reads weights in a format, by default in that of the checkpoint."""
    if weights is None:
        return checkpoint_format(card, architecture) is not None
    return has_reader(card, weights, architecture)


def is_reachable(card: Accelerator | None, count: int) -> bool:
    """Return whether an engine divides a model over a number of accelerators, in one computer or in several."""
    return card is None or count <= card.node or any(one["devices"]["several_computers"] for one in engines_on(card))


class AssumedEngine(NamedTuple):
    """An engine that is assumed, and why, or an empty reason if it is the usual one."""

    name: str
    reason: str

    @property
    def notes(self) -> list[str]:
        """A note on the engine, unless it is the usual one."""
        if not self.reason:
            return []
        return [f"{tables('engines')[self.name]['title']} is assumed, {self.reason}: {{engine}} sets another"]


def default_engine(architecture: Architecture, card: Accelerator | None, weights: str | None) -> AssumedEngine:
    """Return the engine that usually serves a model on an accelerator, or on one of which only the memory is known.

    It runs there and reads the weights, by default those of the checkpoint.

    >>> import llmcalc
    >>> from llmcalc.inputs.gpus import accelerators
    >>> default_engine(llmcalc.load("gpt2"), accelerators()["h100-sxm"], "q4_k_m")
    AssumedEngine(name='llama.cpp', reason='which reads q4_k_m')
    """
    profiles = tables("engines")
    known = {name: profiles[name]["devices"] for name in table("engine_steps")["engines"] if name in profiles}
    usual, is_own = next(iter(known)), weights in (None, CHECKPOINT)
    here = [name for name in known if card is None or _runs_on(profiles[name], card)]
    files = _files(architecture) if is_own else _files_in(str(weights))
    readers = [one for one in here if known[one]["files"] in files or (is_own and published_format(architecture, one))]
    readers = [one for one in readers if not refused_format(one, card, weights, architecture)] or readers
    generation = card.generation if card else ""
    preferred = [name for name in readers if generation in known[name].get("usual", ())]
    name = next(iter(preferred or readers or here))
    if name == usual:
        reason = ""
    elif card and len(here) == 1:
        reason = f"the only known engine for {card.vendor} GPUs"
    else:
        reason = f"as usual on {generation}" if preferred else f"which reads {'GGUF files' if is_own else weights}"
    return AssumedEngine(name, reason)


def _files_in(weights: str) -> set[str]:
    """Return the kinds of files that store weights in a format. 16-bit weights are stored in all of them."""
    if mixture_name(weights):
        return {GGUF}
    name = number_format(weights, "weights").name
    return ANY if name in PLAIN else {GGUF} if "ggml" in tables("formats")[name] else {SAFETENSORS}


def _files(architecture: Architecture | None) -> set[str]:
    """Return the kinds of files that store a checkpoint. One without quantised weights is converted without a loss."""
    told: Mapping[str, Any] = architecture.inputs if architecture else {}
    if stated := told.get(FILE_FORMAT):
        return _files_in(stated)
    if (method := told.get("quantization")) and method.get("quant_method") == MLX:
        return {MLX}
    return {GGUF} if told.get("types") else {SAFETENSORS} if method else ANY


def refuses_dtype(engine: str, card: Accelerator | None, dtype: str | None) -> bool:
    """Return whether an engine refuses activations in bf16, because the accelerator computes only in fp16."""
    peak = card.peak if card else {"bf16": 0}
    is_checked = tables("engines")[engine]["devices"].get("checks_dtype", False)
    return is_checked and dtype == "bf16" and "bf16" not in peak and "fp16" in peak
