"""Exceptions raised by llmcalc.

    LlmcalcError
    └── InputError            invalid user input (exit code 2)
        ├── UnknownNameError  unknown preset, key, kind, option or axis (suggests similar names)
        ├── SizeError         invalid size, or a size that conflicts with another size
        ├── DescriptionError  invalid architecture description (reports file, line and column)
        └── UnsupportedError  recognised but unsupported feature

Messages state the problem, its location and a fix. Parameters are written as ``{seq}``, or as
``{weights=FORMAT}`` to suggest a value. By default, they are shown in their Python form, ``seq``. The command
line sets ``SPELLING`` to show them as ``--seq``.

>>> spelled("add {lora_rank=N}, or drop {only}; {as_=llama}")
'add lora_rank=N, or drop only; as_="llama"'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar

from .printable import LONGEST_MESSAGE, printable

LISTS = ("overrides", "allow_unknown", "only", "keep", "ignore", "extras")  # parameters that take several values


def as_keyword(name: str, value: str) -> str:
    """Format a parameter as a keyword argument, including its value if given."""
    if not value:
        return name
    literal = value in ("True", "False", "None") or value.isupper() or value.replace(".", "").isdigit()
    if name in LISTS and not literal:
        entries = ", ".join(f'"{entry}"' for entry in value.split(","))
        return f"{name}=[{entries}]"
    text = value if literal else f'"{value}"'
    return f"{name}=[{text}]" if name in LISTS else f"{name}={text}"


SPELLING: ContextVar[Callable[[str, str], str]] = ContextVar("SPELLING", default=as_keyword)


class LlmcalcError(Exception):
    """Base class for all llmcalc exceptions."""


class InputError(LlmcalcError):
    """Invalid input. The error names the ``parameter`` or location (``where``) and includes a ``hint`` for a fix.

    ``field`` is the invalid field of a layer, if any.

    >>> print(InputError("0 sequences", parameter="batch", hint="must be at least 1; see also {seq}"))
    batch: 0 sequences
      must be at least 1; see also seq
    """

    def __init__(
        self, message: str, *, parameter: str = "", where: str = "", hint: str = "", excerpt: str = "", field: str = ""
    ) -> None:
        self.message = printable(message, LONGEST_MESSAGE)
        super().__init__(self.message)
        self.field = field
        self.parameter = parameter
        self.where = printable(where, LONGEST_MESSAGE)
        self.hint = printable(hint, LONGEST_MESSAGE)
        self.excerpt = excerpt
        self.path: tuple[object, ...] | None = None

    def __str__(self) -> str:
        place = " ".join(filter(None, (SPELLING.get()(self.parameter, "") if self.parameter else "", self.where)))
        hint = f"  {spelled(self.hint)}" if self.hint else ""
        return "\n".join(filter(None, (f"{place}: {self.message}" if place else self.message, self.excerpt, hint)))

    def under(self, path: tuple[object, ...]) -> InputError:
        """Set the error's key path unless the path is already set, and return the error."""
        if self.path is None:
            self.path = path
        return self

    def at(self, where: str, excerpt: str = "", parameter: str = "") -> InputError:
        """Set the error's location unless the location is already set, and return the error."""
        if not self.where and not self.parameter:
            self.where, self.parameter = where, parameter
        if not self.excerpt:
            self.excerpt = excerpt
        return self


class UnknownNameError(InputError):
    """An unknown name, or several with ``others``. The message suggests similar names from ``known``."""

    def __init__(
        self,
        what: str,
        name: object,
        known: Iterable[str],
        *,
        parameter: str = "",
        where: str = "",
        hint: str = "",
        others: Sequence[object] = (),
    ) -> None:
        self.name = name
        self.suggestions = nearest(str(name), known)
        suggestion = f"did you mean {' or '.join(self.suggestions)}?" if self.suggestions else ""
        hint = " ".join(filter(None, (suggestion, hint)))
        message = f"unknown {what}{'s' if others else ''} {', '.join(map(short_repr, (name, *others)))}"
        super().__init__(message, parameter=parameter, where=where, hint=hint)


class LengthError(InputError):
    """A sequence beyond the learned positions of a model."""


class SizeError(InputError):
    """An invalid size, or a size that conflicts with another size.

    ``divides`` names a field that ``field`` must divide. ``at_most`` names a field that ``field`` must not exceed.
    """

    def __init__(self, message: str, *, divides: str = "", at_most: str = "", **details: str) -> None:
        super().__init__(message, **details)
        self.divides = divides
        self.at_most = at_most


class DescriptionError(InputError):
    """An invalid architecture description. ``where`` is ``file:line:column`` or a key path."""


class UnsupportedError(InputError):
    """Use of a feature that is recognised but not supported."""


def spelled(text: str) -> str:
    """Replace every ``{parameter}`` in a text with its spelling in Python or on the command line."""
    if "{" not in text:
        return text
    import re  # not needed by most commands

    spelling = SPELLING.get()
    return re.sub(r"\{([a-z]\w*)(?:=([^{}]*))?\}", lambda match: spelling(match[1], match[2] or ""), text)


def short_repr(value: object, limit: int = 60) -> str:
    """Return ``repr(value)``, truncated to ``limit`` characters.

    >>> short_repr("x" * 100)[-6:]
    "xxxx…'"
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an int above the digit limit, or a recursive value
        return f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[: limit - 2]}…{text[-1]}"


def is_one_edit(name: str, known: str) -> bool:
    """Return whether a name becomes a known name if one letter is added, removed, replaced or swapped with the next.

    >>> [is_one_edit(name, "size") for name in ("sizee", "siz", "sige", "szie", "size", "sizing")]
    [True, True, True, True, False, False]
    """
    if abs(len(name) - len(known)) > 1 or name == known:
        return False
    shorter = min(len(name), len(known))
    start = next((at for at in range(shorter) if name[at] != known[at]), shorter)
    left, right = name[start:], known[start:]
    swapped = left[1::-1] + left[2:]
    return left[1:] == right[1:] or left[1:] == right or left == right[1:] or swapped == right


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to ``count`` known names similar to ``name``, most similar first.

    >>> nearest("gpt33", ["bert", "gpt3", "palm"])
    ['gpt3']
    """
    from difflib import get_close_matches  # slow to import, and only needed for errors

    by_lower = {candidate.lower(): candidate for candidate in known}
    return [by_lower[match] for match in get_close_matches(name.lower()[:100], by_lower, n=count, cutoff=0.6)]
