"""What the shell offers while a word is being typed: names of models, layouts, quantities, formats."""

from __future__ import annotations

from collections.abc import Callable

MOST_OFFERED = 200


def models() -> list[str]:
    """Every name that a preset goes by."""
    from ..schema.catalogue import names

    return sorted(names())


def layouts() -> list[str]:
    """The stored layouts of checkpoints."""
    from ..checkpoint.stored_tensors import LAYOUTS

    return list(LAYOUTS)


def quantities() -> list[str]:
    """What can be explained."""
    from .commands.explain import QUANTITIES

    return list(QUANTITIES)


def formats() -> list[str]:
    """Number formats and mixtures of them."""
    from ..data import table, tables

    return sorted({*tables("formats"), *table("mixtures")})


def accelerators() -> list[str]:
    """Accelerators by their names."""
    from ..api import names as lookup

    return sorted(lookup.accelerators())


def swept() -> list[str]:
    """Quantities that can be swept."""
    from ..api.sweep import QUANTITIES

    return list(QUANTITIES)


def model_types() -> list[str]:
    """Families of configs that are understood."""
    from ..importers.hf.family_table import names

    return sorted(names())


def laws() -> list[str]:
    """Scaling laws by their names."""
    from ..api import scale as scaling

    return sorted(scaling.laws())


def rules() -> list[str]:
    """The codes of rules."""
    from ..lint import codes

    return codes()


SOURCES: dict[str, Callable[[], list[str]]] = {
    "models": models,
    "rules": rules,
    "layouts": layouts,
    "quantities": quantities,
    "formats": formats,
    "swept": swept,
    "accelerators": accelerators,
    "model_types": model_types,
    "laws": laws,
}


def completer(source: str) -> Callable[[str], list[str]]:
    """A function from the beginning of a word to the words that it may become."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in SOURCES[source]() if word.startswith(incomplete.lower())][:MOST_OFFERED]

    return complete
