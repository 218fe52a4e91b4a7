"""Architectures read from the ``config.json`` next to safetensors files or from GGUF metadata.

The architecture's ``inputs`` describe the stored weights. ``checkpoint`` is the path of the headers that
``verify`` reads. For a GGUF file, ``types`` contains the type of each tensor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..checkpoint.headers import GGUF, Headers, is_weights, limits
from ..checkpoint.headers import checkpoint_files as files
from ..checkpoint.headers.checkpoint_files import CONFIG, read_headers, weight_files
from ..core.architecture import PREDICTION_LAYERS, Architecture
from ..core.errors import DescriptionError
from ..core.ledger import rows

Reader = Callable[[Mapping[str, Any], str], Architecture]
# GGUF tensors that are computed from the config and are not parameters.
_NUMBER = re.compile(r"blk\.([0-9]+)(?:\.|$)")
COMPUTED = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")


def describe(path: Path, read: Reader) -> Architecture:
    """Return the architecture of the model in a weight folder or file. ``read(config, where)`` reads the config."""
    names = weight_files(path) if path.is_dir() and not (path / CONFIG).exists() else []
    if path.suffix == GGUF or (names and names[0].endswith(GGUF)):
        return _of_gguf(read_headers(path), read)
    if names:
        raise _no_config(path / names[0])
    if path.is_dir() and not (path / CONFIG).exists():
        if not files.pickled_files(path):
            raise DescriptionError("the folder has no config.json", where=limits.printable(path))
        raise files.no_weights_error(path)
    if path.name.endswith(files.PICKLED):
        hint = "Unpickling can run arbitrary code. Pass the config.json instead, or convert the weights to safetensors."
        raise DescriptionError("pickled weights are never opened", where=limits.printable(path), hint=hint)
    from ..schema.config_files import read_config

    file = path if path.name == CONFIG else (path if path.is_dir() else path.parent) / CONFIG
    if not file.exists():
        raise _no_config(path)
    if file != path:  # opening a named pipe would block, unless it was passed explicitly
        limits.regular_file(file)
    found = read(read_config(file), str(file))
    if not is_weights(path) and not (path.is_dir() and weight_files(path)):
        return found
    return replace(found, inputs={**found.inputs, "checkpoint": str(path)})


def describe_remote(source: str, read: Reader) -> Architecture:
    """Return the architecture of a Hub repository."""
    from . import hub

    if hub.read_place(source).file:
        return _of_gguf(hub.headers(source), read)
    found = describe(hub.config(source), lambda data, _: read(data, source))
    return replace(found, inputs={**found.inputs, "checkpoint": source})


def headers_of(architecture: Architecture) -> Headers | None:
    """Return the tensor headers of an architecture's source checkpoint, or None."""
    source = architecture.inputs.get("checkpoint")
    if source and source.startswith("hf:"):
        from . import hub

        return hub.headers(source)
    return read_headers(Path(source)) if source else None


def _no_config(path: Path) -> DescriptionError:
    hint = "Add the config.json. Without it, llmcalc params FILE and verify FILE only count tensors."
    message = "missing config.json: tensor shapes do not determine heads, experts per token or positions"
    return DescriptionError(message, where=limits.printable(path), hint=hint)


def _of_gguf(headers: Headers, read: Reader) -> Architecture:
    from .gguf import ARCHITECTURE, config_of

    found = _without_pooler(read(config_of(headers), headers.where), headers)
    types = {held.name: held.type for held in headers}
    arch = headers.metadata[ARCHITECTURE]
    inputs = {**found.inputs, "checkpoint": headers.where, "gguf": arch, "types": types}
    number = headers.metadata.get(f"{arch}.nextn_predict_layers")
    inputs |= {PREDICTION_LAYERS: number} if type(number) is int and number > 0 else {}
    return replace(found, inputs=inputs, notes=(*found.notes, *_differences(found, headers)))


def _without_pooler(architecture: Architecture, headers: Headers) -> Architecture:
    """Remove the pooler from the architecture if the GGUF file does not contain one."""
    if "cls.weight" in headers.tensors or not any(named.name == "pooler" for named in architecture.main.outputs):
        return architecture
    kept = tuple(named for named in architecture.main.outputs if named.name != "pooler")
    stacks = (replace(one, outputs=kept) if one is architecture.main else one for one in architecture.stacks)
    return replace(architecture, stacks=tuple(stacks))


def _differences(architecture: Architecture, headers: Headers) -> list[str]:
    """Return a note if the stored and declared element counts differ."""
    numbers = {one.name: _NUMBER.match(one.name) for one in headers}  # blocks after the last one predict further tokens
    beyond = {name for name, number in numbers.items() if number and int(number[1]) >= architecture.main.n_layers}
    held = sum(one.elements for one in headers if one.name not in beyond.union(COMPUTED))
    declared = sum(row.size * row.copies for row in rows(architecture.stacks))
    if held == declared:
        return []
    where = f"llmcalc verify {headers.where} shows where"
    return [f"the file holds {held:,} elements, but the architecture declares {declared:,}; {where}"]
