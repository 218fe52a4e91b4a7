"""Memory, parallelism and GPU options, and their conversion to API arguments."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.setting import CONVENTION as CONVENTION_SETTING
from ..core.setting import SIZES as SIZE_SETTINGS
from ..core.type_names import TYPE_CHECKING, Any
from ..inputs import settings as settings_of
from ..inputs import training_settings
from .options import MODEL_OUTPUT, READING, SIZES, STEP, is_given, refuse
from .spec import Argument, Option, option_of

if TYPE_CHECKING:
    from ..analysis.quantity import Quantity
    from ..calc.sharding import Mesh
    from ..core.architecture import Architecture
    from ..estimate.cost import Machine

_SETTINGS = {setting.name: setting for setting in (*settings_of.MEMORY, CONVENTION_SETTING)}
_OPTIONS = {name: option_of(setting) for name, setting in _SETTINGS.items()}
_OPTIONS["dtype"] = option_of(settings_of.DTYPE, default=None)  # engines compute in another format unless it is given
DTYPE, OPTIMIZER, RECOMPUTE, GRADIENTS = (_OPTIONS[name] for name in ("dtype", "optimizer", "recompute", "gradients"))


def _options(names: str) -> tuple[Option, ...]:
    return tuple(_OPTIONS[name] for name in names.split())


MESH = _options("dp tp pp ep etp cp sp zero micro_batches vocabulary_multiple virtual_stages")
FORMATS = _options("dtype weights only keep cache")
ADAPTERS = _options("lora_rank lora_targets")
MEMORY = (
    *_options("training"), *FORMATS,
    *_options("page prefill step_tokens beams optimizer attention recompute dropout loss scan expert_kernel gradients"),
    *_options("gradient_buffer gradient_placeholders master fp8 fused_activation"), *ADAPTERS,
    *_options("lora_dropout offload offload_activations optimizer_in_backward"), *MESH,
    *_options("convention"),
)  # fmt: skip
TABLE = (*SIZES, *MEMORY, *READING, *MODEL_OUTPUT)
# GPUs and their use
GPU, MFU, PRECISION, PRICE = MACHINE = tuple(
    map(option_of, (settings_of.GPU, training_settings.MFU, training_settings.PRECISION, training_settings.PRICE))
)
ENGINE, TOKENS = option_of(settings_of.ENGINE), option_of(settings_of.TOKENS)
KERNELS = option_of(settings_of.KERNELS, default=None)
# settings of all quantities
QUANTITY = (TOKENS, KERNELS, *STEP, *SIZES, *MEMORY, GPU, ENGINE)


def quantity_options(quantities: Iterable[Quantity], without: Iterable[Argument | Option] = ()) -> tuple[Option, ...]:
    """Return the options of the settings of some quantities, without the parameters that a command already has."""
    wanted = {setting.name for quantity in quantities for setting in quantity.settings}
    known = {parameter.name for parameter in without}
    return tuple(each for each in QUANTITY if {each.name, *each.also} & wanted and each.name not in known)


def settings(given: dict[str, Any], options: Iterable[Option] = (*SIZES, *STEP, *MEMORY)) -> dict[str, Any]:
    """Return the explicitly set options as API keyword arguments, with amounts as numbers."""
    found = {}
    for option in options:
        if option.name in given and is_given(option, given):
            found[option.name] = given[option.name]
            if option.example:
                from ..estimate.amounts import amount

                found[option.name] = amount(given[option.name], option.name, option.example)
    if found.pop("no_master", False):
        found["master"] = False
    return found


def memory_arguments(given: dict[str, Any], architecture: Architecture) -> dict[str, Any]:
    """Convert the options of a command to arguments of ``llmcalc.memory``. Each option must have an effect."""
    from ..inputs.effects import check_effects
    from ..inputs.settings import memory_settings

    found = settings(given, (*SIZES, *MEMORY))
    arguments = memory_settings(found)
    check_effects((*SIZE_SETTINGS, *_SETTINGS.values()), found, architecture)
    return arguments | {option.name: found[option.name] for option in SIZES if option.name in found}


def training_mesh(given: dict[str, Any], architecture: Architecture, count: int | None) -> Mesh | None:
    """Return the mesh specified by the options for a training step on a number of GPUs, or None."""
    from ..inputs.effects import check_effects
    from ..inputs.settings import mesh_on

    if count is None:
        refuse(MESH, given, "without a GPU", "add {gpu=h100:512}")
        return None
    found = settings(given, MESH)
    check_effects(_SETTINGS.values(), {"training": True, **found}, architecture)
    return mesh_on(found, count) if found else None


def machine(given: dict[str, Any], *, needs_mfu: bool = True) -> Machine | None:
    """Return the GPUs specified by the options, or None. ``needs_mfu``: an unpublished utilisation must be given."""
    from ..training.machine import read_machine

    if given["gpu"] is not None:
        return read_machine(given["gpu"], mfu=given["mfu"], precision=given["precision"], needs_mfu=needs_mfu)
    refuse(MACHINE[1:], given, "without a GPU", "add {gpu=h100:512}")
    return None
