"""pydantic models of the keys of training programs' files."""

from __future__ import annotations

from pydantic import Field

from .fields import Sourced, Text
from .validation import Model

Value = str | int | float | bool | None
Meanings = dict[str, Value | dict[str, Value]]


class TrainingKey(Model):
    """What a key sets, its default in the program, and the meanings of its values, or the name of a map of them.

    ``text`` is the setting for any other value, which stands for ``{value}`` in it.
    """

    to: Text | None = None
    default: Value = None
    needs: Text | None = None
    values: Text | Meanings | None = None
    text: Text | None = None


class TrainingProgram(Sourced):
    """A training program, or a table that several programs include. Lists of keys are separated by spaces.

    ``under`` is the key that contains the included keys.
    """

    title: Text
    version: Text
    include: list[Text] = Field([])
    under: Text | None = None
    signature: list[Text] = Field([])
    usual: dict[str, Value] = Field({})
    files: dict[str, dict[str, Value]] = Field({})
    models: dict[str, Text] = Field({})
    maps: dict[str, Meanings] = Field({})
    keys: dict[str, TrainingKey] = Field({})
    ignored: Text | None = None
    unmodelled: Text | None = None
    structural: Text | None = None
    saving: Text | None = None
    offloading: Text | None = None
