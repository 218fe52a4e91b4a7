"""Parameter names in messages: ``seq`` in Python, ``--seq`` on the command line.

A message writes ``{seq}``, or ``{weights=FORMAT}`` to suggest a value. The command line sets ``SPELLING``.

>>> spelled("add {lora_rank=N}, or drop {only}; {as_=llama}")
'add lora_rank=N, or drop only; as_="llama"'
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

LISTS = ("overrides", "allow_unknown", "only", "keep", "ignore")  # parameters that take several values
Spelling = Callable[[str, str], str]


def as_keyword(name: str, value: str) -> str:
    """Return a parameter as a keyword argument, with its value if there is one."""
    if not value:
        return name
    literal = value in ("True", "False", "None") or value.isupper() or value.replace(".", "").isdigit()
    text = value if literal else f'"{value}"'
    return f"{name}=[{text}]" if name in LISTS else f"{name}={text}"


SPELLING: ContextVar[Spelling] = ContextVar("SPELLING", default=as_keyword)


def spelled(text: str) -> str:
    """Replace every ``{parameter}`` in a text by what the user would type."""
    if "{" not in text:
        return text
    import re  # not needed by most commands

    spelling = SPELLING.get()
    return re.sub(r"\{([a-z]\w*)(?:=([^{}]*))?\}", lambda match: spelling(match[1], match[2] or ""), text)


def parameter_name(name: str) -> str:
    """Return the name of a parameter as the user would type it."""
    return SPELLING.get()(name, "")
