"""Files of training programs, such as a YAML file of Axolotl or a JSON file of DeepSpeed.

The tables in ``data/training_files`` name the keys of each program. A key sets something, is ignored because it changes
neither memory nor time, has an effect that is not computed, or is unknown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from ..core.errors import DescriptionError, InputError, SizeError, short_repr
from ..core.record import NamedTuple
from ..core.setting import Setting, read_integer
from ..schema.plain_data import check_bounds
from ..schema.preset_files import read_text
from .training_programs import ANY_KIND, KINDS, MODULES, Program, matches, meanings, programs

MOST_BYTES = 200_000
MOST_DOTS = 100  # in a key of TOML
MOST_FOLDERS = 6  # with a file that another one names
SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".sh")
COMMANDS = (".toml", ".sh")  # suffixes of files that are neither presets nor configs
MOST_KEYS, MOST_NAMED = 500, 12  # in a file and in a message
DEEPSPEED, UNMODELLED, ANY, AUTO = "deepspeed", "unmodelled", "*", "auto"
_FLAG = re.compile(r"(^|\s)--(num-layers|hidden-size|tensor-model-parallel-size)[\s=]")
_REFERENCE = re.compile(r"\$\{(\.?)(\w+(?:\.\w+){0,9})\}")
_PRESET = re.compile(r"^(architecture|base|kinds)\s*:", re.MULTILINE)
_CONFIG = re.compile(r'^\s*\{.*"(model_type|architectures)"\s*:', re.DOTALL)
TOKENIZER = "tokenizer"  # of a model that is described by sizes


class ParsedFile(NamedTuple):
    """The contents of a training program's file, and a function that locates a key."""

    path: str
    program: Program
    data: Mapping[str, Any]
    where: Callable[[str], str]


class TrainingValues(NamedTuple):
    """What a file says, under the names that ``data/training_files/trainer.yaml`` describes.

    Attributes:
        values: settings of the file and of the program.
        stated: settings that a key of the file sets, by key.
        defaults: keys that the file lacks, with the values that the program uses.
        ignored: keys without effect on memory and time.
        unmodelled: keys whose effect is not computed.
        unknown: keys that the program does not have.
        refused: errors of values that are not computed, by the setting that overrides them.
    """

    values: dict[str, Any]
    stated: dict[str, str]
    defaults: dict[str, Any]
    ignored: list[str]
    unmodelled: list[str]
    unknown: list[str]
    refused: dict[str, InputError]


def find_training_file(path: str) -> ParsedFile | None:
    """Return the parsed file of a training program, or None if the path is that of a preset, a config or no file."""
    if not path.lower().endswith(SUFFIXES) or not os.path.isfile(path) or os.path.getsize(path) > MOST_BYTES:
        return None
    if path.lower().endswith(COMMANDS):
        return parse_training_file(path)
    text = read_text(path, MOST_BYTES)
    if _PRESET.search(text) or _CONFIG.match(text):
        return None
    try:
        return _identify(path, *_parse(path, text))
    except DescriptionError:
        return None


def parse_training_file(path: str) -> ParsedFile:
    """Read the file of a training program. Raise an error if no program has such a file."""
    data, where = _parse(path, read_text(path, MOST_BYTES))
    found = _identify(path, data, where)
    if found is None:
        known = "; ".join(f"{each.title}: {' or '.join(each.signature)}" for each in programs().values())
        raise DescriptionError("is not a file of a known training program", where=path, hint=f"keys of {known}")
    return found


def _parse(path: str, text: str) -> tuple[Mapping[str, Any], Callable[[str], str]]:
    """Return the contents of a YAML, JSON or TOML file, and a function that locates a key."""

    def where(key: str) -> str:
        return f"{path}: {key}" if key else path

    data: Any
    if path.lower().endswith(".toml"):
        import tomllib

        if any(part.count(".") > MOST_DOTS for part in re.split(r"[=\n]", text)):  # slow to parse
            raise DescriptionError(f"a key of more than {MOST_DOTS} parts", where=path)
        try:
            data = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            raise DescriptionError(f"invalid TOML: {error}", where=path) from None
    elif path.lower().endswith(".sh") or _FLAG.search(text):
        from .training_commands import read_flags

        data = read_flags(text, path)
    elif text.lstrip().startswith("{"):
        from ..schema.config_files import parse_config

        data = parse_config(text, path)
    else:
        from ..schema.yaml_reader import read_yaml

        document = read_yaml(text, path)
        data = document.data

        def where(key: str) -> str:
            return f"{document.where(tuple(key.split('.')))}: {key}" if key else path

    if not isinstance(data, dict):
        raise DescriptionError(f"must contain keys and values, not {short_repr(data)}", where=path)
    check_bounds(data, path)
    flags = [value for value in data.values() if isinstance(value, dict) and value and all(map(_is_flag, value))]
    if flags:  # arguments of Megatron-LM in YAML
        data = {key.removeprefix("--").replace("-", "_"): value for part in flags for key, value in part.items()}
    return data, where


def _is_flag(key: str) -> bool:
    return key.startswith("--")


def _identify(path: str, data: Mapping[str, Any], where: Callable[[str], str]) -> ParsedFile | None:
    """Return the program that has most of the keys of a file."""
    names = [key for key, _ in _flat(data)]
    if len(names) > MOST_KEYS:
        raise DescriptionError(f"has {len(names):,} keys, more than {MOST_KEYS:,}", where=path)
    candidates = [each for each in programs().values() if any(key in data for key in each.signature)]
    if not candidates:  # the key that names the model is missing
        with_model = [each for each in programs().values() if each.model_key]
        candidates = [each for each in with_model if sum(name in each.keys for name in names) > 1]
    missing = {each.name: sum(not each.is_known(name) for name in names) for each in candidates}
    best = [each for each in candidates if missing[each.name] == min(missing.values())]
    if not best or 2 * missing[best[0].name] > len(names):
        return None
    if len(best) > 1:
        titles = " or ".join(each.title for each in best)
        own = [next((f"{key} ({one.title})" for key in one.keys if _is_own(key, one, best)), "") for one in best]
        hint = f"add a key that only one of them has, such as {' or '.join(filter(None, own))}"
        raise InputError(f"may be a file of {titles}", where=path, hint=hint)
    return ParsedFile(path, best[0], data, where)


def _is_own(key: str, program: Program, others: list[Program]) -> bool:
    return "default" in program.keys[key] and not any(each.is_known(key) for each in others if each is not program)


def _flat(data: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key with its value. Keys of nested mappings are joined by dots."""
    for name, value in data.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def read_values(file: ParsedFile) -> TrainingValues:
    """Return what a file says. A value that is not understood is an error that names its key."""
    found = TrainingValues(dict(file.program.usual), {}, {}, [], [], [], {})
    data = {key: _resolved(value, key, file.data) for key, value in _flat(file.data)}
    stated = {key: value for key, value in file.data.items() if isinstance(value, Mapping)} | data
    for key, rule in file.program.keys.items():
        if key not in stated:
            if "default" in rule and _applies(rule, found.values):
                before = dict(found.values)
                _apply(file, key, rule, rule["default"], found)
                if found.values != before or rule.get("to"):
                    found.defaults[key] = rule["default"]
            continue
        value = stated[key]
        if value == AUTO and AUTO not in meanings(file.program, rule):
            continue  # the program that reads the file as well sets it
        if _applies(rule, found.values):
            _apply(file, key, rule, value, found)
        else:
            found.ignored.append(key)
    for key, value in data.items():
        _classify(file.program, key, value, found)
    return found


def _resolved(value: Any, key: str, data: Mapping[str, Any]) -> Any:
    """Return a value, or the one to which it refers, as ``${model.seq_length}`` and ``${.seq_length}`` do."""
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    path = [*key.split(".")[:-1], *match[2].split(".")] if match[1] else match[2].split(".")
    found: Any = data
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return value if found is None or isinstance(found, Mapping) else found


def _applies(rule: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return "needs" not in rule or bool(values.get(rule["needs"]))


def _classify(program: Program, key: str, value: Any, found: TrainingValues) -> None:
    """Add a key that sets nothing to the ignored, unmodelled or unknown ones."""
    if key in program.keys or (DEEPSPEED in found.stated and key.startswith(f"{DEEPSPEED}.")):
        return
    if matches(key, program.unmodelled):
        if not is_off(value):
            found.unmodelled.append(key)
    elif matches(key, program.ignored):
        found.ignored.append(key)
    else:
        found.unknown.append(key)


def is_off(value: Any) -> bool:
    """Return whether a value turns something off, as false, null, 0 and an empty text or list do."""
    return value in (None, False, 0, "", [], {}) or (isinstance(value, str) and value.lower() in ("none", "false"))


def _apply(file: ParsedFile, key: str, rule: Mapping[str, Any], value: Any, found: TrainingValues) -> None:
    """Set what a key says."""
    values, name = meanings(file.program, rule), rule.get("to", "")
    if isinstance(value, str) and "$" in value and name == TOKENIZER:
        return
    if isinstance(value, str) and "$" in value and not {_text(value), ANY} & values.keys():
        found.unmodelled.append(f"{key} ({value})")  # a variable that the file does not set
        return
    if value is None and "" not in values:
        return
    if "text" in rule and _text(value) not in values:
        text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value).strip()
        found.values[name] = rule["text"].format(value=text, **{name: found.values.get(name, "")})
    elif name == DEEPSPEED:
        _read_deepspeed(file, key, value, found)
    elif values and (KINDS.get(name, ANY_KIND).kind is not int or _text(value) in values):
        for text in _words(value, values):
            _set(file, key, name, text, values, found)
    else:
        read = [value] if name == MODULES and isinstance(value, str) else _integer(value, KINDS[name])
        try:
            KINDS[name].check(read)
        except InputError as error:
            raise SizeError(error.message, where=file.where(key)) from None
        found.values[name] = read
    found.stated[key] = name


def _words(value: Any, values: Mapping[str, Any]) -> list[str]:
    """Return a value as texts, which are keys of ``values`` if they are known."""
    if isinstance(value, (list, tuple)):
        return [_text(each) for each in value] or [""]
    text = _text(value)
    parts = re.split(r"[\s,]+", text)
    return parts if text not in values and all(part in values for part in parts) else [text]


def _text(value: Any) -> str:
    return "" if is_off(value) and not isinstance(value, (bool, int, float, str)) else str(value).strip().lower()


def _set(file: ParsedFile, key: str, name: str, text: str, values: Mapping[str, Any], found: TrainingValues) -> None:
    patterns = [each for each in values if ANY in each and each != ANY and fnmatchcase(text, each)]
    if patterns and text not in values:
        for pattern in patterns:
            found.values.update(values[pattern])
        return
    meaning = values.get(text, values.get(ANY)) if text in values or ANY in values else KeyError
    if meaning is KeyError:
        known = [each for each in values if each not in ("", ANY)]
        hint = f"supported: {named(known)}"
        error = InputError(f"{short_repr(text)} is not supported", where=file.where(key), hint=hint)
        if not name:
            raise error
        if name not in ("model", "lora", "loaded"):  # an option can replace it
            error.hint = f"{hint}; or set {{{name}=VALUE}}"
        found.refused[name] = error
    elif meaning == UNMODELLED:
        found.unmodelled.append(f"{key} ({text})")
    elif isinstance(meaning, Mapping):
        found.values.update(meaning)
    elif name and meaning is not None:
        found.values[name] = meaning
        found.refused.pop(name, None)


def _integer(value: Any, setting: Setting) -> Any:
    """Return a whole number that is written as 4096.0 or as text as an integer, and any other value unchanged."""
    if setting.kind is int and isinstance(value, str):
        return value if (read := read_integer(value)) is None else read
    return int(value) if setting.kind is int and isinstance(value, float) and value.is_integer() else value


def _read_deepspeed(file: ParsedFile, key: str, value: Any, found: TrainingValues) -> None:
    """Add the settings of a DeepSpeed file that a key contains or names."""
    if isinstance(value, Mapping):
        inner = ParsedFile(file.path, programs()[DEEPSPEED], value, lambda own: file.where(f"{key}.{own}"))
    elif not isinstance(value, str) or not value:
        raise DescriptionError(f"must be a file name or a mapping, not {short_repr(value)}", where=file.where(key))
    else:
        path = _find_file(value, file.path)
        if path is None:
            known = file.program.files.get(os.path.basename(value))
            if known is None:
                hint = "add the stage, such as {zero=3}"
                found.refused["zero"] = DescriptionError(f"{value} was not found", where=file.where(key), hint=hint)
            found.values.update({"engine": DEEPSPEED, **(known or {})})
            return
        inner = parse_training_file(path)
        if inner.program.name != DEEPSPEED:
            raise DescriptionError(f"{value} is not a file of DeepSpeed", where=file.where(key))
    read = read_values(inner)
    mine = {"engine", "zero", "gradients", "tp", "offload", *(["optimizer"] if "optimizer.type" in read.stated else [])}
    found.values.update({name: setting for name, setting in read.values.items() if name in mine})
    found.refused.update({name: error for name, error in read.refused.items() if name in mine})
    found.unmodelled.extend(f"{key}.{own}" for own in read.unmodelled)
    found.unknown.extend(f"{key}.{own}" for own in read.unknown)


def _find_file(name: str, path: str) -> str | None:
    """Return the path of a file in the current folder, or in the folder of another file or one of its parents."""
    folder = os.path.dirname(os.path.abspath(path))
    for _ in range(MOST_FOLDERS):
        found = os.path.join(folder, name)
        if "\0" not in name and os.path.isfile(found):
            return found
        folder = os.path.dirname(folder)
    return name if "\0" not in name and os.path.isfile(name) else None


def named(keys: list[str]) -> str:
    """Return keys as a text of limited length."""
    more = [f"and {len(keys) - MOST_NAMED} more"] if len(keys) > MOST_NAMED else []
    return ", ".join([*keys[:MOST_NAMED], *more])
