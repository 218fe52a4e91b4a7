"""Which modules the lists of a ``quantization_config`` name: by whole or last names, patterns or expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from fnmatch import translate

from ...core.errors import DescriptionError, UnsupportedError, shown

WHERE = "quantization_config"
LONGEST_PATTERN = 300
MOST_PATTERNS = 20_000


def named(module: str, names: list[str]) -> bool:
    """Whether a module, or what it belongs to, is in a list of whole names or last parts of names."""
    framed = f".{module}."
    return any(f".{name.strip('.')}." in framed for name in names if name)


def within(names: Collection[str]) -> Callable[[str], bool]:
    """Whether a module, or what it belongs to, is one of these, however many there are."""
    known = frozenset(names)

    def holds(module: str) -> bool:
        while module:
            if module in known:
                return True
            module = module.rpartition(".")[0]
        return False

    return holds


def matcher(patterns: list[str], anywhere: bool = False) -> Callable[[str], bool]:
    """Whether a module is in a list of names, of patterns with ``*``, or of expressions behind ``re:``; so is what
    belongs to it. With ``anywhere``, a name of one part (``lm_head``) is that of a module within a larger model too.
    """
    if len(patterns) > MOST_PATTERNS or any(len(pattern) > LONGEST_PATTERN for pattern in patterns):
        raise DescriptionError("a list of modules longer than any model has", where=WHERE)
    expressions = [expression(pattern[3:]) for pattern in patterns if pattern.startswith("re:")]
    plain = {pattern for pattern in patterns if not pattern.startswith("re:")}
    begins = {pattern[:-1] for pattern in plain if pattern.endswith("*") and "*" not in pattern[:-1]}
    begins |= {f"{pattern}." for pattern in plain if "*" not in pattern}
    whole = {pattern for pattern in plain if "*" not in pattern}
    others = [pattern for pattern in plain if "*" in pattern[:-1]]
    expressions += [translate(name) for pattern in others for name in (pattern, f"{pattern}.*")]
    found = [re.compile(expression) for expression in expressions]
    lengths = sorted({len(begin) for begin in begins})

    def holds(module: str) -> bool:
        if anywhere and module.rpartition(".")[2] in whole:
            return True
        if module in whole or any(module[:length] in begins for length in lengths):
            return True
        return any(pattern.match(module) for pattern in found)

    return holds


# An expression runs on names of some hundred letters; only what cannot take long on them is accepted.
_HARMLESS = re.compile(r"[\w.^$|()\[\]\\*+?:-]+")
_REPEATED = re.compile(r"\)[*+{]|[*+?][*+]|\{")


def expression(text: str) -> str:
    """A regular expression without repeated groups, whose running time is bounded."""
    if not _HARMLESS.fullmatch(text) or _REPEATED.search(text) or text.count("*") + text.count("+") > 4:
        raise UnsupportedError(f"the expression {shown(text)} is not understood", where=WHERE)
    try:
        re.compile(text)
    except re.error as error:
        raise DescriptionError(f"{shown(text)} is no regular expression: {error}", where=WHERE) from None
    return text
