"""Lengths of the requests that a model accepts, by the rules of the serving engines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ..calc.kv_cache import state
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.workload import positions
from ..data import table, tables
from ..estimate.engine_cache import LONG
from ..importers.engine_commands import EngineCommand
from ..importers.hf.rope import SCALING_KEYS, stated_scaling
from ..schema.model_names import release
from ..schema.preset import ASKED

POSITIONS = "max_position_embeddings"
ASSUMED_LENGTH = 2048  # tokens (vLLM: config/model.py, _get_and_verify_max_len)
USUAL, OF_GGUF = "vllm", "llama.cpp"
NOTHING: Mapping[str, Any] = {}


def served_length(architecture: Architecture, engine: str | None = None, config: Mapping[str, Any] = NOTHING) -> int:
    """Return the default length of a request: the number of positions of the model, as an engine derives it.

    Engines multiply the positions in a config by the factor of some methods of scaling, such as YaRN in vLLM.

    Args:
        architecture: the model.
        engine: the engine (default: vLLM, or llama.cpp for a GGUF file).
        config: keys that a command line changes in the config.
    """
    own = config.get(POSITIONS) or architecture.inputs.get(POSITIONS) or positions(architecture)
    if not own:
        own = _published_length(architecture)
    is_changed = any(key in config for key in SCALING_KEYS)
    scaling = stated_scaling(config) if is_changed else architecture.inputs.get("rope_scaling")
    if not scaling:
        return int(own)
    return _scaled(int(own), scaling, engine or (OF_GGUF if architecture.inputs.get("types") else USUAL), architecture)


def _scaled(length: int, scaling: Mapping[str, Any], engine: str, architecture: Architecture) -> int:
    """Return the positions that an engine derives from those of a config and a method of scaling."""
    rule = tables("engines").get(engine, {}).get("positions")
    if not rule or scaling["type"] in rule["unscaled"].split() or architecture.family.startswith(_families(rule)):
        return length
    original = scaling.get("original")
    if original and rule.get("keeps_extended"):
        return length
    base = original if original and scaling["type"] in rule.get("from_original", "").split() else length
    return int(base * scaling["factor"])


def _families(rule: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(rule.get("families", "").split())


def _published_length(architecture: Architecture) -> int:
    """Return the length of a model without a config."""
    releases = table("release_lengths")
    if named := release(str(architecture.inputs.get(ASKED, "")), releases):
        return int(releases[named])
    name, known = str(architecture.inputs.get("model", architecture.name)), table("context_lengths")
    found = [key for key in known if name == key or name.startswith(f"{key}-")]
    if not found:
        message, hint = f"the context length of {name} is unknown", "add {max_model_len=N}"
        raise InputError(message, parameter="max_model_len", hint=hint)
    return int(known[max(found, key=len)])


def known_length(architecture: Architecture, engine: str | None = None) -> int | None:
    """Return the number of positions of a model as an engine derives it, or None if it is unknown."""
    with suppress(InputError):
        return served_length(architecture, engine)
    return None


def longest_request(
    architecture: Architecture, engine: str, pasted: EngineCommand | None, config: Mapping[str, Any] = NOTHING
) -> int | None:
    """Return the longest request with which an engine starts, or None if it does not depend on the model."""
    longer = tables("engines")[engine].get("longer")
    if not longer or (pasted and pasted.environment.get(longer["variable"], "0").lower() in ("1", "true")):
        return None
    if pasted and any(read_json(pasted.texts[flag]) is None for flag in longer["flags"] if flag in pasted.texts):
        return None
    with suppress(InputError):
        return served_length(architecture, engine, config)
    return None


def changed_config(engine: str, pasted: EngineCommand | None) -> dict[str, Any]:
    """Return the keys of the config on which the length depends, and that flags of a command change."""
    flags: Mapping[str, str] = tables("engines")[engine].get("longer", {}).get("flags", {})
    texts, found = pasted.texts if pasted else {}, dict[str, Any]()
    for flag, key in flags.items():
        given = read_json(texts[flag]) if flag in texts else None
        for part in _parts({key: given} if key and given else given or {}):
            found |= {key: value for key, value in part.items() if key in (POSITIONS, *SCALING_KEYS)}
    return found


def _parts(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a config and its nested language model."""
    yield config
    yield from (part for key, part in config.items() if key == "text_config" and isinstance(part, dict))


def read_json(text: str) -> dict[str, Any] | None:
    """Return the object in a text, or None if it has none."""
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
        return found if isinstance(found, dict) else None
    return None


def start_length(architecture: Architecture, engine: str, config: Mapping[str, Any] = NOTHING) -> int:
    """Return the default length of a request, which vLLM assumes for a model that caches no tokens."""
    try:
        return served_length(architecture, engine, config)
    except InputError:
        if len({state(architecture, seq=tokens, extend=True).bytes for tokens in (LONG, 2 * LONG)}) > 1:
            raise
        return ASSUMED_LENGTH
