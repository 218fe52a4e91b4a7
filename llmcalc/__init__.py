"""llmcalc: what an LLM architecture costs, exactly, before anybody builds or buys it.

>>> import llmcalc
>>> llmcalc.params(llmcalc.load("gpt3")).total
174604259328
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, which takes long to import
if TYPE_CHECKING:
    from .api.load import load as load
    from .api.memory import memory as memory
    from .api.scale import scale as scale
    from .api.train import machine as machine
    from .api.train import train as train
    from .calc.flops import flops as flops
    from .calc.kv_cache import state as state
    from .calc.params import Params as Params
    from .calc.params import params as params
    from .core.architecture import Architecture as Architecture
    from .core.errors import DescriptionError as DescriptionError
    from .core.errors import InputError as InputError
    from .core.errors import LlmcalcError as LlmcalcError
    from .core.errors import SizeError as SizeError
    from .core.errors import UnknownNameError as UnknownNameError
    from .core.errors import UnsupportedError as UnsupportedError
    from .twins import twin as twin
    from .verification import verify as verify

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "core.architecture",
    "DescriptionError": "core.errors",
    "InputError": "core.errors",
    "LlmcalcError": "core.errors",
    "Params": "calc.params",
    "SizeError": "core.errors",
    "UnknownNameError": "core.errors",
    "UnsupportedError": "core.errors",
    "flops": "calc.flops",
    "load": "api.load",
    "machine": "api.train",
    "memory": "api.memory",
    "params": "calc.params",
    "scale": "api.scale",
    "state": "calc.kv_cache",
    "train": "api.train",
    "twin": "twins",
    "verify": "verification",
}
__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
