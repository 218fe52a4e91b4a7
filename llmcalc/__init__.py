"""llmcalc computes what an LLM architecture costs before you train or deploy it.

>>> import llmcalc
>>> llmcalc.params("gpt3").total
174604259328
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from .analysis.check import check as check
    from .analysis.compare import compare as compare
    from .analysis.design import design as design
    from .analysis.evidence import evidence as evidence
    from .analysis.explain import explain as explain
    from .analysis.sweep import sweep as sweep
    from .api.communication import communication as communication
    from .api.diff import diff as diff
    from .api.find_recipes import find_recipes as find_recipes
    from .api.flops import flops as flops
    from .api.memory_form import memory_form as memory_form
    from .api.params import params as params
    from .api.scale import scale as scale
    from .api.state import state as state
    from .api.traffic import traffic as traffic
    from .api.verify import twin as twin
    from .api.verify import verify as verify
    from .calc.params import Params as Params
    from .calc.sharding import Mesh as Mesh
    from .core.architecture import Architecture as Architecture
    from .core.errors import DescriptionError as DescriptionError
    from .core.errors import InputError as InputError
    from .core.errors import LlmcalcError as LlmcalcError
    from .core.errors import SizeError as SizeError
    from .core.errors import UnknownNameError as UnknownNameError
    from .core.errors import UnsupportedError as UnsupportedError
    from .fitting.fit import fit as fit
    from .fitting.memory import memory as memory
    from .inputs.models import load as load
    from .search.front import serving_front as serving_front
    from .search.gpus import find_gpus as find_gpus
    from .search.models import find_models as find_models
    from .serving.calibrate import calibrate as calibrate
    from .serving.latency import latency as latency
    from .serving.start.check_log import check_log as check_log
    from .serving.start.serve import serve as serve
    from .training.files import read_training_file as read_training_file
    from .training.rl import rl as rl
    from .training.train import machine as machine
    from .training.train import train as train

__version__ = "0.1.0"

_ERRORS = (
    "DescriptionError", "InputError", "LlmcalcError", "SizeError", "UnknownNameError", "UnsupportedError",
)  # fmt: skip
_VERBS = (
    "calibrate", "check", "check_log", "communication", "compare", "design", "diff", "evidence", "explain", "find_gpus",
    "find_models", "find_recipes", "fit", "flops", "latency", "load", "memory", "memory_form", "params", "rl",
    "scale", "serve", "serving_front", "state", "sweep", "traffic", "train", "verify",
)  # fmt: skip
_ROOMS = {
    "analysis": ("check", "compare", "design", "evidence", "explain", "sweep"), "fitting": ("fit", "memory"),
    "serving": ("calibrate", "latency"), "serving.start": ("check_log", "serve"), "training": ("rl", "train"),
}  # fmt: skip
_MODULES = {
    **dict.fromkeys(_ERRORS, "core.errors"),
    **{name: f"api.{name}" for name in _VERBS},
    **{name: f"{room}.{name}" for room, names in _ROOMS.items() for name in names},
    "load": "inputs.models",
    "find_gpus": "search.gpus",
    "find_models": "search.models",
    "serving_front": "search.front",
    "Architecture": "core.architecture",
    "Mesh": "calc.sharding",
    "Params": "calc.params",
    "machine": "training.train",
    "read_training_file": "training.files",
    "twin": "api.verify",
}
__all__ = sorted([*_MODULES, "__version__"])


def __getattr__(name: str) -> object:
    """Import a public name on first access."""
    if name in _MODULES:
        from importlib import import_module

        value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
