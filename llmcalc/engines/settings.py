"""Settings of serving engines under common names, read from flags or keyword arguments and written as flags."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..calc.memory.fit import read_size
from ..core.errors import InputError, UnknownNameError
from ..core.record import changed
from ..core.setting import SCALES, SIZE, Setting, read_integer
from ..data import table, tables
from ..importers.modelfile import MODELFILE, RUN, own_settings
from ..inputs.settings import DTYPE, PLAIN

if TYPE_CHECKING:
    from ..serving.start.start import Start

LENGTH = "max_model_len"
SETTINGS = (
    Setting("tp", int, least=1), Setting("pp", int, least=1), Setting("dp", int, least=1),
    Setting("expert_parallel", bool), Setting(LENGTH, (int, str)), Setting("max_num_seqs", int, least=1),
    Setting("max_num_batched_tokens", int, least=1), Setting("share", float, above=0), Setting("dtype"),
    Setting("weights"), Setting("cache"), Setting("block_size", int, least=1), Setting("num_blocks", int, least=1),
    Setting("kv_cache_memory", SIZE, least=1), Setting("enforce_eager", bool), Setting("disable_cache_groups", bool),
    Setting("two_batch_overlap", bool),
    Setting("prefix_caching", bool), Setting("chunked_prefill", bool), Setting("async_scheduling", bool),
    Setting("attention_config"), Setting("ep", int, least=1),
    Setting("attention_dp", bool), Setting("disable_radix_cache", bool), Setting("max_total_tokens", int, least=1),
    Setting("graph_sequences", int, least=1), Setting("sliding_ratio", float, above=0),
    Setting("state_ratio", float, above=0), Setting("max_states", int, least=1),
    Setting("cache_v"), Setting("gpu_layers", int, least=0), Setting("cpu_experts", int, least=0),
    Setting("cpu_all_experts", bool), Setting("full_window", bool), Setting("unified", bool),
    Setting("cpu_dense", int, least=0), Setting("tensor_overrides"), Setting("host_cache", bool),
    Setting("host_compute", bool), Setting("cpu_offload_gb", float, least=0),
    Setting("offload_group_size", int, least=0), Setting("offload_num_in_group", int, least=1),
    Setting("offload_prefetch_step", int, least=1), Setting("kv_offloading_size", float, least=0),
    Setting("kv_transfer_config"), Setting("hierarchical_cache", bool), Setting("hicache_ratio", float, above=0),
    Setting("hicache_size", float, least=0), Setting("enable_lora", bool), Setting("max_loras", int, least=1),
    Setting("max_lora_rank", int, least=1), Setting("max_cpu_loras", int, least=1), Setting("lora_targets"),
    Setting("lora_paths"), Setting("fully_sharded_loras", bool), Setting("lora_extra_vocab", int, least=0),
    Setting("draft"), Setting("draft_method"), Setting("draft_tokens", int, least=1), Setting("speculative_config"),
    Setting("draft_steps", int, least=1), Setting("draft_width", int, least=1),
    Setting("draft_gpu_layers", int, least=0), Setting("draft_cpu_experts", int, least=0), Setting("draft_cache"),
    Setting("draft_cache_v"), Setting("draft_context", int, least=0), Setting("auto_fit", bool),
    Setting("state_dtype"), Setting("conv_dtype"), Setting("dcp", int, least=1),
    Setting("images_per_prompt", int, least=0), Setting("language_model_only", bool), Setting("multimodal", bool),
)  # fmt: skip
_BY_NAME = {setting.name: setting for setting in SETTINGS}
FLAGS = tuple(_BY_NAME)
SHARES = ("gpu_memory_utilization", "mem_fraction_static", "free_gpu_memory_fraction")  # names of ``share`` in engines
_HUMAN = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}  # vLLM and SGLang
_SCALED = r"(\d+(?:\.\d+)?)([kmgKMG])"
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def read_engine_settings(values: Mapping[str, Any], entry: Mapping[str, Any], is_text: bool = False) -> dict[str, Any]:
    """Return the settings of an engine under common names, with its own values translated to ours."""
    found, read_by_engine = {}, {*entry["flags"]["read"].values(), "weights"}
    for name, value in values.items():
        own = "share" if name in SHARES else name
        setting = _BY_NAME.get(own)
        if setting is None:
            known = [each for each in (*FLAGS, *SHARES) if each != "share"]
            raise UnknownNameError("setting", name, known, parameter=name)
        if own not in read_by_engine:
            raise InputError(f"has no effect on {entry['title']}", parameter=name, hint="omit it")
        is_read = isinstance(value, str) and (is_text or setting.kind is not str)
        read = _read_text(setting, value, _HUMAN if is_text else SCALES) if is_read else value
        translated = entry.get("values", {}).get(own, {})
        if isinstance(read, str) and translated:
            if is_text and (methods := entry.get("methods", {}).get(own)):
                _check_method(read, (*translated, *methods.split()), setting_flags(entry["flags"])[own])
            read = translated.get(read.lower(), translated.get("*", read) if is_text else read)
        if own == LENGTH and value == "0" and entry["rule"] == "sum":
            read = "auto"  # llama.cpp: the length of the model, which it does not shorten
        if read is None or (read == "" and value != ""):  # the engine's name of a default
            continue
        if own == LENGTH and isinstance(read, str) and read != "auto":
            raise InputError(f"invalid length {read!r}", parameter=LENGTH, hint="use a number such as 32k, or auto")
        if not (own == LENGTH and read == "auto"):
            (Setting(LENGTH, int, least=1) if own == LENGTH else setting).check(read)
        if own == "share" and read > 1:
            raise InputError(f"must be at most 1, not {read:g}", parameter=entry["share"])
        found[own] = read
    for name in ("dtype", "state_dtype", "conv_dtype"):
        if name in found:
            changed(DTYPE, name=name).check(found[name])
    return found


def _read_text(setting: Setting, text: str, scales: Mapping[str, int]) -> Any:
    """Return the value of a flag. Engines read 32k as 32,000 and 32K as 32,768, and llmcalc reads both as 32,768."""
    if setting.kind is bool:
        if text.lower() in (*_TRUE, *_FALSE):
            return text.lower() in _TRUE
        raise InputError(f"invalid value {text!r}", parameter=setting.name, hint="use true or false")
    if setting.name == "images_per_prompt" and not text.isdecimal():
        text = _image_limit(text)
    is_whole = setting.name == LENGTH and text == "0" and scales is _HUMAN  # llama.cpp: the length of the model
    if text == "-1" or (text == "auto" and setting.kind is not str) or is_whole:
        return "auto" if setting.name == LENGTH and text != "0" else None
    if setting.name == "gpu_layers" and text == "all":
        return None
    if setting.kind is float:
        try:
            return float(text)
        except ValueError:
            raise InputError(f"invalid number {text!r}", parameter=setting.name) from None
    if setting.kind is int or setting.name == LENGTH or (setting.kind == SIZE and not text.lower().endswith("b")):
        match = re.fullmatch(_SCALED, text)
        scale = scales.get(match[2], scales.get(match[2].lower(), 1)) if match else 1
        number = round(float(match[1]) * scale) if match else read_integer(text)
        if number is None:
            raise InputError(f"invalid number {text!r}", parameter=setting.name)
        return number
    return read_size(text, setting.name) if setting.kind == SIZE else text


def _check_method(typed: str, known: Iterable[str], flag: str) -> None:
    """Check that an engine knows a value of a flag."""
    names = [each for each in known if each != "*"]
    if typed.lower() not in (*names, "none", "null"):
        raise UnknownNameError(f"value of {flag}", typed, names, parameter="command")


def _image_limit(text: str) -> str:
    """Return the number of images in a limit such as ``image=2,video=0`` or ``{"image": 2}``, or -1 without one."""
    match = re.search(r"""["']?image["']?\s*[:=]\s*(?:\{\s*["']count["']\s*:\s*)?(\d+)""", text)
    return match[1] if match else "-1"


def setting_flags(flags: Mapping[str, Any]) -> dict[str, str]:
    """Return the usual flag for each setting, as it is written, from an engine's table of flags."""
    is_joined = flags.get("underscores", False)
    return {
        setting: f"--{flag[2:].replace('-', '_')}" if is_joined else flag
        for flag, setting in reversed(list(flags["read"].items()))
    }


def command_line(result: Start, change: Mapping[str, Any]) -> str:
    """Return the command line of the engine. A pasted command keeps its words except for changed flags.

    A user of Ollama, which writes the command line of llama.cpp, gets its own settings.
    """
    pasted = result.deployment.command
    if pasted and pasted.program in (RUN, MODELFILE):
        requests = int(result.settings["max_num_seqs"])
        return own_settings(change, requests, pasted.environment, is_file=pasted.program == MODELFILE)
    flags = setting_flags(result.profile.flags)
    switches, written = (result.profile.flags.get(key, {}) for key in ("switches_read", "written"))
    values = tables("engines")[result.profile.name].get("values", {})
    if result.deployment.command:
        words = list(result.deployment.command.words)
    else:
        words = [*result.profile.command.split(), _model_word(result)]
        change = {**_explicit(result), **change}
    for name, value in change.items():
        flag = flags.get(name)
        if flag is None:
            continue
        for each in [other for other, setting in result.profile.flags["read"].items() if setting == name]:
            words = _without(words, each, result.profile.flags)
        text = _engine_value(values.get(name, {}), value)
        if flag.removeprefix("--") in switches:
            words += [flag] if value else []
        elif text is not None:
            words += [flag, written.get(name, "%s") % text]
    return shlex.join(words)


def _engine_value(values: Mapping[str, str], value: Any) -> Any:
    """Return the engine's name of a value, or None for its default and for formats that a checkpoint states."""
    if not values or not isinstance(value, str) or values.get(value) == value:
        return value
    names = [theirs for theirs, ours in values.items() if ours == value and theirs != "*"]
    if names:
        return names[0]
    is_default = value in PLAIN or values.get(value) == "" or "*" in values
    return None if is_default else value


def smaller_format(engine: str, name: str) -> str:
    """Return the format of ``weights`` or of the ``cache`` that is proposed if the memory is not enough."""
    return str(tables("engines").get(engine, {}).get("smaller", {}).get(name, "fp8"))


def repository(model: str, preset: str = "") -> str:
    """Return the repository of a model on the Hub if it is known, and any other name unchanged.

    That of its preset may be a model with other weights, unless it has the name in it.
    """
    known = table("repositories")
    own = known.get(preset, "")
    return str(known.get(model) or (own if model.lower() in own.lower() else model))


def _model_word(result: Start) -> str:
    """Return the repository of the model, or the usual name of its file in llama.cpp."""
    name = repository(result.model, result.architecture.name)
    if not result.placed or name.lower().endswith(".gguf"):
        return name
    types = str(result.architecture.inputs.get("types", ""))
    weights = result.settings.get("weights") or ("mxfp4" if "mxfp4" in types else "bf16")
    return f"{name.rpartition('/')[2]}-{weights.upper()}.gguf"


def _explicit(result: Start) -> dict[str, Any]:
    """Return the given settings and the layout."""
    layout = {name: result.settings[name] for name in ("tp", "pp", "dp") if result.settings.get(name, 1) > 1}
    return {**layout, **result.deployment.given}


def _without(words: list[str], flag: str, table: Mapping[str, Any]) -> list[str]:
    """Return the words without a flag, its short forms and its value."""
    names = {
        flag,
        flag.replace("-", "_").replace("__", "--", 1),
        *(s for s, f in table.get("short", {}).items() if f == flag),
    }
    found, rest = [], iter(words)
    for word in rest:
        if word.partition("=")[0] not in names:
            found.append(word)
        elif "=" not in word and flag.removeprefix("--") not in table.get("switches_read", ()):
            next(rest, None)
    return found
