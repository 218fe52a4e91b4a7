"""Command lines of serving engines, such as ``vllm serve Qwen/Qwen3-32B --tensor-parallel-size 4``.

Every flag is read as a setting, listed because it does not change the memory of a GPU, listed because its effect on
the memory is not computed, or refused by name.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..core.errors import InputError, UnknownNameError
from ..data import tables

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_NUMBER = re.compile(r"-\d+(\.\d+)?")
PROGRAMS = {
    "vllm": "vllm serve", "sglang": "python3 -m sglang.launch_server --model-path", "tensorrt-llm": "trtllm-serve",
    "llama.cpp": "llama-server -m",
}  # fmt: skip
NO_SETTINGS = ("model", "model_tag", "model_path", "tokenizer_path")  # arguments that name the model
OPTIONAL = ("on", "off", "auto", "0", "1", "true", "false")  # values that a flag may also lack


class EngineCommand(NamedTuple):
    """A command line of an engine.

    Attributes:
        engine: name of the engine's profile.
        model: model as the engine names it.
        settings: values of the flags that change the memory, under the names of ``llmcalc.serve``.
        listed: flags that do not change the memory of a GPU.
        unmodelled: flags whose effect on the memory is not computed.
        words: the words of the command.
        environment: environment variables of the command.
    """

    engine: str
    model: str
    settings: dict[str, str]
    listed: tuple[str, ...]
    unmodelled: tuple[str, ...]
    words: tuple[str, ...]
    environment: dict[str, str]


def read_command(command: str | Sequence[str]) -> EngineCommand:
    """Read the command line of an engine, given as text or as words.

    >>> read_command("vllm serve Qwen/Qwen3-8B -tp 2 --max-model-len=32k --port 80").settings
    {'tp': '2', 'max_model_len': '32k'}
    """
    words = _split(command)
    engine, start, end = _program(words)
    profile = tables("engines")[engine]
    before = words[:start]
    environment = dict(word.split("=", 1) for word in before if _ASSIGNMENT.fullmatch(word))
    found = _read(engine, profile, words, end, environment)
    program = " ".join([os.path.basename(words[start]), *words[start + 1 : end]])
    usual = {key: str(value) for key, value in profile.get("program_settings", {}).get(program, {}).items()}
    variables = profile.get("environment", {})
    usual |= {variables[name]: value for name, value in environment.items() if name in variables}
    return found._replace(settings={**usual, **found.settings})


def _split(command: str | Sequence[str]) -> list[str]:
    if not isinstance(command, str):
        if len(command) != 1:
            return list(command)
        command = command[0]
    try:
        return shlex.split(re.sub(r"\\\s*\n", " ", command), comments=True)
    except ValueError as error:
        raise InputError(f"invalid quotes: {error}", parameter="command") from None


def _program(words: Sequence[str]) -> tuple[str, int, int]:
    """Return the engine that a command starts, and where its program begins and ends."""
    names = [os.path.basename(word) for word in words]
    known = []
    for engine, profile in tables("engines").items():
        for program in profile["programs"]:
            parts = program.split()
            known.append(program)
            for start in range(len(words) - len(parts) + 1):
                if names[start : start + len(parts)] == parts or words[start : start + len(parts)] == parts:
                    return engine, start, start + len(parts)
        for start, word in enumerate(words):
            image = word.split("@")[0].rpartition(":")[0] or word
            if image in profile.get("images", ()):
                return engine, start, start + 1
    hint = f"begin with one of: {', '.join(known)}"
    shown = " ".join(words[:3])
    raise InputError(f"no known serving engine in {shown!r}", parameter="command", hint=hint)


class _Flags(NamedTuple):
    read: Mapping[str, str]
    unmodelled: frozenset[str]
    switches: frozenset[str]
    lists: frozenset[str]
    optional: frozenset[str]
    repeated: frozenset[str]
    short: Mapping[str, str]
    known: frozenset[str]


def _flags(table: Mapping[str, Any]) -> _Flags:
    values, switches, lists, optional, unmodelled, repeated = (
        frozenset(f"--{name}" for name in table.get(key, "").split())
        for key in ("values", "switches", "lists", "optional", "unmodelled", "repeated")
    )
    switches |= {f"--{name}" for name in table.get("switches_read", ())}
    lists |= {f"--{name}" for name in table.get("lists_read", ())}
    known = frozenset((*values, *switches, *lists, *optional, *table["read"]))
    return _Flags(table["read"], unmodelled, switches, lists, optional, repeated, table.get("short", {}), known)


def _read(
    engine: str, profile: Mapping[str, Any], words: Sequence[str], end: int, environment: dict[str, str]
) -> EngineCommand:
    flags = _flags(profile["flags"])
    settings: dict[str, str] = {}
    listed: list[str] = []
    unmodelled: list[str] = []
    positional: list[str] = []
    rest = list(words[end:])
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-" or _NUMBER.fullmatch(word):
            positional.append(word)
            continue
        typed, equals, given = word.partition("=")
        flag, joined = _known(typed, flags, profile["title"])
        if flag in flags.switches:
            value = joined or given or "true"
        elif joined:
            value = joined
        elif equals:
            value = given
        elif flag in flags.optional:
            value = rest.pop(0) if rest and rest[0] in OPTIONAL else ""
        elif flag in flags.lists:
            value = " ".join(_values(rest))
        elif rest:
            value = rest.pop(0)
        else:
            raise InputError(f"{typed} requires a value", parameter="command")
        if flag in flags.repeated and (before := settings.get(flags.read[flag])):
            value = f"{before},{value}"
        if flag in flags.read:
            settings[flags.read[flag]] = value
        elif flag in flags.unmodelled:
            unmodelled.append(flag)
        else:
            listed.append(flag)
    model = settings.pop("model", "") or next(iter(positional), "")
    if not model:
        raise InputError("the command names no model", parameter="command", hint="add the model after the program")
    extra = [word for word in positional if word != model]
    if extra:
        raise InputError(
            f"unexpected word {extra[0]!r}", parameter="command", hint=f"{profile['title']} takes one model"
        )
    return EngineCommand(
        engine, model, settings, tuple(dict.fromkeys(listed)), tuple(dict.fromkeys(unmodelled)), tuple(words),
        environment,
    )  # fmt: skip


def written_command(engine: str, arguments: Mapping[str, Any], model: str) -> tuple[list[str], list[str]]:
    """Return the command line with an engine's arguments, and the arguments that its profile does not know."""
    known = _flags(tables("engines")[engine]["flags"]).known
    words, unknown = [*PROGRAMS[engine].split(), model], []
    for name, value in arguments.items():
        if value is None or name in NO_SETTINGS:
            continue
        flag = f"--{name.replace('_', '-')}"
        if flag not in known:
            unknown.append(flag)
        elif isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += [flag, *_texts(value)]
    return words, unknown


def _texts(value: object) -> Sequence[str]:
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [json.dumps(value) if isinstance(value, dict) else str(value)]


def _values(rest: list[str]) -> Iterator[str]:
    """Take the words up to the next flag."""
    while rest and not rest[0].startswith("-"):
        yield rest.pop(0)


def _known(typed: str, flags: _Flags, title: str) -> tuple[str, str]:
    """Return the full name of a flag and the value in the name, as in ``--no-enable-prefix-caching`` or ``-O3``."""
    name = typed.replace("_", "-") if typed.startswith("--") else typed
    name = name.split(".")[0]  # --compilation-config.mode sets a key of a JSON value
    name = flags.short.get(name, name)
    if name in flags.known:
        return name, ""
    positive = name.replace("--no-", "--", 1)
    if name.startswith("--no-") and positive in flags.switches:
        return positive, "false"
    if re.fullmatch(r"-[A-Za-z]\d.*", typed) and typed[:2] in flags.short:
        return flags.short[typed[:2]], typed[2:]
    raise UnknownNameError(f"{title} flag", typed, (*flags.known, *flags.short), parameter="command")
