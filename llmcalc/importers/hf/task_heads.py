"""Heads of classes for a task, such as classification, from the table ``data/task_heads.yaml``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...core.architecture import Architecture, Named, Stack
from ...core.record import changed
from ...data import table
from ...layers import Linear, Norm
from ...layers.mlp import ACTIVATIONS
from .config import Config

DEFAULT_LABELS = 2  # of a class whose config does not name any
POOLER = "pooler"
STREAMS = 2  # of a reversible residual, which a head reads side by side


def with_task_head(config: Config, architecture: Architecture) -> Architecture:
    """Return the base model with the head of the config's class, or unchanged if the head is not known.

    The layers have the names of their modules, with underscores: ``classifier.out_proj`` is ``classifier_out_proj``.
    """
    row = _row(config)
    if row is None:
        return architecture
    main = architecture.main
    kept = (named for named in main.outputs if named.name != POOLER or not row.get("without_pooler"))
    stack = changed(main, outputs=(*kept, *_layers(config, main, row["layers"])))
    return changed(architecture, stacks=tuple(stack if one is main else one for one in architecture.stacks))


def has_known_head(config: Config) -> bool:
    """Return whether the table has the head of the config's class."""
    return _row(config) is not None


def _row(config: Config) -> Mapping[str, Any] | None:
    name = config.task()
    rows = next((rows for task, rows in table("task_heads").items() if name.endswith(task)), ()) if name else ()
    return next((row for row in rows if config.model_type in row["families"].split()), None)


def _layers(config: Config, stack: Stack, texts: list[str]) -> Iterator[Named]:
    width = stack.d_model
    for text in texts:
        stored, kind, *words = text.split()
        name = stored.replace(".", "_")
        if "if_summary" in words and not config.flag("summary_use_proj"):
            continue
        if kind in ("norm", "layernorm"):
            yield Named(name, _final_norm(stack) if kind == "norm" else config.layernorm(width=width))
            continue
        width *= STREAMS if "streams" in words else 1
        out = _width(config, kind, stack.d_model)
        if out:
            yield Named(name, _linear(config, width, out, words))
        width = out


def _width(config: Config, kind: str, hidden: int) -> int:
    if kind == "summary":
        kind = "labels" if config.flag("summary_proj_to_labels") else "hidden"
    widths = {"hidden": hidden, "labels": n_labels(config)}
    return widths[kind] if kind in widths else config.size(kind) if kind.isidentifier() else int(kind)


def _linear(config: Config, width: int, out: int, words: list[str]) -> Linear:
    biased = config.flag(words[words.index("biased_by") + 1], True) if "biased_by" in words else "nobias" not in words
    rest = [word for word in words if word in ACTIVATIONS or word.endswith(("_act", "_activation"))]
    activation = next((word if word in ACTIVATIONS else config.activation(word) for word in rest), "identity")
    return Linear(width, out, biased, activation, positions="one" if "first" in words else "all")


def _final_norm(stack: Stack) -> Norm:
    return next(named.layer for named in reversed(stack.outputs) if isinstance(named.layer, Norm))


def n_labels(config: Config) -> int:
    """Return the number of labels: those of ``id2label``, or ``num_labels``, or 2 if the config has neither."""
    named = config.get("id2label")
    if isinstance(named, dict):
        return len(named)
    given = config.get("num_labels")
    if named is not None or (given is not None and (type(given) is not int or given < 0)):
        key, wanted = ("id2label", "an object") if named is not None else ("num_labels", "a number of labels")
        raise config.invalid(key, wanted)
    return DEFAULT_LABELS if given is None else int(given)
