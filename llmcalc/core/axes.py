"""Glossary of the axis letters used in equations, with the corresponding names in papers.

Equations such as ``q[b q h e] = x[b q d] wq[d h e]`` use these letters. The lengths of *workload* axes come
from the workload (batch, tokens). All other lengths come from the architecture. Axes with the same name have
the same description.
"""

from __future__ import annotations

import os

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

# columns of axes.txt: letters, name and meaning, separated by at least two spaces
with open(os.path.join(os.path.dirname(__file__), "axes.txt"), encoding="utf-8") as _stream:
    _ROWS = [[cell.strip() for cell in line.split("  ") if cell] for line in _stream]
GLOSSARY = {letter: (name, meaning) for letters, name, meaning in _ROWS for letter in letters.split()}
NAMES: dict[str, str] = {symbol: name for symbol, (name, _) in GLOSSARY.items()}


def name_of(symbol: str) -> str:
    """Return the name used for an axis in papers. Workload axes keep their letters.

    >>> name_of("h"), name_of("q")
    ('n_heads', 'q')
    """
    return NAMES.get(symbol, symbol)
