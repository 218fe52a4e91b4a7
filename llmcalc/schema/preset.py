"""Preset files. A preset describes one model family with its sizes and published figures.

name: gpt3
base: gpt2                        another preset that supplies missing keys
default: 175b                     the size selected by the family name
variables: {vocab: 50257}         values that the architecture refers to as $vocab
kinds: {slot_memory: ...}         layer kinds that the preset defines (see ``text_kinds.py``)
architecture: {stacks: ..., extras: ...}
sizes: {175b: {n_layers: 96}}     variables of each size
aliases: {gpt-3: 175b}
expect: {175b: [{quantity: params, value: 175.0e9, tolerance: 0.3%, source: "brown2020 Table 2.1"}]}
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache

from ..core.architecture import Architecture, Extra
from ..core.errors import DescriptionError, InputError, UnknownNameError
from ..core.layer import Layer
from ..core.record import NamedTuple, changed
from ..core.type_names import TYPE_CHECKING, Any
from . import preset_files
from .build import BRANCH_KEYS, SUBLAYER_KEYS, Builder
from .facts import checkpoint_inputs, expectations, lines, training_facts
from .plain_data import changed_errors, mapping_at
from .template import fill, names_used, resolve, variable_at

if TYPE_CHECKING:
    from .yaml_reader import Document

KeyPath = tuple[Any, ...]
ASKED = "asked"  # input of an architecture: the name by which the user asked for it
MOST_EXTRAS = 64  # equal modules of an extra
_INHERITED = ("family", "source", "status", "variables", "kinds", "architecture", "encoder", "layout", "unmodelled")


def load_preset(name: str, overrides: Sequence[str] = ()) -> Architecture:
    """Return the architecture of the preset with the given name."""
    found = preset_files.find(name)
    architecture = load_file(found.file, found.size, overrides)
    if name == architecture.name:
        return architecture
    notes = (found.note, *architecture.notes) if found.note else architecture.notes
    return changed(architecture, notes=notes, inputs={**architecture.inputs, ASKED: name})


def load_file(file: str | os.PathLike[str], size: str | None = None, overrides: Sequence[str] = ()) -> Architecture:
    """Return the architecture of a preset file for the given size or the default size."""
    with changed_errors(lambda error: _located(error, os.fspath(file))):
        return build_preset(preset_files.read_preset(file), size, overrides, os.fspath(file))


def _located(error: InputError, file: str) -> InputError:
    """Add the location in the preset file or one of its bases to an error."""
    if error.path is None:
        return error
    from .yaml_reader import locate_error

    files, documents = [file], []
    with suppress(InputError):
        files += inherit(preset_files.read_preset(file), file).bases
    for one in files:
        with suppress(InputError):  # a pipe can be read only once
            documents.append(_document(preset_files.read_text(one), one))
    return locate_error(error, documents)


@lru_cache(maxsize=8)
def _document(text: str, file: str) -> Document:
    """Return the text of a file with the places of its keys. A sweep may have many errors in one file."""
    from .yaml_reader import read_yaml

    return read_yaml(text, file)


def load_text(text: str, name: str, overrides: Sequence[str] = ()) -> Architecture:
    """Return the architecture of a preset given as text, such as text from standard input."""
    from .yaml_reader import locate_error, read_yaml

    document = read_yaml(text, name)
    with changed_errors(lambda error: locate_error(error, [document])):
        return build_preset(document.data, None, overrides, None)


def check_file(file: str | os.PathLike[str]) -> None:
    """Validate a preset file and build all of its sizes."""
    from .plain_validation import validate_preset
    from .yaml_reader import locate_error, read_yaml

    document = read_yaml(preset_files.read_text(file), os.fspath(file))
    with changed_errors(lambda error: locate_error(error, [document])):
        validate_preset(document.data)
    for size in [None, *mapping_at(document.data, "sizes")]:
        load_file(file, size)
    stem = os.path.splitext(os.path.basename(file))[0]
    if document.data["name"] != stem:
        raise DescriptionError(f"name must be {stem!r} to match the file name", where=document.where(("name",)))


def build_preset(
    data: Any, size: str | None, overrides: Sequence[str], file: str | None, known: dict[Any, Layer] | None = None
) -> Architecture:
    """Return the architecture of a preset given as plain data. ``known`` keeps the layers of several models."""
    family = inherit(data, file)
    data = family.data
    size = choose_size(data, size)
    chosen = mapping_at(mapping_at(data, "sizes"), size or "")
    template, variables = mapping_at(data, "architecture"), {**mapping_at(data, "variables"), **chosen}
    if overrides:
        from .overrides import apply_overrides

        template, variables = apply_overrides(template, variables, overrides)

    def fail(error: InputError, path: KeyPath) -> InputError:
        """Locate an invalid value at the definition of its variable, and an unknown name where the name is used."""
        name = "" if isinstance(error, UnknownNameError) else variable_at(template, path[1:])
        return error.under(_definition(name, size, chosen) if name in variables else path)

    values = resolve(variables, lambda error, name: error.under(_definition(name, size, chosen)))
    plain = fill(template, values, ("architecture",), fail)
    builder = Builder(fail, own_kinds(data), known)
    builder.mapping(plain, ("architecture",), "an architecture", ("stacks", "extras"))
    name = str(data["name"]) if size is None else f"{data['name']}-{size}"
    stacks = builder.stacks(mapping_at(plain, "stacks"), ("architecture", "stacks"))
    extras = _extras(mapping_at(plain, "extras"), builder)
    if builder.kinds:
        from .text_kinds import check_states

        check_states((*stacks, *(extra.stack for extra in extras)))
    if not overrides:
        _check_used(family, size, template, variables)
    remarks = lines(data, "remarks", size)
    return Architecture(
        name=name,
        stacks=stacks,
        title=str(data.get("title") or data["name"]),
        family=str(data.get("family") or data["name"]),
        source=str(data.get("source") or ""),
        status=str(data.get("status") or "published"),
        extras=extras,
        expect=() if overrides else expectations(data, size),
        notes=lines(data, "notes", size) + remarks,
        inputs={
            "model": name, "file": file or "-", "overrides": list(overrides), **checkpoint_inputs(data, size),
        },
        layout=str(data.get("layout") or ""),
        unmodelled=tuple(data.get("unmodelled") or ()),
        facts=() if overrides else training_facts(data, size),
        remarks=remarks,
    )  # fmt: skip


def own_kinds(data: Mapping[str, Any]) -> dict[str, type[Layer]]:
    """Return the layer kinds that a preset defines, by name."""
    defined = mapping_at(data, "kinds")
    if not defined:
        return {}
    from .text_kinds import read_kinds

    return {**read_kinds(defined, (*SUBLAYER_KEYS, *BRANCH_KEYS))}


def _definition(name: str, size: str | None, chosen: Mapping[str, Any]) -> KeyPath:
    """Return the key path that defines a variable, either in the size or in the family variables."""
    return ("sizes", size, name) if name in chosen else ("variables", name)


def _check_used(family: Family, size: str | None, template: Any, variables: Mapping[str, Any]) -> None:
    """Reject unused variables, which are usually misspelt."""
    used = names_used(template) | names_used(dict(variables))
    own, sizes = mapping_at(family.own, "variables"), mapping_at(family.own, "sizes")
    for path, given in ((("variables",), own), (("sizes", size or ""), mapping_at(sizes, size or ""))):
        for name in given:
            if name not in used:
                raise UnknownNameError("or unused variable", name, used).under((*path, name))


def _extras(data: dict[str, Any], builder: Builder) -> tuple[Extra, ...]:
    found = []
    for name, value in builder.stated(data, ("architecture", "extras"), "extras").items():
        path = ("architecture", "extras", name)
        builder.mapping(value, path, "an extra", ("reason", "stack", "count"))
        stack = builder.stack(name, builder.require(value, "stack", path), (*path, "stack"))
        count = value.get("count", 1)
        if type(count) is not int or not 0 <= count <= MOST_EXTRAS:
            raise builder.wrong("count", f"an integer from 0 to {MOST_EXTRAS}", count, path)
        extra = Extra(name.replace("_", " "), stack, str(value.get("reason") or "not counted"), count)
        found += [extra] * (count > 0)
    return tuple(found)


class Family(NamedTuple):
    """Preset data with inherited keys, the preset's own data, and the files of its bases."""

    data: dict[str, Any]
    own: dict[str, Any]
    bases: tuple[str, ...]


def inherit(data: Any, file: str | None) -> Family:
    """Return preset data merged with its bases. The preset's folder is searched first for bases."""
    check_preset(data, file)
    own, seen, bases = data, [str(data["name"])], []
    while data.get("base") is not None:
        base = str(data["base"])
        if base in seen:
            raise DescriptionError(f"circular base: {' -> '.join([*seen, base])}").under(("base",))
        base_file = _base_file(base, file)
        seen.append(base)
        bases.append(base_file)
        parent = preset_files.read_preset(base_file)
        check_preset(parent, base_file)
        rest = {key: value for key, value in data.items() if key != "base"}
        data = {**merge({key: parent[key] for key in _INHERITED if key in parent}, rest), "base": parent.get("base")}
    return Family(dict(data), own, tuple(bases))


def _base_file(base: str, file: str | None) -> str:
    """Return the file of a base, which is usually in the preset's own folder."""
    folder = os.path.dirname(file) if file else ""
    beside = os.path.join(folder, f"{base}{preset_files.SUFFIX}")
    if file and base.islower() and os.path.basename(base) == base and os.path.isfile(beside):
        return beside
    known = {**preset_files.files(), **(preset_files.files_in(folder) if file else {})}
    if base not in known:
        raise UnknownNameError("base", base, known).under(("base",))
    return known[base]


def check_preset(data: Any, file: str | None) -> None:
    """Validate a user preset except for its architecture. Shipped presets are validated when the wheel is built."""
    if file is None or os.path.dirname(file) != preset_files.shipped_folder():
        from .plain_validation import validate_preset  # not needed by shipped presets

        validate_preset(data)


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` recursively updated with ``own``. A null value removes the key."""
    inner = {key for key, value in own.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return {**base, **{key: merge(base[key], value) if key in inner else value for key, value in own.items()}}


def choose_size(data: Mapping[str, Any], size: str | None) -> str | None:
    """Return the given, default or only size, or None if the preset has no sizes."""
    sizes = mapping_at(data, "sizes")
    if size is None and data.get("default") is not None:
        size = str(data["default"])
    if size is None and len(sizes) > 1:
        hint = (
            f"name one, as in {data['name']}.yaml:{next(iter(sizes))}, or add 'default:' with one of {', '.join(sizes)}"
        )
        raise DescriptionError(f"{len(sizes)} sizes but no default", hint=hint).under(("sizes",))
    if size is None:
        return next(iter(sizes), None)
    if size not in sizes:
        hint = f"sizes: {', '.join(sizes)}"
        raise UnknownNameError(f"{data['name']} size", size, sizes, hint=hint).under(("default",))
    return size
