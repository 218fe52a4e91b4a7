"""Model loading from presets, configs, checkpoints and in-memory descriptions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..core.architecture import Architecture
from ..core.errors import DescriptionError, InputError, UnknownNameError, nearest, short_repr
from ..core.record import NamedTuple, changed
from ..core.setting import Setting, read_texts
from ..core.type_names import Any

WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt", ".pkl")  # only the first two can be read
PRESET_FILES = (".yaml", ".yml")  # a size may follow, as in mine.yaml:8b
Source = Architecture | str | os.PathLike[str] | Mapping[str, Any]  # any source that load() accepts
Overrides = Sequence[str] | Mapping[str, Any]  # texts path=value, or values by path
AS = Setting("as_")
STRICT = Setting("strict", bool, False)


class Reading(NamedTuple):
    """Options for ``load``."""

    overrides: Sequence[str] = ()
    as_: str | None = None
    allow_unknown: Sequence[str] = ()
    strict: bool = False


def read_model(
    source: Source,
    *,
    overrides: Overrides = (),
    as_: str | None = None,
    allow_unknown: Sequence[str] = (),
    strict: bool = False,
    extras: Sequence[str] = (),
) -> Architecture:
    """Read one architecture with the options of ``load``, after checking them."""
    texts, allow_unknown = read_overrides(overrides), read_texts(allow_unknown, "allow_unknown")
    AS.check(as_)
    STRICT.check(strict)
    reading = {"as_": as_, "allow_unknown": allow_unknown, "strict": strict, "extras": read_texts(extras, "extras")}
    return load_all([source], overrides=texts, **reading)[0]


def read_overrides(overrides: Overrides) -> tuple[str, ...]:
    """Return overrides as texts ``path=value``.

    >>> read_overrides({"n_layers": 48, "mlp.bias": True})
    ('n_layers=48', 'mlp.bias=true')
    """
    if isinstance(overrides, Mapping):
        return tuple(f"{path}={_spelled(value)}" for path, value in overrides.items())
    return read_texts(overrides, "overrides")


def _spelled(value: Any) -> str:
    """Write a value as in YAML, which has the words and brackets of JSON."""
    if value is None or isinstance(value, (bool, list, tuple, dict)):
        from json import dumps

        return dumps(value, default=str)
    return str(value)


def load_all(sources: Sequence[Any], overrides: Sequence[str] = (), **reading: Any) -> list[Architecture]:
    """Load several architectures with the same options."""
    return load_each([(source, overrides) for source in sources], **reading)


def load_each(
    sources: Sequence[tuple[Any, Sequence[str]]],
    *,
    as_: str | None = None,
    allow_unknown: Sequence[str] = (),
    strict: bool = False,
    extras: Sequence[str] = (),
) -> list[Architecture]:
    """Load several architectures with separate overrides. Config options require a model with a ``config.json``."""
    found = [_load(source, Reading(overrides, as_, allow_unknown, strict)) for source, overrides in sources]
    if (as_ or allow_unknown) and not any("model_type" in one.inputs for one in found):
        message = f"applies only to models read from a config.json, unlike {found[0].name}"
        raise InputError(message, parameter="as_" if as_ else "allow_unknown", hint="omit it")
    if not extras:
        return found
    from .extras import with_extras  # needed only by models with extras

    return [with_extras(one, extras) for one in found]


def _load(source: Any, reading: Reading) -> Architecture:
    if isinstance(source, Architecture):
        if reading.overrides:
            message, hint = "overrides cannot be applied to a loaded architecture", "pass them to the first load()"
            raise DescriptionError(message, parameter="overrides", hint=hint)
        return source
    if isinstance(source, Mapping):
        return _from_data(dict(source), "the given mapping", reading)
    if isinstance(source, os.PathLike):
        return _from_path(source, reading)
    if not isinstance(source, str):
        raise DescriptionError(f"{short_repr(source)} is not a model name, path or description")
    if source == "-":
        return _from_stdin(reading)
    if source.startswith("hf:"):
        from ..importers.weights import describe_remote

        return describe_remote(source, lambda data, where: _from_data(data, where, reading))
    is_path = source in (os.curdir, os.pardir) or "/" in source or os.sep in source
    if is_path or source.endswith((".json", ".toml", ".sh", *WEIGHTS)) or _split_size(source)[0].endswith(PRESET_FILES):
        return _from_path(source, reading)
    from ..schema.preset import load_preset

    try:
        found = load_preset(source, reading.overrides)
    except UnknownNameError as error:
        if error.name != source:
            raise
        if os.path.isdir(source):
            hint = f"use ./{source} for the folder of this name"
            raise DescriptionError(f"unknown model {short_repr(source)}", hint=hint) from None
        if (stored := _named(source, reading)) is None:
            raise
        return stored
    if os.path.isdir(source) and os.path.isfile(os.path.join(source, "config.json")):
        note = f"{source} is a preset here; ./{source} is the model in the folder of this name"
        return changed(found, notes=(note, *found.notes))
    return found


def _split_size(source: str) -> tuple[str, str | None]:
    """Split the size from a preset file, as in ``mine.yaml:8b``.

    >>> _split_size("mine.yaml:8b"), _split_size("mine.yaml")
    (('mine.yaml', '8b'), ('mine.yaml', None))
    """
    file, _, size = source.rpartition(":")
    return (file, size) if file.endswith(PRESET_FILES) else (source, None)


def _from_path(source: str | os.PathLike[str], reading: Reading) -> Architecture:
    from pathlib import Path

    from ..schema.plain_data import MAX_CONFIG_SIZE
    from ..schema.preset import load_file
    from ..schema.preset_files import is_opened, read_text

    path = Path(source)
    try:
        exists, folder = path.exists(), path.is_dir()
    except (OSError, ValueError) as error:  # the name is too long or contains a NUL
        raise DescriptionError(f"invalid path: {error}", where=short_repr(str(path))) from None
    file, size = _split_size(os.fspath(source))
    if not exists and file.endswith(PRESET_FILES) and os.path.isfile(file):
        return load_file(file, size, reading.overrides)
    if not exists:
        return _from_repository_name(source, reading)
    if folder or path.suffix in WEIGHTS:
        from ..importers.weights import describe

        return describe(path, lambda data, where: _from_data(data, where, reading))
    if path.suffix == ".json":
        from ..schema.config_files import read_config

        return _from_data(read_config(path), str(path), reading)
    if is_opened(str(path)):
        return _from_text(read_text(path, MAX_CONFIG_SIZE), str(path), reading)
    try:
        return load_file(path, None, reading.overrides)
    except InputError:
        _check_no_training_file(str(path))
        raise


def _check_no_training_file(path: str) -> None:
    """Raise an error if a path is that of a training program's file, which names a model but is none."""
    from ..importers.training_files import find_training_file

    found = find_training_file(path)
    if found is not None:
        text = f"is a file of {found.program.title}, not a model"
        raise DescriptionError(text, where=path, hint="llmcalc memory, fit and train read it")


def _from_repository_name(source: str | os.PathLike[str], reading: Reading) -> Architecture:
    """Load the preset with the architecture of a repository such as ``Qwen/Qwen3-8B``, which is not a local path."""
    from ..schema.model_names import organisation
    from ..schema.preset_files import names

    where, hint = os.fspath(source), ""
    folder = os.path.dirname(where)
    is_repository = isinstance(source, str) and organisation(source) and not os.path.exists(folder)
    if isinstance(source, str) and (is_repository or not folder) and (found := _named(source, reading)):
        return found
    if is_repository:
        near = nearest(os.path.basename(where), names(), 1)
        hint = " ".join((*(f"did you mean {each}?" for each in near), f"for a repository of the Hub, use hf:{source}"))
    where = where if where.isprintable() else short_repr(where)
    raise DescriptionError("file not found", where=where, hint=hint)


def _named(source: str, reading: Reading) -> Architecture | None:
    """Load the preset that a name means, with the weight format that it states, or return None for an unknown name."""
    from ..schema.preset import ASKED, load_preset
    from .repository_names import find_model

    model = find_model(source)
    if model is None:
        return None
    if model.file is None:
        return load_preset(source, reading.overrides)
    found = load_preset(model.preset, reading.overrides)
    weights = model.file.weights(found)
    used = f"{source}: using the architecture of preset {model.preset}, with weights in {weights}"
    inputs = {**found.inputs, **model.inputs(found), ASKED: source}
    return changed(found, inputs=inputs, notes=(used, *model.file.notes(source, found), *found.notes))


def _from_stdin(reading: Reading) -> Architecture:
    import sys

    from ..schema.plain_data import MAX_CONFIG_SIZE

    if sys.stdin is None:
        raise DescriptionError("is closed", where="<stdin>")
    content = sys.stdin.buffer.read(MAX_CONFIG_SIZE + 1)
    if len(content) > MAX_CONFIG_SIZE:
        raise DescriptionError(f"exceeds the limit of {MAX_CONFIG_SIZE:,} bytes", where="<stdin>")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DescriptionError("is not valid UTF-8", where="<stdin>") from None
    if not text.strip():
        raise DescriptionError("is empty", where="<stdin>")
    return _from_text(text, "<stdin>", reading)


def _from_text(text: str, where: str, reading: Reading) -> Architecture:
    """Load a config if the text begins with a brace, and a preset otherwise."""
    if text.lstrip().startswith("{"):
        from ..schema.config_files import parse_config

        return _from_data(parse_config(text, where), where, reading)
    from ..schema.preset import load_text

    return load_text(text, where, reading.overrides)


def _from_data(data: Mapping[str, Any], where: str, reading: Reading) -> Architecture:
    from ..schema.plain_data import check_bounds

    check_bounds(data, where)
    if "model_type" not in data and ("architecture" in data or ("base" in data and "name" in data)):
        from ..schema.preset import build_preset

        try:
            return build_preset(data, None, reading.overrides, None)
        except InputError as error:
            keys = ".".join(map(str, error.path or ()))
            if not error.parameter:
                error.where = f"{where}: {keys}" if keys else where
            raise
    from ..importers.hf import load_config

    return load_config(data, where, *reading)
