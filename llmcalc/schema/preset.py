"""A preset file: one family, its sizes, and what is published about them.

    name: gpt3
    base: gpt2                        another preset whose keys are taken over where this one says nothing
    default: 175b                     the size that the family's name means
    variables: {vocab: 50257}         values that the architecture refers to as $vocab
    architecture: {stacks: ..., extras: ...}
    sizes: {175b: {n_layers: 96}}     variables of each size
    aliases: {gpt-3: 175b}
    expect: {175b: [{quantity: params, value: 175.0e9, tolerance: 0.3%, source: "brown2020 Table 2.1"}]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.architecture import Architecture, Expectation, Extra
from ..core.errors import DescriptionError, InputError, UnknownNameError, shown
from . import catalogue
from .build import Builder
from .overrides import apply_overrides
from .template import fill, resolve

KEYS = (
    "name title family year source status base default aliases variables architecture sizes expect notes facts layout"
).split()
MOST_BASES = 16
KeyPath = tuple[Any, ...]


def load_preset(name: str, overrides: Sequence[str] = ()) -> Architecture:
    """The architecture of a preset by name."""
    found = catalogue.find(name)
    return load_file(found.file, found.size, overrides)


def load_file(file: Path, size: str | None = None, overrides: Sequence[str] = ()) -> Architecture:
    """The architecture of a preset file; ``size`` None means its default."""
    try:
        return build_preset(catalogue.raw(file), size, overrides, file)
    except InputError as error:
        if not (file.with_suffix(".yaml").is_file() and getattr(error, "path", None) is not None):
            raise
        raise _located(error, file) from None


def load_text(text: str, name: str, overrides: Sequence[str] = ()) -> Architecture:
    """The architecture that a preset text describes (standard input, an untrusted file)."""
    from .yaml_reader import read_yaml

    document = read_yaml(text, name)
    try:
        return build_preset(document.data, None, overrides, None)
    except InputError as error:
        path = getattr(error, "path", ())
        raise error.at(document.where(path), document.excerpt(path)) from None


def _located(error: InputError, file: Path) -> InputError:
    from .yaml_reader import read_yaml

    yaml_file = file.with_suffix(".yaml")
    document = read_yaml(catalogue.read_text(yaml_file), str(yaml_file))
    path: KeyPath = getattr(error, "path", ())
    error.where = document.where(path)
    return error.at(error.where, document.excerpt(path))


def build_preset(data: Any, size: str | None, overrides: Sequence[str], file: Path | None) -> Architecture:
    """A preset's plain data as an architecture."""
    data = inherit(data, file)
    size = choose_size(data, size)
    variables = {**(data.get("variables") or {}), **((data.get("sizes") or {}).get(size) or {})}
    template, variables = apply_overrides(data.get("architecture") or {}, variables, overrides)
    builder = Builder(_fail)
    plain = fill(template, _resolved(variables), ("architecture",), _fail)
    builder.mapping(plain, ("architecture",), "an architecture", ("stacks", "extras"))
    name = str(data["name"]) if size is None else f"{data['name']}-{size}"
    return Architecture(
        name=name,
        stacks=builder.stacks(plain.get("stacks") or {}, ("architecture", "stacks")),
        title=str(data.get("title") or data["name"]),
        family=str(data.get("family") or data["name"]),
        source=str(data.get("source") or ""),
        status=str(data.get("status") or "published"),
        extras=_extras(plain.get("extras") or {}, builder),
        expect=() if overrides else tuple(_expectation(item) for item in (data.get("expect") or {}).get(size) or ()),
        notes=_notes(data.get("notes") or {}, size),
        inputs={"model": name, "file": str(file) if file else "-", "overrides": list(overrides)},
        layout=str(data.get("layout") or ""),
    )


def _resolved(variables: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return resolve(variables)
    except InputError as error:
        raise _fail(error, ("variables",)) from None


def inherit(data: Any, file: Path | None) -> dict[str, Any]:
    """The data with the keys of its chain of bases filled in.

    Raises:
        DescriptionError: a base that is missing or that leads back to itself.
    """
    _check_envelope(data)
    seen = [str(data["name"])]
    while data.get("base"):
        base = str(data["base"])
        if base in seen:
            raise _fail(DescriptionError(f"the base {base!r} leads back to itself: {' -> '.join([*seen, base])}"), ("base",))
        known = catalogue.files()
        if base not in known:
            raise _fail(UnknownNameError("base", base, known), ("base",))
        seen.append(base)
        parent = catalogue.raw(known[base])
        _check_envelope(parent)
        own = {key: value for key, value in data.items() if key != "base"}
        data = {**_merge({key: parent[key] for key in _INHERITED if key in parent}, own), "base": parent.get("base")}
    return dict(data)


_INHERITED = ("family", "source", "status", "variables", "architecture", "layout")


def _merge(base: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def choose_size(data: Mapping[str, Any], size: str | None) -> str | None:
    """The size that is meant: the given one, the default, or the only one."""
    sizes = data.get("sizes") or {}
    size = size or data.get("default")
    if size is None and len(sizes) > 1:
        raise _fail(DescriptionError(f"has {len(sizes)} sizes and no default", hint=f"one of {', '.join(sizes)}"), ("sizes",))
    if size is None:
        return next(iter(sizes), None)
    if size not in sizes:
        raise _fail(UnknownNameError(f"size of {data['name']}", size, map(str, sizes)), ("default",))
    return str(size)


def _check_envelope(data: Any) -> None:
    if not isinstance(data, dict):
        raise _fail(DescriptionError(f"a preset is a mapping, not {shown(data)}"), ())
    for key in data:
        if key not in KEYS:
            raise _fail(UnknownNameError("key of a preset", key, KEYS), (key,))
    if not isinstance(data.get("name"), str):
        raise _fail(DescriptionError("a preset has a name"), ("name",))
    for key in ("variables", "architecture", "sizes", "expect", "aliases"):
        if not isinstance(data.get(key) or {}, dict):
            raise _fail(DescriptionError(f"{key} is a mapping, not {shown(data[key])}"), (key,))
    for size, variables in (data.get("sizes") or {}).items():
        if not isinstance(variables or {}, dict):
            raise _fail(DescriptionError(f"a size is a mapping of variables, not {shown(variables)}"), ("sizes", size))


def _extras(data: dict[str, Any], builder: Builder) -> tuple[Extra, ...]:
    found = []
    for name, value in data.items():
        if value is None:
            continue
        path = ("architecture", "extras", name)
        builder.mapping(value, path, "an extra", ("reason", "stack"))
        stack = builder.stack(name, builder.need(value, "stack", path), (*path, "stack"))
        found.append(Extra(name.replace("_", " "), stack, str(value.get("reason") or "not counted")))
    return tuple(found)


def _expectation(item: Any) -> Expectation:
    keys = ("quantity", "value", "tolerance", "source", "printed", "note")
    if not isinstance(item, dict) or not {"quantity", "value", "source"} <= set(item) <= set(keys):
        raise _fail(DescriptionError(f"{shown(item)} is no expectation; it has the keys {', '.join(keys)}"), ("expect",))
    value, tolerance = item["value"], item.get("tolerance", 0)
    if isinstance(tolerance, str) and tolerance.endswith("%"):
        try:
            tolerance = float(tolerance[:-1]) / 100
        except ValueError:
            pass
    if type(value) not in (int, float) or type(tolerance) not in (int, float) or tolerance < 0:
        raise _fail(DescriptionError(f"{shown(item)}: value and tolerance are numbers, such as 1.0e9 and 0.5%"), ("expect",))
    texts = {key: str(item.get(key) or "") for key in ("quantity", "source", "printed", "note")}
    return Expectation(value=value, tolerance=tolerance, **texts)


def _notes(data: Any, size: str | None) -> tuple[str, ...]:
    if not isinstance(data, dict):
        raise _fail(DescriptionError("notes map 'all' or a size to a text"), ("notes",))
    return tuple(str(note) for key in ("all", size) if key in data for note in _as_list(data[key]))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _fail(error: InputError, path: KeyPath) -> InputError:
    if getattr(error, "path", None) is None:
        error.path = path  # type: ignore[attr-defined]
    return error
