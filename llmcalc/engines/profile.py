"""Profiles of serving engines: defaults by version and GPU, constants with their ranges, and kernel padding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..core.errors import InputError, short_repr
from ..core.interval import Interval
from ..core.record import NamedTuple, changed, record
from ..core.type_names import Any

GIB = 2**30
Range = Mapping[str, float]  # ``low``, ``best`` and ``high`` of a constant in a data file
WIDER = 1.25  # factor of the ranges of constants in versions that are newer than all measured runs
_VERSION = r"[vb]*([0-9]{1,9}(?![0-9])(?:\.[0-9]{1,9}(?![0-9]))*)"  # numbers of at most nine digits


class Padding(NamedTuple):
    """Multiples to which a kernel pads the inputs and outputs of expert matrices, and whether it pads their scales."""

    input: int
    output: int
    scales: bool


@record
class EngineProfile:
    """A serving engine in one version, on one kind of GPU.

    Attributes:
        rule: how the engine divides the memory: ``profiled``, ``static``, ``free`` or ``sum``.
        share_name: the engine's name for the share of the memory that it uses.
        settings: defaults of the engine.
        constants: quantities that the engine's source leaves open.
        padding: paddings of expert matrices by number format.
        flags: tables of the engine's command-line flags.
        measured: first and last version on whose runs constants were fitted.
        runners: settings and constants of parts of the engine that run only some models.
        log: format strings of the lines of the log that state the result.
    """

    name: str
    title: str
    version: str
    rule: str
    command: str
    share_name: str
    settings: Mapping[str, Any]
    constants: Mapping[str, Interval]
    padding: Mapping[str, Padding]
    flags: Mapping[str, Any]
    log: tuple[str, ...]
    source: str
    measured: tuple[str, ...] = ()
    runners: tuple[Mapping[str, Any], ...] = ()

    @property
    def is_extrapolated(self) -> bool:
        """Whether the version is newer than all measured runs."""
        return bool(self.measured) and version_number(self.version) > version_number(f"{self.measured[1]}.999")

    @property
    def startup_bytes(self) -> int:
        """Memory that the engine takes before it looks at the free memory."""
        return round(self.constants["startup"].low * GIB)

    def constant(self, name: str) -> Interval:
        """Return a constant by name."""
        return self.constants[name]

    def for_model(self, kinds: Iterable[str]) -> EngineProfile:
        """Return the profile for a model of the given kinds, which are the values of ``models`` in the runners."""
        own, settings, constants = {*kinds}, dict(self.settings), dict[str, Range]()
        for one in self.runners:
            if own & {*one["models"]}:
                settings |= one.get("settings", {})
                constants |= one.get("constants", {})
        return changed(self.with_constants(constants), settings=settings)

    def with_constants(self, ranges: Mapping[str, Range]) -> EngineProfile:
        """Return the profile with other constants. In a version newer than all measured runs, their ranges are wider.

        A constant without a range follows from the source of the engine.
        """
        wider, own = WIDER if self.is_extrapolated else 1, {}
        for name, each in ranges.items():
            found = own[name] = Interval(each["low"], each["best"], each["high"])
            if found.low != found.high:
                own[name] = found.widened(wider)
        return changed(self, constants={**self.constants, **own})


def read_profile(
    name: str, entry: Mapping[str, Any], version: str | None = None, gpu: str = "", memory_bytes: int = 0
) -> EngineProfile:
    """Read the profile of an engine for a version (default: the newest one) and a GPU."""
    wanted, number = version or entry["newest"], version_number(version or entry["newest"])
    settings: dict[str, Any] = {}
    constants: dict[str, Range] = {}
    first = entry["versions"][0]["since"]
    if number < version_number(first):
        hint = f"use {first} or later"
        raise InputError(f"{entry['title']} {wanted} is not described", parameter="engine_version", hint=hint)
    for one in entry["versions"]:
        if version_number(one["since"]) <= number:
            settings |= one.get("settings", {})
            constants |= one.get("constants", {})
    for one in entry.get("cards", ()):
        is_meant = any(gpu.startswith(prefix) for prefix in one["gpus"]) if gpu else memory_bytes < one["below"] * GIB
        if is_meant and version_number(one["since"]) <= number:
            constants |= one["constants"]
    for one in entry.get("gpus", ()):
        is_known = version_number(one.get("since", first)) <= number
        is_known &= "until" not in one or number < version_number(one["until"])
        is_other = any(gpu.startswith(prefix) for prefix in one.get("without", ()))
        if is_known and memory_bytes >= one["at_least"] * GIB and not is_other:
            settings |= one["settings"]
            break
    padding: dict[str, Padding] = {}
    for one in entry.get("padding", ()):
        if any(gpu.startswith(prefix) for prefix in one["gpus"]):
            padding.setdefault(one["format"], Padding(one["input"], one["output"], one["scales"]))
    runners = tuple(one for one in entry.get("runners", ()) if version_number(one["since"]) <= number)
    measured = tuple(entry.get("measured", ()))
    profile = EngineProfile(
        name, entry["title"], wanted, entry["rule"], entry["command"], entry["share"], settings, {}, padding,
        entry["flags"], tuple(entry["log"]), entry["source"], measured, runners,
    )  # fmt: skip
    return profile.with_constants(constants)


@lru_cache(maxsize=256)
def version_number(version: str) -> tuple[int, ...]:
    """Return a version as numbers. Suffixes such as ``.post1`` are ignored.

    >>> version_number("0.8.5.post1"), version_number("v0.11"), version_number("b6000") < version_number("b6001")
    ((0, 8, 5), (0, 11), True)
    """
    match = re.match(_VERSION, version.strip().lower())
    if match is None:
        text, hint = f"invalid version {short_repr(version)}", "use a version such as 0.11.0"
        raise InputError(text, parameter="engine_version", hint=hint)
    return tuple(map(int, match[1].split(".")))
