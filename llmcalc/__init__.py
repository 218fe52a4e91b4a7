"""llmcalc computes what an LLM architecture costs before you train or deploy it.

>>> import llmcalc
>>> llmcalc.params("gpt3").total
174604259328
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing is slow to import
if TYPE_CHECKING:
    from .api.calibrate import calibrate as calibrate
    from .api.check import check as check
    from .api.check_log import check_log as check_log
    from .api.communication import communication as communication
    from .api.compare import compare as compare
    from .api.design import design as design
    from .api.diff import diff as diff
    from .api.evidence import evidence as evidence
    from .api.explain import explain as explain
    from .api.find_gpus import find_gpus as find_gpus
    from .api.find_models import find_models as find_models
    from .api.find_recipes import find_recipes as find_recipes
    from .api.fit import fit as fit
    from .api.flops import flops as flops
    from .api.latency import latency as latency
    from .api.load import load as load
    from .api.machine import machine as machine
    from .api.memory import memory as memory
    from .api.memory_form import memory_form as memory_form
    from .api.params import Params as Params
    from .api.params import params as params
    from .api.plan import plan as plan
    from .api.read_training_file import read_training_file as read_training_file
    from .api.rl import rl as rl
    from .api.scale import scale as scale
    from .api.serve import serve as serve
    from .api.serving_front import serving_front as serving_front
    from .api.state import state as state
    from .api.step_time import step_time as step_time
    from .api.sweep import sweep as sweep
    from .api.traffic import traffic as traffic
    from .api.train import train as train
    from .api.twin import twin as twin
    from .api.verify import verify as verify
    from .calc.sharding import Mesh as Mesh
    from .core.architecture import Architecture as Architecture
    from .core.errors import DescriptionError as DescriptionError
    from .core.errors import InputError as InputError
    from .core.errors import LlmcalcError as LlmcalcError
    from .core.errors import SizeError as SizeError
    from .core.errors import UnknownNameError as UnknownNameError
    from .core.errors import UnsupportedError as UnsupportedError
    from .version import __version__ as __version__


_ERRORS = (
    "DescriptionError", "InputError", "LlmcalcError", "SizeError", "UnknownNameError", "UnsupportedError",
)  # fmt: skip
_VERBS = (
    "calibrate", "check", "check_log", "communication", "compare", "design", "diff", "evidence", "explain", "find_gpus",
    "find_models", "find_recipes", "fit", "flops", "latency", "load", "machine", "memory", "memory_form", "params",
    "plan", "read_training_file", "rl", "scale", "serve", "serving_front", "state", "step_time", "sweep", "traffic",
    "train", "twin", "verify",
)  # fmt: skip
_MODULES = {
    **dict.fromkeys(_ERRORS, "core.errors"),
    **{name: f"api.{name}" for name in _VERBS},
    "__version__": "version",
    "Architecture": "core.architecture",
    "Mesh": "calc.sharding",
    "Params": "api.params",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    """Import a public name on first access."""
    if name in _MODULES:
        from importlib import import_module

        from .core.notebook_display import renderers

        value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
        globals()[name] = value
        renderers[:] = [_html]
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _html(result: object) -> str:
    """Render a result in a notebook. The reports are imported when the first result is displayed."""
    from .report.notebook import html

    return html(result)


def __dir__() -> list[str]:
    return __all__
