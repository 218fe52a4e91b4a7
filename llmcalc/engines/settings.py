"""Settings of serving engines under common names, read from flags or keyword arguments and written as flags."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from ..calc.memory.fit import read_size
from ..core.errors import InputError, UnknownNameError
from ..core.record import NOTHING, changed
from ..core.setting import SCALES, SIZE, Setting, read_integer, scale_number
from ..core.type_names import TYPE_CHECKING, Any
from ..data import table, tables
from ..importers.modelfile import MODELFILE, RUN, own_settings
from ..inputs.gguf_names import GGUF_ENGINE, USUAL_GGUF
from ..inputs.serving_settings import SERVE
from ..inputs.settings import PLAIN
from ..schema.preset_files import folders

if TYPE_CHECKING:
    from ..serving.start.start import Start

LENGTH, AUTO = "max_model_len", "auto"
FOUR_BITS = "awq-int4-g128"  # the usual 4-bit format of repositories for engines other than llama.cpp
# settings of engines: their flags, and what llmcalc adds to them
SETTINGS = {
    setting.name: setting
    for setting in SERVE
    if setting.part in ("", "layout", "formats", "added") and "requests" not in setting.needs
}
SHARES = ("gpu_memory_utilization", "mem_fraction_static", "free_gpu_memory_fraction")  # names of ``share`` in engines
_HUMAN = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}  # vLLM and SGLang
_SCALED = r"(\d+(?:\.\d+)?)([kmgKMG])"
# number of images in a limit such as ``image=2,video=0`` or ``{"image": 2}``
_IMAGE_LIMIT = r"""["']?image["']?\s*[:=]\s*(?:\{\s*["']count["']\s*:\s*)?(\d+)"""
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def read_engine_settings(values: Mapping[str, Any], entry: Mapping[str, Any], is_text: bool = False) -> dict[str, Any]:
    """Return the settings of an engine under common names, with its own values translated to ours."""
    found = {}
    for name, value in _own_experts(values, entry).items():
        setting = _setting(name, entry)
        read = _read_value(setting, value, entry, is_text)
        if read is not None:
            _check(setting, read, entry)
            found[setting.name] = read
    return found


def _own_experts(values: Mapping[str, Any], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings with a switch for expert-parallel ranks, of an engine that divides experts over all ranks."""
    ranks, read = values.get("ep"), entry["flags"]["read"].values()
    if ranks is None or "ep" in read or "expert_parallel" not in read:
        return values
    whole = (values.get("tp") or 1) * (values.get("dp") or 1)
    if ranks not in (1, whole):
        text = f"{entry['title']} divides experts over all ranks of a stage, tp · dp = {whole}"
        raise InputError(text, parameter="ep", hint=f"use {{ep={whole}}}" if whole > 1 else f"also set {{tp={ranks}}}")
    return {**{name: value for name, value in values.items() if name != "ep"}, "expert_parallel": ranks > 1}


def _setting(name: str, entry: Mapping[str, Any]) -> Setting:
    """Return a setting that an engine has, by one of its names."""
    setting = SETTINGS.get("share" if name in SHARES else name)
    if setting is None:
        known = [each for each in (*SETTINGS, *SHARES) if each != "share"]
        raise UnknownNameError("setting", name, known, parameter=name)
    if setting.name not in (*entry["flags"]["read"].values(), "weights") and setting.part != "added":
        raise InputError(f"has no effect on {entry['title']}", parameter=name, hint="omit it")
    return setting


def _read_value(setting: Setting, value: Any, entry: Mapping[str, Any], is_text: bool) -> Any:
    """Return the value of a setting, or None for the engine's name of its default."""
    own, translated = setting.name, entry.get("values", {}).get(setting.name, {})
    if own == LENGTH and value == "0" and entry["rule"] == "sum":
        return AUTO  # llama.cpp: the length of the model, which it does not shorten
    is_read = isinstance(value, str) and (is_text or setting.kind is not str)
    read = _read_text(setting, value, _HUMAN if is_text else SCALES) if is_read else value
    if isinstance(read, str) and translated:
        if is_text and (methods := entry.get("methods", {}).get(own)):
            _check_method(read, (*translated, *methods.split()), setting_flags(entry["flags"])[own])
        read = translated.get(read.lower(), translated.get("*", read) if is_text else read)
    return None if read == "" and value != "" else read


def _check(setting: Setting, value: Any, entry: Mapping[str, Any]) -> None:
    """Check a value that was read."""
    if setting.name == LENGTH:
        if value == AUTO:
            return
        if isinstance(value, str):
            raise InputError(f"invalid length {value!r}", parameter=LENGTH, hint="use a number such as 32k, or auto")
        setting = changed(setting, kind=int, least=1)
    setting.check(value)
    if setting.name == "share" and value > 1:
        raise InputError(f"must be at most 1, not {value:g}", parameter=entry["share"])


def _read_text(setting: Setting, text: str, scales: Mapping[str, int]) -> Any:
    """Return the value of a flag, or None for a default.

    Engines read 32k as 32,000 and 32K as 32,768, and llmcalc reads both as 32,768.
    """
    if setting.kind is bool:
        return _read_switch(setting, text)
    if setting.name == "images_per_prompt" and not text.isdecimal():
        text = match[1] if (match := re.search(_IMAGE_LIMIT, text)) else "-1"
    if text == "-1" or (text == AUTO and setting.kind is not str):
        return AUTO if setting.name == LENGTH else None
    if (setting.name, text) == ("gpu_layers", "all") or (setting.name == LENGTH and text == "0" and scales is _HUMAN):
        return None
    if setting.kind is float:
        try:
            return float(text)
        except ValueError:
            raise InputError(f"invalid number {text!r}", parameter=setting.name) from None
    if setting.kind is int or setting.name == LENGTH or (setting.kind == SIZE and not text.lower().endswith("b")):
        return _read_whole(setting, text, scales)
    return read_size(text, setting.name) if setting.kind == SIZE else text


def _read_switch(setting: Setting, text: str) -> bool:
    if text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    raise InputError(f"invalid value {text!r}", parameter=setting.name, hint="use true or false")


def _read_whole(setting: Setting, text: str, scales: Mapping[str, int]) -> int:
    """Return a whole number, which may end in one of the ``scales``."""
    match = re.fullmatch(_SCALED, text)
    scale = scales.get(match[2], scales.get(match[2].lower(), 1)) if match else 1
    number = scale_number(match[1], scale, setting.name) if match else read_integer(text)
    if number is None:
        raise InputError(f"invalid number {text!r}", parameter=setting.name)
    return number


def _check_method(typed: str, known: Iterable[str], flag: str) -> None:
    """Check that an engine knows a value of a flag."""
    names = [each for each in known if each != "*"]
    if typed.lower() not in (*names, "none", "null"):
        raise UnknownNameError(f"value of {flag}", typed, names, parameter="command")


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
    if pasted:
        return changed_words(pasted.words, result.profile.name, change)
    words = [*result.profile.command.split(), _model_word(result)]
    layout = {name: result.settings[name] for name in ("tp", "pp", "dp") if result.settings.get(name, 1) > 1}
    return changed_words(words, result.profile.name, {**layout, **result.deployment.given, **change})


def states_all(result: Start, change: Mapping[str, Any] = NOTHING) -> bool:
    """Return whether the command line of the engine states the whole model, with changed settings if given.

    It states no changed sizes, no model that has only the name of its architecture, and no format of the weights that
    only another checkpoint has.
    """
    deployed, told, engine = result.deployment, result.architecture.inputs, result.profile.name
    weights = change.get("weights") or deployed.given.get("weights")
    is_own = result.model == result.architecture.name and os.path.dirname(told.get("file", "")) not in folders()
    if deployed.command or told.get("overrides") or is_own:
        return deployed.command is not None
    if result.placed:  # the name of the file has the format
        return not result.model.endswith((".json", ".yaml", ".yml"))
    is_published = weights in PLAIN and not (told.get("quantization") or told.get("types"))
    values = tables("engines")[engine].get("values", {}).get("weights", {})
    known = has_flag(engine, "weights") and _engine_value(values, weights) is not None
    return is_published or known or weights in (None, deployed.file_format)


def changed_words(words: Sequence[str], engine: str, change: Mapping[str, Any]) -> str:
    """Return the words of an engine's command line with changed settings in place of their former flags."""
    entry, words = tables("engines")[engine], list(words)
    flags, values = setting_flags(entry["flags"]), entry.get("values", {})
    switches, written = (entry["flags"].get(key, {}) for key in ("switches_read", "written"))
    for name, value in change.items():
        flag = flags.get(name)
        if flag is None:
            continue
        for each in [other for other, setting in entry["flags"]["read"].items() if setting == name]:
            words = _without(words, each, entry["flags"])
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
    return None if value in PLAIN or values.get(value) == "" or "*" in values else value


def has_flag(engine: str, setting: str) -> bool:
    """Return whether an engine has a flag for a setting. Of an unknown engine, no flags are known.

    >>> has_flag("vllm", "dp"), has_flag("llama.cpp", "dp"), has_flag("my-engine", "dp")
    (True, False, False)
    """
    return setting in tables("engines").get(engine, {}).get("flags", {}).get("read", {}).values()


def divided_experts(flags: Mapping[str, Any], ranks: int) -> dict[str, Any]:
    """Return the settings of an engine whose ``ranks`` divide the experts, empty if it has no flag for this.

    >>> [divided_experts({"read": {"flag": name}}, 8) for name in ("expert_parallel", "ep", "tp")]
    [{'expert_parallel': True}, {'ep': 8}, {}]
    """
    read = flags["read"].values()
    return {"expert_parallel": True} if "expert_parallel" in read else {"ep": ranks} if "ep" in read else {}


def smaller_format(engine: str, name: str) -> str:
    """Return the format of ``weights`` or of the ``cache`` that is proposed if the memory is not enough."""
    return str(tables("engines").get(engine, {}).get("smaller", {}).get(name, "fp8"))


def smaller_weights(engine: str, told: Mapping[str, Any]) -> list[str]:
    """Return the formats that are proposed in place of weights of 16 bits, most bits first.

    A model that is told to have quantised weights has none.
    """
    return [] if told.get("quantization") or told.get("types") else usual_weights(engine)


def usual_weights(engine: str) -> list[str]:
    """Return the usual formats of an engine with fewer than 16 bits, most bits first."""
    return [smaller_format(engine, "weights"), USUAL_GGUF if engine == GGUF_ENGINE else FOUR_BITS]


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
    return f"{name.rpartition('/')[2].replace(':', '-')}-{weights.upper()}.gguf"


def _without(words: list[str], flag: str, table: Mapping[str, Any]) -> list[str]:
    """Return the words without a flag, its short forms and its value."""
    short = [other for other, own in table.get("short", {}).items() if own == flag]
    names = {flag, flag.replace("-", "_").replace("__", "--", 1), *short}
    found, rest = [], iter(words)
    for word in rest:
        if word.partition("=")[0] not in names:
            found.append(word)
        elif "=" not in word and flag.removeprefix("--") not in table.get("switches_read", ()):
            next(rest, None)
    return found
