"""Read what a serving engine prints while it starts: its version, its arguments and the memory that it charges.

Every figure is printed in one line, by one or several workers. Of several workers, the one that limits the engine
counts: the one with the largest weights and activations, or with the smallest cache.
"""

from __future__ import annotations

import os
import re
import sys
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper

from ..core.record import NamedTuple
from ..schema.preset_files import open_file

LONGEST_LINE = 1 << 16  # characters that are read of a line: vLLM prints its configuration in about 6,000
MOST_CHARACTERS = 1 << 25  # of a log
MOST_VALUES = 4_096  # of one figure
STANDARD_INPUT = "-"
MIB = 1 / 1024  # GiB

NUMBER = r"(-?\d[\d,]{0,20}(?:\.\d{1,9})?)"


class Line(NamedTuple):
    """Pattern of a line with a figure, and words that such a line contains, which are found faster."""

    words: str
    pattern: re.Pattern[str]


class Figure(NamedTuple):
    """Figure that an engine prints: its name here, the value that counts among several, and its lines."""

    name: str
    choose: Callable[[list[float]], float]
    lines: tuple[Line, ...]
    scale: float = 1.0


class EngineLog(NamedTuple):
    """Contents of a log.

    Attributes:
        engine: ``vllm``, ``sglang``, ``llama.cpp`` or ``tensorrt-llm``.
        version: version as printed, or an empty string.
        model: repository or path of the model, or an empty string.
        arguments: arguments of the command line by name, such as ``max_model_len``.
        device: name of the GPU, or an empty string.
        figures: value of each figure. The unit is the end of its name, such as ``kv_cache_gib``.
        failure: first error of a start that failed, or an empty string.
    """

    engine: str
    version: str
    model: str
    arguments: dict[str, object]
    device: str
    figures: dict[str, float]
    failure: str = ""


def _first(values: list[float]) -> float:
    return values[0]


def _figure(name: str, choose: Callable[[list[float]], float], *patterns: str, scale: float = 1.0) -> Figure:
    lines = (Line(_words(pattern), re.compile(pattern.replace("@", NUMBER))) for pattern in patterns)
    return Figure(name, choose, tuple(lines), scale)


def _words(pattern: str) -> str:
    """Return the longest part of a pattern that each match contains literally."""
    outside = _IN_BRACKETS.sub("\0", _IN_BRACKETS.sub("\0", pattern))
    found: list[str] = _LITERAL.findall(outside)
    return max(found, key=len)


_IN_BRACKETS = re.compile(r"\\.|\([^()]*\)|\[[^]]*\]")
_LITERAL = re.compile(r"[\w #:=-]+(?![?*+{])")
_DEVICES = r"(?:CUDA|ROCm|Vulkan|Metal|MTL|SYCL|CANN)\w{0,3}"
FIGURES = {
    "vllm": (
        _figure(
            "gpu_memory_gib", _first, r"total_memory=@GiB", r"total_gpu_memory[ =(]{1,9}@ ?GiB", r"\([\d.]{1,9}/@ GiB\)"
        ),
        _figure(
            "weights_gib", max, r"odel loading took @ ?G", r"oading model weights took @ ?G", r"weights take @ ?GiB"
        ),
        _figure(
            "activation_gib",
            max,
            r"torch peak memory increase: @ ?GiB",
            r"activation peak memory takes @ ?GiB",
            r"(?<![\d,.-])@ GiB for peak activation",
        ),
        _figure(
            "non_torch_gib",
            max,
            r"non-torch forward increase memory: @ ?GiB",
            r"non_torch_memory takes @ ?GiB",
            r"(?<![\d,.-])@ GiB for non-torch",
        ),
        _figure("free_gib", min, r"nitial free memory: @ ?GiB", r"emory on device \(@/"),
        _figure("graphs_estimated_gib", max, r"Estimated CUDA graph memory: @ GiB"),
        _figure(
            "kv_cache_gib",
            min,
            r"Available KV cache memory: @ ?GiB",
            r"reserved for KV Cache is @ ?GiB",
            r"available KV cache memory \(@ ?GiB\)",
        ),
        _figure("request_gib", max, r"@ GiB KV cache is needed"),
        _figure("longest_tokens", max, r"estimated maximum model length is @"),
        _figure("kv_cache_tokens", _first, r"GPU KV cache size: @ tokens"),
        _figure("concurrency", _first, r"Maximum concurrency for [\d,]{1,20} tokens per request: @x"),
        _figure("concurrency_tokens", _first, r"Maximum concurrency for @ tokens per request"),
        _figure("graphs_gib", max, r"raph capturing finished in \d{1,9} secs, took @ GiB"),
    ),
    "sglang": (
        _figure("free_gib", min, r"Load weight begin\. avail mem=@ GB"),
        _figure("weights_gib", max, r"Load weight end\..{0,300}?mem usage=@ GB"),
        _figure("kv_cache_tokens", min, r"KV Cache is allocated\. .{0,60}?#tokens: @", r"max_total_num_tokens=@"),
        _figure("k_gib", _first, r"KV Cache is allocated\..{0,80}? K size: @ GB"),
        _figure("v_gib", _first, r"KV Cache is allocated\..{0,80}? V size: @ GB"),
        _figure("kv_gib", _first, r"KV Cache is allocated\..{0,80}? KV size: @ GB"),
        _figure("state_gib", sum, r"conv_state size: @ ?GB", r"ssm_state size: @ ?GB"),
        _figure("free_after_pool_gib", min, r"Memory pool end\. avail mem=@ GB"),
        _figure("graphs_gib", max, r"graph end\..{0,80}?mem usage=@ GB"),
    ),
    "llama.cpp": (
        _figure("weights_gib", sum, rf"load_tensors: +{_DEVICES} (?:model )?buffer size = +@ MiB", scale=MIB),
        _figure("host_weights_gib", sum, r"load_tensors: +CPU\w{0,20} (?:model )?buffer size = +@ MiB", scale=MIB),
        _figure("kv_mib", sum, r"KV self size += +@ MiB", r"llama_kv_cache\w{0,20}: (?:\[.{0,40}\] )?size = +@ MiB"),
        _figure("kv_buffers_mib", sum, r"llama_kv_cache\w{0,20}: +\w{1,20} KV buffer size = +@ MiB"),
        _figure("recurrent_mib", sum, r"llama_memory_recurrent: size = +@ MiB"),
        _figure("compute_mib", sum, rf"{_DEVICES} compute buffer size = +@ MiB"),
        _figure("host_compute_mib", sum, r"(?:CPU|(?:CUDA|ROCm|Vulkan)_Host) compute buffer size = +@ MiB"),
        _figure("output_mib", sum, r"output buffer size = +@ MiB"),
    ),
    "tensorrt-llm": (
        _figure("weights_gib", max, r"Loaded engine size: @ MiB", scale=MIB),
        _figure("kv_cache_gib", max, r"Allocated @ GiB for max tokens in paged KV cache"),
        _figure("kv_cache_tokens", max, r"for max tokens in paged KV cache \(@\)"),
    ),
}
_HAS_FIGURE = re.compile(r"G[i ]?B|MiB|tokens|mem=|size = ")
_MARKS = {  # of lines that only one engine prints
    "vllm": re.compile(r"vLLM|vllm|gpu_\w{1,20}\.py|GPU KV cache size|[Aa]vailable KV cache memory"),
    "sglang": re.compile(r"server_args=ServerArgs\(|sglang|KV Cache is allocated\.|Load weight (?:begin|end)\."),
    "llama.cpp": re.compile(r"llama_(?:model|kv_cache|context|new_context|init_from)|load_tensors: |KV self size"),
    "tensorrt-llm": re.compile(r"TensorRT-LLM|\[TRT-LLM\]|tensorrt_llm|paged KV cache"),
}
_VERSION = {
    "vllm": r"LLM engine \(v([\w.+-]{1,60})\)|server version ([\w.+-]{1,60})|█ +version ([\w.+-]{1,60})"
    r"|vLLM Version *: *v?(\d[\w.+-]{0,60})",
    "sglang": r"sglang[=: ]{1,3}v?(\d+\.\d[\w.+-]{0,40})",
    "llama.cpp": r"\b(?:build|version)[:=]? =? ?b?(\d{3,6}) \(",
    "tensorrt-llm": r"TensorRT-LLM version: *v?([\w.+-]{1,60})",
}
_MODEL = {
    "vllm": r"with config: model='([^']{1,300})'|Starting to load model (\S{1,300}?)\.\.\.",
    "sglang": r"model_path='([^']{1,300})'",
    "llama.cpp": r"general\.name +(?:str +)?= +(\S.{0,200})|loaded meta data .{0,80} from (\S{1,300})",
    "tensorrt-llm": r"model='([^']{1,300})'",
}
_DEVICE = re.compile(r"((?:NVIDIA|Tesla|AMD (?:Instinct|Radeon)|Apple M\d)[\w /-]{0,60}\w)")
_HAS_FAILURE = ("Error: ", "failed to ")
_FAILURE = re.compile(r"\b((?:Value|Runtime|OutOfMemory)Error: .{1,300})|(failed to (?:allocate|create|load) .{1,200})")
_ARGUMENTS = {"vllm": ("non-default args: {", "}"), "sglang": ("server_args=ServerArgs(", ")")}
_SIZES = {"ctx_size": "n_ctx", "batch_size": "n_batch", "ubatch_size": "n_ubatch", "parallel": "n_seq_max"}
_SETTINGS = {  # lines of llama.cpp that give the value of an option
    **{name: re.compile(rf"llama_\w{{1,40}}: {printed} += (\d{{1,9}})\b") for name, printed in _SIZES.items()},
    "flash_attn": re.compile(r"llama_\w{1,40}: flash_attn += (\w{1,9})"),
    "cache_type_k": re.compile(r"(?:KV self|llama_kv_cache).{0,90} K \((\w{1,9})\)"),
    "cache_type_v": re.compile(r"(?:KV self|llama_kv_cache).{0,120} V \((\w{1,9})\)"),
    "gpu_layers": re.compile(r"offloaded (\d{1,5})/\d{1,5} layers to GPU"),
}


def read_log(lines: Iterable[str]) -> EngineLog | None:
    """Read the lines of a log. Return None if they are not those of a known engine."""
    kept = list(_bounded(lines))
    counts = {engine: sum(1 for line in kept if mark.search(line)) for engine, mark in _MARKS.items()}
    engine = max(counts, key=lambda name: counts[name])
    if not counts[engine]:
        return None
    arguments: dict[str, object] = {}
    values: dict[str, list[float]] = {}
    for line in kept:
        arguments = arguments or _arguments(engine, line)
        if _HAS_FIGURE.search(line):
            _add_figures(engine, line, values)
    if engine == "llama.cpp":
        arguments = {name: found[1] for name, found in _settings(kept)}
    figures = {figure.name: figure.choose(values[figure.name]) for figure in FIGURES[engine] if figure.name in values}
    model = str(arguments.get("model") or arguments.get("model_path") or _find(_MODEL[engine], kept))
    failure = _find(_FAILURE, (line for line in kept if any(words in line for words in _HAS_FAILURE)))
    return EngineLog(engine, _find(_VERSION[engine], kept), model, arguments, _find(_DEVICE, kept), figures, failure)


def read_log_file(path: str | os.PathLike[str]) -> EngineLog | None:
    """Read the start of a log file, or of standard input for ``-``, at most ``MOST_CHARACTERS``."""
    if path == STANDARD_INPUT:
        return None if sys.stdin is None else read_log(iter(lambda: sys.stdin.readline(LONGEST_LINE), ""))
    with open_file(path) as stream, TextIOWrapper(stream, "utf-8", "replace") as file:
        return read_log(iter(lambda: file.readline(LONGEST_LINE), ""))


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    """Yield the starts of lines until they have ``MOST_CHARACTERS`` together."""
    total = 0
    for line in lines:
        total += len(line) + 1
        if total > MOST_CHARACTERS:
            return
        yield line[:LONGEST_LINE]


def _add_figures(engine: str, line: str, values: dict[str, list[float]]) -> None:
    for figure in FIGURES[engine]:
        for words, pattern in figure.lines:
            if words in line and (found := pattern.search(line)):
                kept = values.setdefault(figure.name, [])
                if len(kept) < MOST_VALUES:
                    kept.append(float(found[1].replace(",", "")) * figure.scale)
                if figure.choose is not sum:  # a line may print both parts of a sum
                    break


def _settings(lines: Iterable[str]) -> Iterator[tuple[str, re.Match[str]]]:
    for line in lines:
        for name, pattern in _SETTINGS.items():
            if found := pattern.search(line):
                yield name, found


def _find(pattern: str | re.Pattern[str], lines: Iterable[str]) -> str:
    """Return the first group that matches in the first line that matches."""
    found = next((each for each in (re.search(pattern, line) for line in lines) if each), None)
    return next(group for group in found.groups() if group).strip() if found else ""


def _arguments(engine: str, line: str) -> dict[str, object]:
    """Return the arguments that a line prints as a Python dict or as a call."""
    start, end = _ARGUMENTS.get(engine, ("\0", ""))
    if start not in line:
        return {}
    text = line.split(start, 1)[1].rstrip().removesuffix(end)
    found = {}
    for part in _split(text):
        name, sign, value = part.partition(":" if engine == "vllm" else "=")
        if sign and (word := name.strip(" '\"")).isidentifier():
            found[word] = _value(value.strip())
    return found


def _split(text: str) -> Iterator[str]:
    """Split a text at commas outside of quotes and brackets."""
    depth, start, quote = 0, 0, ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and not depth:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def _value(text: str) -> object:
    """Return the value of a Python literal. Anything else stays a text."""
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
