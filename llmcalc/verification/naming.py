"""The names that the tensors of a checkpoint may go by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..checkpoint.published_weights import layout_candidates
from ..core.architecture import Architecture
from ..core.errors import UnknownNameError

_OLD = ((".gamma", ".weight"), (".beta", ".bias"))


class Naming(NamedTuple):
    """A way to name tensors: the rules, and what is done to each name."""

    title: str
    rules: str
    change: Callable[[str], str]


_TOWER = ("vision_tower.vision_model.", "vision_tower.")


def namings(architecture: Architecture) -> Iterator[Naming]:
    """The ways in which the tensors of a checkpoint may be named."""
    rules = layout_candidates(architecture)
    if not architecture.layout and not architecture.inputs.get("gguf"):
        hint = "the names of the stored tensors are not known for this architecture"
        raise UnknownNameError("layout", architecture.layout, [], hint=hint)
    titles = ("as in GGUF files", "as in older GGUF files") if architecture.inputs.get("gguf") else (
        "as published", "as transformers keeps them"
    )  # fmt: skip
    for title, name in zip(titles, rules, strict=True):
        yield Naming(title, name, lambda text: text)
    if architecture.inputs.get("gguf"):
        return
    for title, name in zip(titles, rules, strict=True):
        yield Naming(f"{title}, without the prefix of the class", name, lambda text: text.partition(".")[2] or text)
        yield Naming(f"{title}, in a larger model", name, lambda text: f"language_model.{text}")
        yield Naming(
            f"{title}, in a larger model", name, lambda text: text.replace("model.", "model.language_model.", 1)
        )
        yield Naming(f"{title}, with older names of norms", name, _older)
        yield Naming(f"{title}, with newer names of a tower", name, lambda text: text.replace(*_TOWER))


def _older(name: str) -> str:
    if "LayerNorm" not in name:
        return name
    for old, new in _OLD:
        name = name.removesuffix(new) + old if name.endswith(new) else name
    return name
