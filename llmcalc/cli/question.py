"""Commands that ask the public function of their name, and print the document of their name.

    question("traffic", MODEL, WORKLOAD, MODEL_OUTPUT)

``llmcalc traffic MODEL`` is ``llmcalc.traffic(model)``, printed by ``report.traffic.traffic_document``.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from .memory_options import settings
from .options import READING, load_model, load_models
from .output import Answer, answered, printed
from .spec import Argument, Command, Option


def question(name: str, subject: Argument, options: Iterable[Option], output: Iterable[Option]) -> Command:
    """Return a command whose function takes a subject and the options that are given.

    Args:
        name: name of the command. ``-`` separates the words of the function's name.
        subject: first argument. A ``model``, or several ``models``, are loaded with the options of ``load``.
        options: settings of the function.
        output: options of the output.
    """
    own, function = tuple(options), name.replace("-", "_")
    reading = READING if subject.name in ("model", "models") else ()

    @printed
    def run(**given: Any) -> Answer:
        ask = getattr(import_module(f"..api.{function}", __package__), function)
        return answered(ask(*_subjects(subject, given), **settings(given, own)), name=function)

    return Command(name, (subject, *own, *reading, *output), run)


def _subjects(subject: Argument, given: dict[str, Any]) -> list[Any]:
    value = given[subject.name]
    if subject.name == "models":
        return [*load_models(value, given)]
    return [load_model(value, given) if subject.name == "model" else value]
