"""Shell completion for model, layout, quantity and format names, and for other values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

MOST_OFFERED = 200
# module and function or table that supply each kind of name, imported only for completion
SOURCES = {
    "models": ("schema.preset_files", "names"),
    "rules": ("lint", "codes"),
    "layouts": ("checkpoint.stored_tensors", "LAYOUTS"),
    "quantities": ("analysis.quantity", "names"),
    "measured": ("analysis.evidence", "names"),
    "formats": ("inputs.number_formats", "format_names"),
    "swept": ("analysis.quantity", "value_names"),
    "accelerators": ("inputs.gpus", "accelerators"),
    "gpus": ("inputs.gpus", "gpu_names"),
    "model_types": ("importers.hf.family_table", "names"),
    "laws": ("inputs.scaling_laws", "laws"),
    "training_programs": ("training.programs", "programs"),
    "kinds": ("layers", "names"),
    "recomputations": ("calc.memory.recomputation", "WORDS"),
}


def completer(source: str) -> Callable[[str], list[str]]:
    """Return a function that maps the beginning of a word to a list of completions."""

    def complete(incomplete: str) -> list[str]:
        module, name = SOURCES[source]
        found = getattr(import_module(f"..{module}", __package__), name)
        words: Iterable[str] = found() if callable(found) else found
        return [word for word in sorted(words) if word.startswith(incomplete.lower())][:MOST_OFFERED]

    return complete
