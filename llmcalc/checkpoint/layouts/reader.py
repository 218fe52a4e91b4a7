"""Reader for layouts. A layout is a text file that contains renaming rules in sections.

::

    [llama.norms]                             # a section; a dot marks part of a layout
    model.layers.{i}:                         # prefix for the indented lines below
      input_layernorm.{weight,bias} <- sublayer0.pre_norm.{w,b}
    [moshi]
    prefix model.                             # a setting
    + llama.norms                             # the rules of another section
    + llama.attention | encoder               # rules with an added condition and replaced text
      _proj.weight => _proj.linear.weight

Each word in braces yields one rule. Groups of equal length expand in parallel, and others in all combinations.
``{0..3}`` means ``{0,1,2,3}``. Replacements follow an include after two spaces or on indented lines below.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import product

from ...core.errors import DescriptionError
from ...core.record import NamedTuple
from ...core.zoo_search import data_files

SETTINGS = ("prefix", "text_prefix", "text_model", "rename")
_GROUP = r"\{([^{}]*(?:,|\.\.)[^{}]*)\}"


class Include(NamedTuple):
    """Rules included from another section, with a name prefix, additional conditions and text replacements."""

    section: str
    prefix: str
    conditions: str
    replacements: tuple[tuple[str, str], ...]
    where: str


class Section(NamedTuple):
    """Settings of a section and its ordered rules, includes and replacements for published names."""

    lines: tuple[str | Include | tuple[str, str], ...]
    settings: dict[str, tuple[str, ...]]


def sections() -> Iterator[tuple[str, str]]:
    """Yield the name and file of every section."""
    for file in data_files("layouts", ".layout", parent="checkpoint"):
        yield from ((name, file) for name in _texts(file))


@cache
def find_section(name: str) -> Section | None:
    """Find the section of a layout, part of a layout, ``@family`` (published names) or ``gguf:llama``."""
    stem = "published" if name.startswith("@") else "gguf" if name.startswith("gguf") else ""
    for file in data_files("layouts", ".layout", parent="checkpoint"):
        own = _stem(file)
        if (own == stem if stem else own not in ("published", "gguf")) and name in _texts(file):
            return _section(own, *_texts(file)[name])
    return None


def _stem(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0]


@cache
def _texts(file: str) -> dict[str, tuple[int, str]]:
    """Return the first line number and the text of each section in a file."""
    texts: dict[str, tuple[int, str]] = {}
    with open(file, encoding="utf-8") as stream:
        comment, *parts = f"\n{stream.read()}".split("\n[")
    number = comment.count("\n") + 1
    for part in parts:
        names, _, text = part.partition("]")
        for name in names.split():
            if name in texts:
                raise DescriptionError(f"section [{name}] is defined twice", where=f"{_stem(file)}:{number}")
            texts[name] = number + names.count("\n"), text
        number += part.count("\n") + 1
    return texts


def _section(file: str, first: int, text: str) -> Section:
    lines: list[str | Include | tuple[str, str]] = []
    settings: dict[str, tuple[str, ...]] = {}
    heading = ""
    for number, line, is_indented in _joined(text, first):
        where = f"{file}:{number}"
        heading = heading if is_indented else ""
        key, _, value = line.partition(" ")
        if key == "+":
            for include in expand(value, where):
                target, *pairs = filter(None, include.split("  "))
                section, _, conditions = target.partition("|")
                lines.append(Include(section.strip(), heading, conditions.strip(), tuple(map(_pair, pairs)), where))
        elif key in SETTINGS:
            settings[key] = (*settings.get(key, ()), value.strip())
        elif " =>" in line and file == "published":
            lines.append(_pair(line))
        elif "<-" in line and " =>" not in line:
            lines += [heading + rule for rule in expand(line, where)]
        elif line.endswith(":"):
            heading = f"{line[:-1]}."
        else:
            hint = f"Write a rule, an include, an indented replacement, or one of: {', '.join(SETTINGS)}."
            raise DescriptionError(f"cannot parse '{line}'", where=where, hint=hint)
    return Section(tuple(lines), settings)


def _joined(text: str, first: int) -> list[tuple[int, str, bool]]:
    """Return (number, text, is_indented) for each line. Comments are removed, and replacements are joined to the
    preceding include.
    """
    found: list[tuple[int, str, bool]] = []
    for number, raw in enumerate(text.split("\n"), first):
        line = raw.partition("#")[0].rstrip()
        if line.startswith(" ") and " =>" in line and "+ " not in line and found and found[-1][1].startswith("+ "):
            found[-1] = (found[-1][0], f"{found[-1][1]}  {line.strip()}", found[-1][2])
        elif line:
            found.append((number, line.strip(), line.startswith(" ")))
    return found


def expand(line: str, where: str = "") -> list[str]:
    """Expand a line that contains words in braces into one line per word.

    >>> expand("{q,k}_proj.{weight,bias,scale} <- {w,b,s}{q,k}")[:3]
    ['q_proj.weight <- wq', 'q_proj.bias <- bq', 'q_proj.scale <- sq']
    """
    groups = [_words(group) for group in re.findall(_GROUP, line)]
    sizes = list(dict.fromkeys(map(len, groups)))
    stored, _, logical = line.partition("<-")
    sides = [{len(_words(group)) for group in re.findall(_GROUP, side)} for side in (stored, logical or stored)]
    if (sides[0] != sides[1] and " =>" not in line) or (len(sizes) > 1 and " =>" in line):
        raise DescriptionError(f"brace groups differ in length: '{line}'", where=where)
    found = []
    for choice in product(*map(range, sizes)):
        words = [group[choice[sizes.index(len(group))]] for group in groups]
        found.append(re.sub(_GROUP, "%s", line.replace("%", "%%")) % tuple(words))
    return found


def _words(group: str) -> list[str]:
    first, dots, last = group.partition("..")
    return [str(number) for number in range(int(first), int(last) + 1)] if dots else group.split(",")


def _pair(text: str) -> tuple[str, str]:
    old, _, new = text.partition("=>")
    return old.strip(), new.strip()


@cache
def rules_of(name: str, older: bool = False, within: tuple[str, ...] = ()) -> tuple[str, ...] | None:
    """Return the rules of a section and all included sections, or None if the section does not exist.

    ``older`` selects ``gguf.older`` instead of ``gguf.newer``. ``within`` lists the including sections.
    """
    section = find_section("gguf.older" if older and name == "gguf.newer" else name)
    if section is None:
        return None
    rules: list[str] = []
    for line in section.lines:
        if isinstance(line, str):
            rules.append(tidy(line))
        elif isinstance(line, Include):
            rules += _included(line, older, (*within, name))
    return tuple(rules)


def _included(include: Include, older: bool, within: tuple[str, ...]) -> list[str]:
    found = None if include.section in within else rules_of(include.section, older, within)
    if found is None:
        problem = "includes itself" if include.section in within else "is not defined"
        raise DescriptionError(f"included section [{include.section}] {problem}", where=include.where)
    rules = list(found)
    for old, new in include.replacements:
        changed = [rule.replace(old, new) for rule in rules]
        if changed == rules:
            raise DescriptionError(f"no rule in section [{include.section}] contains '{old}'", where=include.where)
        rules = changed
    return [tidy(f"{include.prefix}{rule}", include.conditions) for rule in rules]


def tidy(rule: str, conditions: str = "") -> str:
    """Return a rule with normalised spaces and additional conditions.

    >>> tidy("a  <- x y|tied", "encoder")
    'a <- x y | tied encoder'
    """
    names, _, words = rule.partition("|")
    words = " ".join([*words.replace("|", " ").split(), *conditions.split()])
    return " ".join(names.split()) + (f" | {words}" if words else "")
