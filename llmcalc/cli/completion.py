"""Shell completion: names of models, layouts, quantities, formats and so on."""

from __future__ import annotations

from collections.abc import Callable

MOST_OFFERED = 200


def models() -> list[str]:
    """Names and aliases of presets."""
    from ..schema.catalogue import names

    return sorted(names())


def layouts() -> list[str]:
    """Layouts of checkpoints."""
    from ..checkpoint.stored_tensors import LAYOUTS

    return list(LAYOUTS)


def quantities() -> list[str]:
    """Quantities of ``explain``."""
    from ..api.explain import EXPLAINED

    return list(EXPLAINED)


def formats() -> list[str]:
    """Number formats and mixtures."""
    from ..data import table, tables

    return sorted({*tables("formats"), *table("mixtures")})


def accelerators() -> list[str]:
    """Accelerators."""
    from ..api import names as lookup

    return sorted(lookup.accelerators())


def swept() -> list[str]:
    """Quantities of ``sweep``."""
    from ..api.sweep import QUANTITIES

    return list(QUANTITIES)


def model_types() -> list[str]:
    """Supported model types of configs."""
    from ..importers.hf.family_table import names

    return sorted(names())


def laws() -> list[str]:
    """Scaling laws."""
    from ..api import scale as scaling

    return sorted(scaling.laws())


def rules() -> list[str]:
    """Codes of lint rules."""
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
    """A function from the beginning of a word to its completions."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in SOURCES[source]() if word.startswith(incomplete.lower())][:MOST_OFFERED]

    return complete
