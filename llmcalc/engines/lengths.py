"""Lengths of the requests that a model accepts, by the rules of the serving engines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import ceil

from ..core.architecture import Architecture
from ..core.errors import InputError, short_repr, spelled
from ..core.layer import LARGEST_SIZE
from ..core.record import NOTHING, NamedTuple, remembered
from ..core.type_names import TYPE_CHECKING, Any
from ..core.workload import positions
from ..data import table, tables
from ..schema.model_names import release
from ..schema.preset import ASKED
from ..schema.preset_files import shipped_folder
from .served_models import has_attention, unserved

if TYPE_CHECKING:
    from ..importers.engine_commands import EngineCommand

POSITIONS = "max_position_embeddings"
ASSUMED_LENGTH = 2048  # tokens (vLLM: config/model.py, _get_and_verify_max_len)
USUAL, OF_GGUF = "vllm", "llama.cpp"


def served_length(architecture: Architecture, engine: str | None = None, config: Mapping[str, Any] = NOTHING) -> int:
    """Return the default length of a request: the number of positions of the model, as an engine derives it.

    Engines multiply the positions in a config by the factor of some methods of scaling, such as YaRN in vLLM.

    Args:
        architecture: the model.
        engine: the engine (default: vLLM, or llama.cpp for a GGUF file).
        config: keys that a command line changes in the config.
    """
    own, scaling = _own_length(architecture, config), _scaling(architecture, config)
    if not scaling:
        return int(own)
    return _scaled(int(own), scaling, engine or (OF_GGUF if architecture.inputs.get("types") else USUAL), architecture)


def _scaling(architecture: Architecture, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the method of scaling of a model, or nothing."""
    if config:
        from ..importers.hf.rope import SCALING_KEYS, stated_scaling  # needed only by command lines

        if any(key in config for key in SCALING_KEYS):
            return stated_scaling(config)
    if not _stated_length(architecture, config):
        return _published(architecture).get("scaling") or NOTHING
    return architecture.inputs.get("rope_scaling") or NOTHING


def _scaled(length: int, scaling: Mapping[str, Any], engine: str, architecture: Architecture) -> int:
    """Return the positions that an engine derives from those of a config and a method of scaling."""
    rule = tables("engines").get(engine, {}).get("positions")
    if not rule or scaling["type"] in rule["unscaled"].split() or architecture.family.startswith(_families(rule)):
        return length
    original = scaling.get("original")
    if original and rule.get("keeps_extended"):
        return length
    base = original if original and scaling["type"] in rule.get("from_original", "").split() else length
    return int(base * scaling.get("factor", 1.0))


def _families(rule: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(rule.get("families", "").split())


def _stated_length(architecture: Architecture, config: Mapping[str, Any]) -> int | None:
    """Return the positions that a command line, a config or the model itself states, or None."""
    found = config.get(POSITIONS), architecture.inputs.get(POSITIONS), positions(architecture)
    return found[0] or min(filter(None, found[1:]), default=None)


def _own_length(architecture: Architecture, config: Mapping[str, Any]) -> int:
    """Return the length of a model before scaling.

    Raises:
        InputError: the length is unknown, or the model has no limit.
    """
    found = _stated_length(architecture, config) or _published(architecture).get("length")
    if found:
        return int(found)
    name, reason = architecture.name, unlimited_reason(architecture)
    message = f"{name} states no context length: {reason}" if reason else f"the context length of {name} is unknown"
    raise InputError(message, parameter="max_model_len", hint="add {max_model_len=N}")


def _published(architecture: Architecture) -> Mapping[str, Any]:
    """Return what is published about the length of a shipped preset or of its release, or nothing."""
    return remembered(architecture, "_published_length", None, lambda: _read_published(architecture))


def _read_published(architecture: Architecture) -> Mapping[str, Any]:
    if os.path.dirname(architecture.inputs.get("file") or "") != shipped_folder():
        return NOTHING
    releases: Mapping[str, Any] = table("release_lengths")
    if named := release(str(architecture.inputs.get(ASKED, "")), releases):
        return dict(releases[named])
    name, known = str(architecture.inputs["model"]), table("context_lengths")
    found = [key for key in known if name == key or name.startswith(f"{key}-")]
    return dict(known[max(found, key=len)]) if found else NOTHING


def unlimited_reason(architecture: Architecture) -> str:
    """Return why a model has no longest request, or an empty text if it has one or if this is unknown.

    >>> import llmcalc
    >>> unlimited_reason(llmcalc.load("mamba-130m")), unlimited_reason(llmcalc.load("llama3-8b"))
    ('a recurrent state has no limit; it was trained on 2,048 tokens', '')
    """
    return "" if _stated_length(architecture, NOTHING) else str(_published(architecture).get("none", ""))


def known_length(
    architecture: Architecture, engine: str | None = None, config: Mapping[str, Any] = NOTHING
) -> int | None:
    """Return the number of positions of a model as an engine derives it, or None if it is unknown."""
    with suppress(InputError):
        return served_length(architecture, engine, config)
    return None


class LengthLimit(NamedTuple):
    """How long the sequences of a model may be, and what happens beyond, in an engine or in the model alone.

    ``length_limit`` makes it. Every answer takes from here whether a length is refused, and in which words.

    Attributes:
        tokens: tokens that the model accepts, as the engine derives them, or None without a limit or a known one.
        positions: learned positions, beyond which nothing is computed, or None without a table of them.
        variable: variable of the environment with which the engine accepts longer sequences, or empty if it does so.
    """

    tokens: int | None
    positions: int | None
    variable: str

    @property
    def allowed(self) -> int | None:
        """Tokens of the longest sequence that is not refused, or None without a limit."""
        return min(filter(None, (self.positions, self.tokens if self.variable else None)), default=None)

    def refusal(self, tokens: float) -> str:
        """Return why requests of a length are refused, or an empty text."""
        if self.positions is not None and tokens > self.positions:
            return f"requests of {tokens:,.10g} tokens exceed the {self.positions:,} learned positions of the model"
        excess = self._excess(tokens) if self.variable else ""
        return excess and f"{excess}; {self.variable}=1 allows them"

    def excess(self, tokens: float) -> str:
        """Return that requests have more tokens than the model accepts, if they are not refused, or an empty text."""
        return "" if self.refusal(tokens) else self._excess(tokens)

    def _excess(self, tokens: float) -> str:
        if self.tokens is None or tokens <= self.tokens:
            return ""
        return f"requests of {tokens:,.10g} tokens exceed the {self.tokens:,} that the model accepts"


def length_limit(
    architecture: Architecture, engine: str | None = None, command: EngineCommand | None = None
) -> LengthLimit:
    """Return how long sequences may be in an engine with its command line, or in a model alone, which refuses none.

    An engine that does not serve the model, whose kernels are estimated, refuses no length either.

    >>> import llmcalc
    >>> model = llmcalc.load("gemma2-9b")
    >>> length_limit(model, "tensorrt-llm").excess(9000), length_limit(model, "tensorrt-llm").refusal(9000)
    ('requests of 9,000 tokens exceed the 8,192 that the model accepts', '')
    >>> length_limit(model, "vllm").allowed, length_limit(model).allowed
    (8192, None)
    """
    served = engine if engine and not unserved(engine, architecture) else ""
    longer: Mapping[str, Any] = tables("engines").get(served, {}).get("longer", {})
    own = command if command and command.engine == engine else None
    changes = [read_json(own.texts[flag]) for flag in longer.get("flags", ()) if flag in own.texts] if own else []
    is_known = None not in changes  # one may be in another file
    tokens = known_length(architecture, engine, changed_config(engine or USUAL, own)) if is_known else None
    variable = longer.get("variable", "")
    is_lifted = own is not None and own.environment.get(variable, "0").lower() in ("1", "true")
    return LengthLimit(tokens, positions(architecture), "" if is_lifted else variable)


def refusal_text(reason: str, over: float, sizes: Mapping[str, Any]) -> str:
    """Return a reason as a sentence, with the first length that can do without the tokens over a limit, or empty text.

    >>> refusal_text("requests of 9,000 tokens exceed 8,192", 808, {"isl": 8500, "osl": 500})
    'Requests of 9,000 tokens exceed 8,192. The longest: isl=7692'
    """
    found = ((name, sizes.get(name, 0) - ceil(over)) for name in ("isl", "osl", "seq", "context"))
    longest = next((f". The longest: {{{name}={size}}}" for name, size in found if size > 0), "")
    return spelled(f"{reason[:1].upper()}{reason[1:]}{longest}" if reason else "")


def changed_config(engine: str, pasted: EngineCommand | None) -> dict[str, Any]:
    """Return the keys of the config on which the length depends, and that flags of a command change."""
    if pasted is None:
        return {}
    from ..importers.hf.rope import SCALING_KEYS

    flags: Mapping[str, str] = tables("engines")[engine].get("longer", {}).get("flags", {})
    found: dict[str, Any] = {}
    for flag, key in flags.items():
        given = read_json(pasted.texts[flag]) if flag in pasted.texts else None
        for part in _parts({key: given} if key and given else given or {}):
            found |= {key: value for key, value in part.items() if key in (POSITIONS, *SCALING_KEYS)}
    stated = found.get(POSITIONS)
    if stated is not None and (type(stated) is not int or not 0 < stated <= LARGEST_SIZE):
        wanted = f"must be an integer from 1 to {LARGEST_SIZE:,}"
        raise InputError(f"{POSITIONS} {wanted}, not {short_repr(stated)}", parameter="command")
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


def start_length(
    architecture: Architecture,
    engine: str,
    config: Mapping[str, Any] = NOTHING,
    flag: str | None = None,
    short_scaling: str = "",
) -> int:
    """Return the default length of a request, which engines assume for a model or a config that states none.

    Args:
        architecture: the model.
        engine: the engine.
        config: keys that a command line changes in the config.
        flag: the option of a command line that states the length.
        short_scaling: methods of scaling for whose short contexts the engine has a shorter default.
    """
    try:
        length, scaling = served_length(architecture, engine, config), _scaling(architecture, config)
        is_short = scaling.get("short") and scaling["type"] in short_scaling.split()
        return min(length, int(scaling["short"])) if is_short else length
    except InputError as error:
        if assumed := _assumed_length(architecture, engine):
            return assumed
        if flag is None:
            raise
        raise InputError(error.message, hint=f"add {flag} N to the command") from None


def _assumed_length(architecture: Architecture, engine: str) -> int | None:
    """Return the length that an engine assumes for a model that states none, or None if it may state one."""
    if not (unlimited_reason(architecture) or "model_type" in architecture.inputs or not has_attention(architecture)):
        return None
    return int(tables("engines")[engine].get("assumed_length", {}).get("tokens", ASSUMED_LENGTH))


def length_notes(architecture: Architecture, engine: str, is_given: bool) -> tuple[str, ...]:
    """Return a note on a length that an engine assumes."""
    is_known = is_given or known_length(architecture, engine) is not None
    assumed = None if is_known else _assumed_length(architecture, engine)
    if assumed is None:
        return ()
    reason = unlimited_reason(architecture) or "it states no context length"
    title = tables("engines")[engine]["title"]
    return (f"{architecture.name}: {reason}. {title} assumes {assumed:,} tokens unless the command states a length",)
