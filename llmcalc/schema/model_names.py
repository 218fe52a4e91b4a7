"""The rule by which a name means a preset: that of a model (``llama3.2:3b``) or of a repository (``Qwen/Qwen3-8B``).

Every source of names follows it: the command line, Python, the command line or log of an engine, and the page.

1. The name or an alias of a preset. Only differences that never change the architecture are ignored: the
   organisation, case, separators, and the suffixes of fine-tuned versions. Any other difference, such as a date,
   makes a name unknown.
2. Otherwise, the beginning of the names of one model, such as ``qwen3-235b``, if no organisation is given. It must
   include the size of the model, and end where a word or a number of the name ends.

If several models begin so, an error lists them. The end of a name that states a weight format, such as ``-FP8``, is
read before (``inputs/repository_names.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

TUNED = ("instruct", "chat", "hf", "think", "thinking", "sft")  # versions with the same architecture
TUNED_GEMMA = ("it", "pt")  # in other names, languages: a BERT for Italian has another vocabulary
BASE = "base"  # also the name of a size, so it is ignored only after a version number
MAKERS = ("meta", "nvidia")  # as in Meta-Llama-3-8B
LONGEST = 120  # characters
_REPOSITORY = r"(?a)(?:(?:https://)?(?:huggingface|hf)\.co/)?(?:([a-z0-9][\w.-]*)/)?([^/:]+)(?::([^/:]+))?"
_NAME = r"(?a)[a-z0-9][a-z0-9.+_ -]*"
_WORDS = r"(?a)[a-z]+|\d+(?:\.\d+)*|\+"
_SIZE = r"(?:^|-)\d+(?:\.\d+)?(?=-[bmt](?:-|$))"  # of a model, in joined words


def organisation(name: str) -> str | None:
    """Return the organisation of a repository name such as ``Qwen/Qwen3-8B``, or None for any other text.

    >>> organisation("Qwen/Qwen3-8B"), organisation("gpt3"), organisation("a/b/c.yaml")
    ('qwen', None, None)
    """
    match = re.fullmatch(_REPOSITORY, name.strip().lower()) if len(name) <= LONGEST else None
    return match[1] if match else None


def known_name(name: str, names: Iterable[str]) -> str | None:
    """Return the name in ``names`` that has the same architecture as ``name``, or None.

    >>> names = ["llama3.3-70b", "gemma-3-27b", "deberta", "qwen3-8b"]
    >>> known_name("meta-llama/Llama-3.3-70B-Instruct", names), known_name("gemma3:27b-it", names)
    ('llama3.3-70b', 'gemma-3-27b')
    >>> known_name("microsoft/deberta-base", names), known_name("Qwen/Qwen3-8B-FP8", names), known_name("qwen3", names)
    (None, None, None)
    """
    match = re.fullmatch(_REPOSITORY, name.strip().lower()) if len(name) <= LONGEST else None
    wanted = "-".join(filter(None, match.group(2, 3))) if match else ""
    if not re.fullmatch(_NAME, wanted):
        return None
    known = {_words(each): each for each in reversed([*names])}  # of equal names, the first counts
    words = _words(wanted)
    ignored = (*TUNED, *TUNED_GEMMA) if "gemma" in words else TUNED
    tuned = tuple(word for word in words if word not in ignored)
    candidates = [words, tuned]
    if words[0] in MAKERS:
        candidates += [words[1:], tuned[1:]]
    if BASE in words and any(word[0].isdigit() for word in words):
        candidates += [tuple(word for word in each if word != BASE) for each in candidates]
    return next((known[each] for each in candidates if each in known), None)


def names_beginning(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin with ``name``, the shortest first, or none if it doesn't include the size of a model.

    Longer numbers count, so that ``gemma2-2`` is not taken for one of two sizes, but no name may begin with them alone.

    >>> names = ["qwen3-235b-a22b", "qwen3-235b-a22b-2507", "qwen1.5-moe-a2.7b", "gemma2-2b", "gemma2-27b"]
    >>> names_beginning("qwen3-235b", names), names_beginning("Gemma2:2", names)
    (['qwen3-235b-a22b', 'qwen3-235b-a22b-2507'], ['gemma2-2b', 'gemma2-27b'])
    >>> names_beginning("qwen3-23", names), names_beginning("qwen1.5", names), names_beginning("Qwen/Qwen3-235B", names)
    ([], [], [])
    """
    if len(name) > LONGEST or organisation(name) or not re.fullmatch(_NAME, name.strip().lower().replace(":", "-")):
        return []
    wanted = "-".join(_words(name))
    longer = {each: own for each in sorted(names, key=len) if (own := "-".join(_words(each))).startswith(wanted)}
    whole = [each for each, own in longer.items() if own.startswith(f"{wanted}-")]
    sizes = [size for each in whole if (size := re.search(_SIZE, longer[each]))]
    return list(longer) if sizes and all(size.end() <= len(wanted) for size in sizes) else []


def release(name: str, releases: Iterable[str]) -> str | None:
    """Return the longest of the releases that a name begins with, or None.

    >>> release("Qwen/Qwen3-4B-Instruct-2507", ["qwen3-4b-2507", "qwen3-coder"]), release("qwen3-4b", ["qwen3-4b-2507"])
    ('qwen3-4b-2507', None)
    """
    words = _words(name.rpartition("/")[2]) if len(name) <= LONGEST else ()
    forms = (words, tuple(word for word in words if word not in TUNED))
    known = {each: _words(each) for each in releases}
    found = [each for each, own in known.items() if any(form[: len(own)] == own for form in forms)]
    return max(found, key=len, default=None)


def _words(name: str) -> tuple[str, ...]:
    """Split a name at separators and between letters and digits, so that ``llama-3-8b`` and ``llama3-8b`` are equal."""
    return tuple(re.findall(_WORDS, name.lower()))
