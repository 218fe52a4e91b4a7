"""Arguments of the functions that compute one quantity: a model and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.architecture import Architecture
from ..core.setting import TEXTS, Setting, check_values, read_lengths, read_texts
from .defaults import cached_tokens
from .effects import check_effects
from .models import Source, read_model


def read_values(settings: tuple[Setting, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each setting after checking it, with lists as tuples and lengths as numbers."""
    lists = (setting.name for setting in settings if setting.kind == TEXTS and values[setting.name] is not None)
    given = read_lengths({**values, **{name: read_texts(values[name], name) for name in lists}})
    check_values(settings, given)
    return {setting.name: given[setting.name] for setting in settings}


def read_arguments(
    model: Source, settings: tuple[Setting, ...], values: Mapping[str, Any]
) -> tuple[Architecture, dict[str, Any]]:
    """Return a model and the value of each setting. A given setting without an effect on the model is an error."""
    given = read_values(settings, values)
    cached_tokens(given.get("mode", ""), given.get("context"))  # before a model is loaded
    architecture = read_model(model)
    check_effects(settings, given, architecture)
    return architecture, given
