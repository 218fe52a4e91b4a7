"""Flags in shell scripts and command lines of training programs, with the values of variables that a script sets.

Scripts are not executed: every flag in the text counts, in the order of the text.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from math import prod
from typing import Any

from ..core.errors import DescriptionError

MOST_WORDS, MOST_ROUNDS, LONGEST = 3000, 4, 300
LISTS = ("recompute_modules",)  # flags with several values
NO_VALUES = ("", "(", ")", ";", "|", "&", "&&", "||", "if", "then", "else", "elif", "fi", "do", "done", "esac", ";;")
_VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)(?::?[-=]([^{}]*))?\}?")
_CALCULATION = re.compile(r"\$\[([^\]]*)\]")
_PRODUCT = re.compile(r"\$\(\(([^()\n]{0,200})\)\)")
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=([^()]*)", re.DOTALL)
_FACTOR = re.compile(r"\d{1,9}")


def read_flags(text: str, where: str) -> dict[str, Any]:
    r"""Return the flags of a script by name, with underscores. A flag without a value is True.

    >>> read_flags("TP=2\nA=(--num-layers 3 --bf16)\npretrain ${A[@]} --tp $TP --seq-length $((TP*4))", "run.sh")
    {'num_layers': '3', 'bf16': True, 'tp': '2', 'seq_length': '8'}
    """
    joined = re.sub(r"\\[ \t]*\n", " ", text)
    try:
        words = shlex.split(re.sub(r"([()])", r" \1 ", _kept(joined)), comments=True)
    except ValueError as error:
        raise DescriptionError(f"invalid quotes: {error}", where=where) from None
    if len(words) > MOST_WORDS:
        raise DescriptionError(f"more than {MOST_WORDS:,} words", where=where)
    values = {each[1]: _default(*each.groups()) for word in words if (each := _ASSIGNMENT.fullmatch(word))}
    found: dict[str, Any] = {}
    flag = ""
    for word in _flat(words, values):
        if re.match(r"--[A-Za-z]", word):
            flag, equals, value = word[2:].partition("=")
            flag = flag.replace("-", "_")
            found[flag] = value if equals else True
        elif flag and found[flag] is True and not _ASSIGNMENT.fullmatch(word) and word not in NO_VALUES:
            found[flag] = word
        elif flag in LISTS and isinstance(found[flag], str) and word not in NO_VALUES:
            found[flag] += f",{word}"
        else:
            flag = ""
    return found


def _kept(text: str) -> str:
    """Return the text with sums and products of variables as one word without parentheses."""
    return _PRODUCT.sub(lambda match: "$[" + re.sub(r"\s", "", match[1]) + "]", text)


def _default(name: str, value: str) -> str:
    """Return the value of a variable, or its default if it refers to itself, as in ``TP=${TP:-2}``."""
    match = _VARIABLE.fullmatch(value)
    return match[2] or "" if match and match[1] == name else value


def _flat(words: list[str], values: dict[str, str]) -> Iterator[str]:
    """Yield the words with the values of variables. A quoted text with flags is split."""
    for word in words:
        assigned = _ASSIGNMENT.fullmatch(word)
        text = assigned[2] if assigned else word
        for part in text.split() if text.lstrip().startswith("--") else [word]:
            filled = _filled(part, values)
            if part.startswith("--") or not filled.lstrip().startswith("--"):  # flags count where they are assigned
                yield filled


def _filled(word: str, values: dict[str, str]) -> str:
    for _ in range(MOST_ROUNDS):
        filled = _VARIABLE.sub(lambda match: values.get(match[1], match[2] or match[0]), word)[:LONGEST]
        if filled == word:
            break
        word = filled
    return _CALCULATION.sub(lambda match: _product(match, values), word)


def _product(match: re.Match[str], values: dict[str, str]) -> str:
    """Return the product of numbers and variables, or the text of any other calculation."""
    factors = [values.get(factor, factor) for factor in match[1].split("*")]
    if not all(_FACTOR.fullmatch(factor) for factor in factors) or len(factors) > MOST_ROUNDS:
        return match[0]
    return str(prod(map(int, factors)))
