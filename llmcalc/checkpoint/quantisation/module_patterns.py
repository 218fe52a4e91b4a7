"""Modules that the lists of a ``quantization_config`` name, by full or last names, wildcards or regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from fnmatch import translate

from ...core.errors import DescriptionError, UnsupportedError, short_repr

WHERE = "quantization_config"
LONGEST_PATTERN = 300
MOST_PATTERNS = 20_000
MOST_REPETITIONS = 4


def unsupported(message: str) -> UnsupportedError:
    """The error of a variant that is not supported."""
    return UnsupportedError(message, where=WHERE)


def is_listed(module: str, names: list[str]) -> bool:
    """Whether a list has a module or one of its parents, by its full name or by the last parts of it."""
    framed = f".{module}."
    return any(f".{name.strip('.')}." in framed for name in names if name)


def in_modules(names: Collection[str]) -> Callable[[str], bool]:
    """A function that tells whether a module or one of its parents is in ``names``, in constant time."""
    known = frozenset(names)

    def matches(module: str) -> bool:
        while module:
            if module in known:
                return True
            module = module.rpartition(".")[0]
        return False

    return matches


def pattern_matcher(patterns: list[str], anywhere: bool = False) -> Callable[[str], bool]:
    """A function that tells whether a module or one of its parents matches a name, a pattern with ``*``, or a regular
    expression after ``re:``. With ``anywhere``, the last part of a module's name may match a name too (``lm_head``).
    """
    if len(patterns) > MOST_PATTERNS or any(len(pattern) > LONGEST_PATTERN for pattern in patterns):
        raise DescriptionError("a list of modules is too long", where=WHERE)
    expressions = [safe_expression(pattern[3:]) for pattern in patterns if pattern.startswith("re:")]
    plain = {pattern for pattern in patterns if not pattern.startswith("re:")}
    prefixes = {pattern[:-1] for pattern in plain if pattern.endswith("*") and "*" not in pattern[:-1]}
    prefixes |= {f"{pattern}." for pattern in plain if "*" not in pattern}
    names = {pattern for pattern in plain if "*" not in pattern}
    wildcards = [pattern for pattern in plain if "*" in pattern[:-1]]
    expressions += [translate(name) for pattern in wildcards for name in (pattern, f"{pattern}.*")]
    compiled = [re.compile(expression) for expression in expressions]
    lengths = sorted({len(prefix) for prefix in prefixes})

    def matches(module: str) -> bool:
        if anywhere and module.rpartition(".")[2] in names:
            return True
        if module in names or any(module[:length] in prefixes for length in lengths):
            return True
        return any(pattern.match(module) for pattern in compiled)

    return matches


# Expressions run on names of some hundred characters; those that could take long on them are rejected.
_ALLOWED = re.compile(r"[\w.^$|()\[\]\\*+?:-]+")
_REPEATED_GROUP = re.compile(r"\)[*+{]|[*+?][*+]|\{")


def safe_expression(text: str) -> str:
    """A regular expression whose running time is bounded, since it repeats no groups."""
    repetitions = text.count("*") + text.count("+")
    if not _ALLOWED.fullmatch(text) or _REPEATED_GROUP.search(text) or repetitions > MOST_REPETITIONS:
        raise unsupported(f"unsupported regular expression {short_repr(text)}")
    try:
        re.compile(text)
    except re.error as error:
        raise DescriptionError(f"invalid regular expression {short_repr(text)}: {error}", where=WHERE) from None
    return text
