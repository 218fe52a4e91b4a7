"""Lookup of accelerators and cloud instances by name, and parsing of specifications such as ``h100:8`` or ``24GB``.

Case, spaces, hyphens and vendor names are ignored, so ``H100 SXM`` and ``nvidia-h100-sxm`` are equivalent. A name may
lack the unit of the memory that distinguishes it, as in ``a100-80``. If several have a name, an error lists them.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import groupby

from ..calc.memory.fit import read_size
from ..core.errors import InputError, SizeError, UnknownNameError
from ..core.record import changed, record
from ..data import tables
from ..estimate.hardware import UNITS, Accelerator, Instance, Offer, read_accelerator, read_instance, sizes_of
from .number_formats import aliases_of, by_plain_name, plain

ALL_GPUS = "all"  # in place of a name
VENDORS = ("nvidia", "geforce", "tesla", "amd", "instinct", "google", "aws", "intel", "apple")
COMPUTERS = r"\b(?:macbook|imac|mac)(?:[\s-]+(?:pro|air|studio|mini))?\b"  # of Apple, whose chip is the accelerator
LONGEST = 80  # characters
_NAME = r"(?a)[\w.]+(?:[\s-]+[\w.]+)*"
_SERIES = r"\b([a-z]+)(\d+)\b"  # a series and a model, such as rtx6000
_SIZE = r"(?a)\d+(?:\.\d+)?\s*[kmgt]i?b"
_BARE_NUMBER = r"(?a)(\d+(?:\.\d+)?)\s*([mgt]?)i?"
COUNT_DIGITS = 6  # of a number of GPUs
_COUNT = rf"(?P<count>\d{{1,{COUNT_DIGITS}}})"
_SPACED = rf"(?a)(?P<name>.+?)\s+{_COUNT}"  # h100 8
_NAME_FIRST = rf"(?a)(?P<name>.+?)\s*(?::\s*[x×]?|[x×*])\s*{_COUNT}"  # h100:8, h100:x8, h100x8, h100 * 8
_COUNT_FIRST = rf"(?a){_COUNT}(?:\s*[x×*]\s*|\s+)(?P<name>.+)"  # 8xh100, 8 x h100, 8*h100, 8 h100
_NUMBERED = r"(?a)(?P<name>.*?[a-z0-9])[\W_]+(?P<count>\d+)\W*|(?P<first>\d+)[\W_]+(?P<rest>[a-z0-9].*)"


@record
class Gpus:
    """A GPU specification: an accelerator or the memory of one GPU in bytes, and the count if given."""

    accelerator: Accelerator | None
    memory_bytes: int | None
    count: int | None

    @property
    def usable_bytes(self) -> int:
        """Memory of one GPU that programs can allocate, or 0 without a GPU."""
        return self.memory_bytes or (self.accelerator.usable_bytes if self.accelerator else 0)


@lru_cache(maxsize=1)
def accelerators() -> dict[str, Accelerator]:
    """Return all accelerators by name. Their offers include the cheapest cloud instance of each seller."""
    return {name: _accelerator(name) for name in _keys()}


@lru_cache(maxsize=1)
def _keys() -> dict[str, str]:
    """Return the key of the data file entry of each accelerator."""
    return {name: key for key, entry in tables("hardware").items() for name, *_ in sizes_of(key, entry)}


@cache
def _accelerator(name: str) -> Accelerator:
    key = _keys()[name]
    entry = tables("hardware")[key]
    size, usable = next((size, usable) for own, size, usable in sizes_of(key, entry) if own == name)
    found = read_accelerator(name, entry, size, usable)
    return changed(found, offers=found.offers + _rented(name))


def _rented(gpu: str) -> tuple[Offer, ...]:
    """Return the lowest price per accelerator of each cloud."""
    known: dict[str, Offer] = {}
    for name, entry in tables("instances").items():
        own = read_instance(name, entry) if entry["gpu"] == gpu else None
        if own and own.offer:
            offer = _offer(own)
            if own.cloud not in known or offer.usd < known[own.cloud].usd:
                known[own.cloud] = offer
    return tuple(known.values())


@lru_cache(maxsize=1)
def instances() -> dict[str, Instance]:
    """Return all cloud instances by name, such as ``p5.48xlarge``."""
    return {name: read_instance(name, entry) for name, entry in tables("instances").items()}


def gpu_names() -> list[str]:
    """Return the names of all accelerators and cloud instances."""
    return [*accelerators(), *instances()]


@lru_cache(maxsize=1)
def _by_alias() -> dict[str, list[str]]:
    """Return a mapping from each name and alias to the names of the matching accelerators."""
    found: dict[str, list[str]] = {}
    entries = tables("hardware")
    for key, names in groupby(_keys(), _keys().__getitem__):
        own = [*names]
        for alias in (key, *entries[key].get("aliases", ())):
            found.setdefault(plain(alias), []).extend(own)
            if len(own) > 1:
                for one in own:
                    found.setdefault(plain(alias + one.removeprefix(key)), []).append(one)
    return {alias: list(dict.fromkeys(names)) for alias, names in found.items()}


@lru_cache(maxsize=1)
def _words_by_name() -> dict[str, frozenset[str]]:
    """Return the words by which each accelerator can be described: those of its title, names and memory size."""
    found = {}
    for name, one in accelerators().items():
        titles = (name, re.sub(r"\(.*?\)", "", one.title), *tables("hardware")[_keys()[name]].get("aliases", ()))
        found[name] = frozenset(word for title in titles for word in _words(title) if len(word) > 1)
    return found


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\s_-]+", re.sub(COMPUTERS, "", name.lower())) if word and word not in VENDORS]


def accelerator(name: str, count: int | None = None) -> Accelerator:
    """Look up an accelerator by name, such as ``h100``, ``a100-80gb``, ``RTX 4090`` or ``H100 80GB SXM``.

    The error about an ambiguous name repeats the given ``count``.
    """
    candidates = accelerators_named(name)
    if not candidates:
        raise _unknown(name)
    if len(candidates) > 1:
        names = ", ".join(candidates if count is None else (f"{one}:{count}" for one in candidates))
        raise InputError(f"{name!r} is ambiguous", parameter="gpu", hint=f"use one of {names}")
    return _accelerator(candidates[0])


def accelerators_named(name: str) -> list[str]:
    """Return the accelerators with this name, or else those that all words of the name describe."""
    known = _by_alias()
    if not re.fullmatch(_NAME, name.strip()):
        return []
    if exact := known.get(plain(name)):
        return exact
    words = _words(name)
    if not words or (exact := known.get(plain("".join(words)))):
        return exact or []
    head, _, size = name.strip().rpartition("-")
    if size.isdecimal() and len(accelerators_named(head)) > 1:  # unlike h100-8, which may mean a count
        return accelerators_named(f"{head}-{size}gb")
    described = _described(words) or _described(re.sub(_SERIES, r"\1 \2", " ".join(words)).split())
    named = known.get(plain("".join(word for word in words if not re.fullmatch(_SIZE, word))), ())
    return [one for one in described if one in named] or described  # the RTX 3090 24GB is not the 3090 Ti


def _described(words: list[str]) -> list[str]:
    return [one for one, own in _words_by_name().items() if own.issuperset(words)]


def _unknown(name: str) -> UnknownNameError:
    is_size = re.fullmatch(_BARE_NUMBER, name.strip().lower())
    known = [] if is_size else [*aliases_of(tables("hardware")), *aliases_of(tables("instances"))]
    return UnknownNameError("accelerator", name, known, parameter="gpu", hint=_hint(name.strip().lower()[:LONGEST]))


def _hint(name: str) -> str:
    parts = re.fullmatch(_NUMBERED, name)
    head = parts and (parts["name"] or parts["rest"])
    if parts and head and plain(head) in _by_alias():
        return f"write a count as in {{gpu={head}:{parts['count'] or parts['first']}}}"
    if name == ALL_GPUS:
        fits = "llmcalc fit MODEL {gpu=all} lists those on which the model fits, with prices"
        return f"{fits}, and llmcalc serve MODEL {{gpu=all}} {{isl=1000}} {{osl=500}} those with the cheapest tokens"
    if "," in name:
        return "name one kind of GPU, and ask once for each; serve with lengths of requests compares several"
    if size := re.fullmatch(_BARE_NUMBER, name):
        return f"write a memory size with its unit, as in {{gpu={size[1]}{size[2].upper() or 'G'}iB}}"
    if re.search(COMPUTERS, name):
        return "name the chip and its memory, as in {gpu=m4-max-64gb}"
    return "run llmcalc hardware list to see all accelerators"


def gpu_list(gpu: str | int | None) -> list[str]:
    """Return the parts of a list of GPUs, or ``all``, or an empty list for one kind of GPU.

    >>> gpu_list("h100:2, l40s:4"), gpu_list("all"), gpu_list("h100:2")
    (['h100:2', 'l40s:4'], ['all'], [])
    """
    parts = [part.strip() for part in gpu.split(",")] if isinstance(gpu, str) else []
    return parts if len(parts) > 1 else [part.lower() for part in parts if part.lower() == ALL_GPUS]


def gpu_name(one: Accelerator | None, memory_bytes: int) -> str:
    """Return the name of an accelerator, or a memory size as the name of a GPU.

    >>> gpu_name(None, 24 * 10**9), gpu_name(None, 3 * 2**29)
    ('24GB', '1.5GiB')
    """
    if one:
        return one.name
    is_decimal = memory_bytes % UNITS["GB"] == 0
    return f"{memory_bytes // UNITS['GB']}GB" if is_decimal else f"{memory_bytes / UNITS['GiB']:.6g}GiB"


def read_gpus(text: str, count: int | None = None) -> Gpus:
    """Parse a GPU specification: a name or a memory size, and an optional count, which must equal ``count`` if given.

    The name of a cloud instance stands for its accelerators at its price.

    >>> read_gpus("8x H100 SXM").accelerator.name, read_gpus("mi300x:4").count, read_gpus("2 x 24GB").memory_bytes
    ('h100-sxm', 4, 24000000000)
    >>> read_gpus("p5.48xlarge:2").count
    16

    Raises:
        InputError: an unknown or ambiguous accelerator, or a number that could be a count or part of the name.
        SizeError: a count below 1.
    """
    found = _read(text)
    if found.count is not None and count is not None and found.count != count:
        raise InputError(f"conflicting GPU counts: {found.count} and {count}", parameter="gpu", hint="omit one of them")
    count = found.count if count is None else count
    if count is not None and count < 1:
        raise SizeError(f"the GPU count must be at least 1, not {count}", parameter="gpu")
    return changed(found, count=count)


def named_gpus(
    gpu: object, text: str = "the time depends on the GPU, not only on its memory", hint: str = "{gpu=h100:4}"
) -> tuple[Accelerator, int | None]:
    """Return the accelerator and the number of GPUs, or raise an error with ``text`` if they have no name."""
    found = read_gpus(gpu) if isinstance(gpu, str) else None
    if found is None or found.accelerator is None:
        raise InputError(text, parameter="gpu", hint=f"use a name such as {hint}")
    return found.accelerator, found.count


def _read(text: str) -> Gpus:
    wanted = text.strip().lower()
    if len(wanted) > LONGEST:
        raise _unknown(text)
    if _is_known(wanted):
        return _gpus(wanted, None)
    patterns = (_NAME_FIRST,) if ":" in wanted else (_COUNT_FIRST, _NAME_FIRST, _SPACED)
    matches = [match for pattern in patterns if (match := re.fullmatch(pattern, wanted)) and _is_known(match["name"])]
    readings = {(*accelerators_named(match["name"]), match["count"]): match for match in matches}
    if len(readings) > 1 or (":" not in wanted and any(_is_known(match["count"]) for match in matches)):
        raise InputError(f"{text!r} is ambiguous", parameter="gpu", hint="write a name and a count as in {gpu=h100:8}")
    if not readings:
        numbered = re.fullmatch(_NUMBERED, wanted)
        if numbered and numbered["count"] and len(numbered["count"]) > COUNT_DIGITS and _is_known(numbered["name"]):
            most = 10**COUNT_DIGITS - 1
            raise SizeError(f"the GPU count must be at most {most:,}, not {numbered['count']}", parameter="gpu")
        raise _unknown(text)
    (match,) = readings.values()
    name, count = match["name"], int(match["count"])
    if match.re.pattern == _SPACED and any(
        count * UNITS["GB"] == _accelerator(one).memory_bytes for one in accelerators_named(name)
    ):
        hint = f"write {{gpu={name}:{count}}} for {count} GPUs, or {{gpu={name}-{count}gb}} for GPUs with {count} GB"
        raise InputError(f"{text!r} is ambiguous", parameter="gpu", hint=hint)
    return _gpus(name, count)


def _priced(own: Instance) -> Accelerator:
    """Return the accelerator of an instance, with the price of this instance if it is known."""
    found = accelerator(own.gpu)
    return changed(found, offers=(_offer(own),), price="", price_source="") if own.offer else found


def _offer(own: Instance) -> Offer:
    """Return the price of one accelerator of an instance with a known price."""
    assert own.offer is not None
    return own.offer._replace(usd=own.offer.usd / own.count, seller=f"{own.cloud} {own.name}")


def _instance(name: str) -> str | None:
    """Return the cloud instance that has a name, unless an accelerator has it."""
    return None if plain(name) in _by_alias() else by_plain_name("instances").get(plain(name))


def _is_known(name: str) -> bool:
    return bool(re.fullmatch(_SIZE, name) or _instance(name) or accelerators_named(name))


def _gpus(name: str, count: int | None) -> Gpus:
    if re.fullmatch(_SIZE, name):
        return Gpus(None, read_size(name, "gpu"), count)
    if instance := _instance(name):
        own = instances()[instance]
        return Gpus(_priced(own), None, own.count * (1 if count is None else count))
    return Gpus(accelerator(name, count), None, count)
