"""Glossary of the axis letters used in equations, with the corresponding names in papers.

Equations such as ``q[b q h e] = x[b q d] wq[d h e]`` use these letters. The lengths of *workload* axes come
from the workload (batch, tokens). All other lengths come from the architecture. An axis that is used by only
one layer kind is described in the ``AXES`` of that kind. Axes with the same name have the same description.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

WORKLOAD: dict[str, str] = {
    "b": "sequences in the batch",
    "q": "new tokens per sequence",
    "k": "keys: cached and new tokens",
    "c": "cached tokens",
    "s": "encoder tokens, cached or new",
    "n": "new encoder tokens; 0 in a decode step",
    "o": "positions with logits: all new tokens, or the last one",
    "p": "image patches for a vision tower",
    "a": "audio frames for an audio tower",
}


def read_axes(lines: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Parse lines with three columns (letters, name and meaning), separated by at least two spaces.

    The returned dictionary maps each axis letter to its name and meaning.

    >>> read_axes(["x xs  n_experts  number of routed experts"])["xs"]
    ('n_experts', 'number of routed experts')
    """
    rows = [map(str.strip, filter(str.strip, line.split("  "))) for line in lines if line.strip()]
    return {letter: (name, meaning) for letters, name, meaning in rows for letter in letters.split()}


with open(os.path.join(os.path.dirname(__file__), "axes.txt"), encoding="utf-8") as _stream:
    GLOSSARY = read_axes(_stream)
