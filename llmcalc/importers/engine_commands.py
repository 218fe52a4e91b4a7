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

from ..core.errors import InputError, UnknownNameError
from ..core.record import NamedTuple
from ..core.type_names import Any
from ..data import tables

LONGEST = 131_072  # characters; the limit of Linux for one argument
_ASSIGNMENT = r"(?s)[A-Za-z_][A-Za-z0-9_]*=.*"
_NUMBER = r"-\d+(\.\d+)?"
_JSON = r"(?s)-?\d+(\.\d+)?|true|false|null|[\[{].*"
_VERSION = r"(?:^v?|_vllm_)(\d+\.[\da-z.]+)|(?:^|-)(b\d{3,})$"  # in the tag of an image
_BUILD = r"(-[0-9a-f]{6,40})?(\.exe)?$"  # commit of a build, and the suffix of programs on Windows
PROGRAMS = {
    "vllm": "vllm serve", "sglang": "python3 -m sglang.launch_server --model-path", "tensorrt-llm": "trtllm-serve",
    "llama.cpp": "llama-server -m",
}  # fmt: skip
NO_SETTINGS = ("model", "model_tag", "model_path", "tokenizer_path")  # arguments that name the model
FILE = "model_file"  # of a repository
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
        program: the words that start the engine.
        texts: values of the flags that change no setting, by flag.
        version: version of the engine in the tag of a container image, if it names one.
    """

    engine: str
    model: str
    settings: dict[str, str]
    listed: tuple[str, ...]
    unmodelled: tuple[str, ...]
    words: tuple[str, ...]
    environment: dict[str, str]
    program: str
    texts: Mapping[str, str] = {}
    version: str = ""


def read_command(command: str | Sequence[str]) -> EngineCommand:
    """Read the command line of an engine, given as text or as words.

    >>> read_command("vllm serve Qwen/Qwen3-8B -tp 2 --max-model-len=32k --port 80").settings
    {'tp': '2', 'max_model_len': '32k'}
    >>> read_command("docker run --gpus all vllm/vllm-openai:v0.11.0 --model Qwen/Qwen3-8B").version
    '0.11.0'
    """
    words = _split(command)
    engine, program, start, end = _program(words)
    profile = tables("engines")[engine]
    environment = dict(word.split("=", 1) for word in words[:start] if re.fullmatch(_ASSIGNMENT, word))
    own = profile.get("program_flags", {}).get(program)
    variables = profile.get("environment", {})
    usual = {key: text for name, text in environment.items() for key in variables.get(name, "").split()}
    tags = " ".join(tag for word in words[:end] if (tag := _image_tag(word, profile)))
    version = (match[1] or match[2]) if (match := re.search(_VERSION, tags)) else ""
    bare = EngineCommand(engine, "", usual, (), (), tuple(words), environment, program, version=version)
    return _with_flags(bare, _flags(own or profile["flags"]), program if own else profile["title"], words[end:])


def _split(command: str | Sequence[str]) -> list[str]:
    words = [command] if isinstance(command, str) else list(command)
    if sum(map(len, words)) > LONGEST:
        raise InputError(f"longer than {LONGEST:,} characters", parameter="command")
    try:
        for _ in range(2):  # a line that the shell quoted as one word is a word that contains a line
            if len(words) == 1:
                words = shlex.split(re.sub(r"\\\s*\n", " ", words[0]), comments=True)
        return words
    except ValueError as error:
        raise InputError(f"invalid quotes: {error}", parameter="command") from None


def _program(words: Sequence[str]) -> tuple[str, str, int, int]:
    """Return the engine that a command starts, its program, and where the program begins and ends."""
    names = [re.sub(_BUILD, "", os.path.basename(word)) for word in words]
    known = []
    for engine, profile in tables("engines").items():
        for program in profile["programs"]:
            parts = program.split()
            known.append(program)
            for start in range(len(words) - len(parts) + 1):
                if names[start : start + len(parts)] == parts or words[start : start + len(parts)] == parts:
                    return engine, program, start, start + len(parts)
        for start, word in enumerate(words):
            if _image_tag(word, profile) is not None:
                return engine, word, start, start + 1
    hint = f"begin with one of: {', '.join(known)}"
    raise InputError(f"no known serving engine in {' '.join(words[:3])!r}", parameter="command", hint=hint)


def _image_tag(word: str, profile: Mapping[str, Any]) -> str | None:
    """Return the tag of a container image of an engine, or None for another word.

    >>> _image_tag("lmsysorg/sglang:v0.5.3-cu126", tables("engines")["sglang"])
    'v0.5.3-cu126'
    """
    image, _, tag = word.split("@")[0].removeprefix("docker.io/").partition(":")
    return tag if image in profile.get("images", ()) else None


class _Flags(NamedTuple):
    read: Mapping[str, str]
    unmodelled: frozenset[str]
    switches: frozenset[str]
    lists: frozenset[str]
    optional: frozenset[str]
    repeated: frozenset[str]
    even: frozenset[str]
    short: Mapping[str, str]
    known: frozenset[str]
    takes_prompt: bool
    is_abbreviated: bool
    has_keys: bool


def _flags(table: Mapping[str, Any]) -> _Flags:
    values, switches, lists, optional, unmodelled, repeated, even = (
        frozenset(f"--{name}" for name in table.get(key, "").split())
        for key in ("values", "switches", "lists", "optional", "unmodelled", "repeated", "even")
    )
    switches |= {f"--{name}" for name in table.get("switches_read", ())}
    lists |= {f"--{name}" for name in table.get("lists_read", ())}
    read = table.get("read", {})
    known = frozenset((*values, *switches, *lists, *optional, *read))
    styles = (bool(table.get(key)) for key in ("prompt", "abbreviations", "keys"))
    return _Flags(read, unmodelled, switches, lists, optional, repeated, even, table.get("short", {}), known, *styles)


def _with_flags(command: EngineCommand, flags: _Flags, title: str, words: Sequence[str]) -> EngineCommand:
    """Return the command with the model and the flags in the words after the program."""
    settings: dict[str, str] = {}
    texts: dict[str, str] = {}
    listed: list[str] = []
    unmodelled: list[str] = []
    positional: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-" or re.fullmatch(_NUMBER, word):
            positional.append(word)
            continue
        typed, equals, given = word.partition("=")
        typed, _, key = typed.partition(".") if flags.has_keys else (typed, "", "")
        flag, joined = _known(typed, flags, title)
        value = joined or (given if equals else None)
        if value is None or flag in flags.switches:
            value = value or _following(typed, flag, flags, rest)
        is_setting = flag in flags.read
        before = settings.get(flags.read[flag]) if is_setting else texts.get(flag)
        if key:
            is_short = not is_setting and before and not before.startswith("{")  # such as -O3
            value = _with_key(flag, None if is_short else before, key, value)
        if is_setting:
            settings[flags.read[flag]] = f"{before},{value}" if flag in flags.repeated and before else value
            continue
        texts[flag] = value
        is_even = flag in flags.even and _is_even(value)
        (unmodelled if flag in flags.unmodelled and not is_even else listed).append(flag)
    model = _model(settings.pop("model", ""), settings.pop(FILE, ""), positional, flags, title)
    command = command._replace(model=model, settings={**command.settings, **settings}, texts=texts)
    return command._replace(listed=tuple(dict.fromkeys(listed)), unmodelled=tuple(dict.fromkeys(unmodelled)))


def _following(typed: str, flag: str, flags: _Flags, rest: list[str]) -> str:
    """Return the value of a flag without one of its own, taking the words that follow the flag."""
    if flag in flags.switches:
        return "true"
    if flag in flags.optional:
        return rest.pop(0) if rest and rest[0] in OPTIONAL else ""
    if flag in flags.lists:
        return " ".join(_values(rest))
    if not rest:
        raise InputError(f"{typed} requires a value", parameter="command")
    return rest.pop(0)


def _model(name: str, file: str, positional: Sequence[str], flags: _Flags, title: str) -> str:
    """Return the model of a command, which flags or the first of the other words name."""
    model = f"{name.partition(':')[0]}/{file}" if name and file else name or file or next(iter(positional), "")
    if not model:
        raise InputError("the command names no model", parameter="command", hint="add the model after the program")
    extra = [word for word in positional if word != model]
    if extra and not flags.takes_prompt:
        raise InputError(f"unexpected word {extra[0]!r}", parameter="command", hint=f"{title} takes one model")
    return model


def _is_even(value: str) -> bool:
    """Return whether all parts of a division such as ``1,1`` are equal."""
    parts = re.split(r"[,/]", value)
    return len(parts) > 1 and len(set(parts)) == 1 and bool(re.fullmatch(r"\d+(\.\d+)?", parts[0]))


def _with_key(flag: str, before: str | None, key: str, value: str) -> str:
    """Return the JSON value of a flag with a further key, as in ``--speculative-config.method mtp``."""
    try:
        inner = whole = json.loads(before) if before else {}
        *outer, last = key.split(".")
        for name in outer:
            inner = inner.setdefault(name, {})
        inner[last] = json.loads(value) if re.fullmatch(_JSON, value) else value
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{flag}.{key} sets a key, but {flag} is not an object", parameter="command") from None
    return json.dumps(whole)


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
    name = flags.short.get(name, name)
    if name in flags.known:
        return name, ""
    positive = name.replace("--no-", "--", 1)
    if name.startswith("--no-") and positive in flags.switches:
        return positive, "false"
    if re.fullmatch(r"-[A-Za-z]\d.*", typed) and typed[:2] in flags.short:
        return flags.short[typed[:2]], typed[2:]
    longer = [flag for flag in flags.known if flag.startswith(name)] if flags.is_abbreviated else []
    if len(longer) == 1 and name.startswith("--"):
        return longer[0], ""
    raise UnknownNameError(f"{title} flag", typed, (*flags.known, *flags.short), parameter="command")
