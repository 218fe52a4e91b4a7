"""Search for the most layers, or the fewest experts in host memory, with which llama.cpp serves a model on one GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..calc.memory.fit import Fit, largest_fitting
from ..calc.memory.inference import InferenceMemory
from ..calc.pipeline_stages import layer_range
from ..calc.sharding import Mesh
from ..calc.touched_experts import expert_layers
from ..core.amount import Sum
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import changed, fields
from ..data import tables
from ..engines.llama_cpp_weights import HOST, device_weights, read_placement
from ..engines.profile import version_number
from ..engines.settings import setting_flags
from ..estimate.hardware import Accelerator
from ..inputs.defaults import LLAMA_CPP_STEP_TOKENS
from ..inputs.gpus import gpu_name
from .memory import memory_of, serving_weights
from .solution import EXPERTS, LAYERS, OFFLOADS

GPU = 0  # the only one


def solve_offload(
    asked: str,
    architecture: Architecture,
    budget: Mapping[str, Any],
    words: Mapping[str, Any],
    card: Accelerator | None = None,
) -> tuple[Fit, int | None]:
    """Return the fit check with the solution, or without an offloaded part and None if nothing fits.

    If GPU and host share one memory, all of the model must fit in it.
    """
    _check(asked, architecture, words, budget["count"], gpu_name(card, budget["memory_bytes"]))
    n_layers = architecture.main.n_layers
    own = {"step_tokens": LLAMA_CPP_STEP_TOKENS, **{name: value for name, value in words.items() if name != "mode"}}
    whole = memory_of(architecture, **own)
    assert isinstance(whole, InferenceMemory)

    def check(kept: int) -> Fit:
        settings = {OFFLOADS[asked]: kept if asked == LAYERS else n_layers - kept}
        result = _offloaded(whole, architecture, own, settings)
        return Fit(budget["memory_bytes"], budget["reserve"], result.peak - result.host, 1, result)

    most = n_layers + 1 if asked == LAYERS else n_layers
    kept = largest_fitting(lambda number: check(number).fits, most, 0)
    if kept is None:
        return check(0), None
    found, shared = check(kept), card.shared_bytes if card else None
    if shared is not None and (total := found.result.peak + found.result.host_state) > shared - found.reserve:
        return Fit(shared, found.reserve, total, 1, changed(whole, host=0)), None
    return found, kept if asked == LAYERS else n_layers - kept


def _check(asked: str, architecture: Architecture, words: Mapping[str, Any], count: int, gpu: str) -> None:
    """Raise an error unless llama.cpp serves the model on one GPU, with routed experts if these are to move."""
    if words["mode"] == "training":
        file = architecture.inputs.get("training_file")
        text = f"{asked!r} applies only to serving" + (f", and {file['path']} describes training" if file else "")
        hint = "name a model in place of the file" if file else "omit {mode=training}"
        raise InputError(text, parameter="solve", hint=hint)
    given = [field.name for field in fields(Mesh) if getattr(words["mesh"] or Mesh(), field.name) != field.default]
    if given or count > 1:
        changes = [f"use {{gpu={gpu}}}"] if count > 1 else []
        changes += [f"omit {', '.join(f'{{{name}}}' for name in given)}"] if given else []
        raise InputError(f"{asked!r} applies only to one GPU", parameter="solve", hint=" and ".join(changes))
    if asked == EXPERTS and not expert_layers(architecture):
        hint = "use {solve=gpu-layers}"
        raise InputError(f"{architecture.name} has no routed experts", parameter="solve", hint=hint)


def command_of(asked: str, number: int) -> str:
    """Return the command of llama.cpp with the solved number."""
    program, *_ = tables("engines")["llama.cpp"]["command"].split()
    return f"{program} {flag_of(asked)} {number}"


def flag_of(asked: str) -> str:
    """Return the flag of llama.cpp that sets the solved number."""
    return setting_flags(tables("engines")["llama.cpp"]["flags"])[OFFLOADS[asked]]


def _offloaded(
    whole: InferenceMemory, architecture: Architecture, words: Mapping[str, Any], settings: Mapping[str, Any]
) -> InferenceMemory:
    """Return the memory on the GPU if layers or experts are in host memory. A step copies matrices to the GPU."""
    placement = read_placement(settings, version_number(tables("engines")["llama.cpp"]["newest"])[0])
    formats = serving_weights(
        architecture, words.get("weights"), words["dtype"], words.get("only", ()), words.get("keep", ())
    )
    weights = device_weights(architecture, formats, placement)
    ranges = placement.layer_ranges(architecture.main.n_layers)
    on_gpu = ranges.get(GPU, range(0))
    state_size, on_host = whole.state_size, 0
    if len(on_gpu) < architecture.main.n_layers:
        parts = {
            device: memory_of(layer_range(architecture, own.start, own.stop), **words) for device, own in ranges.items()
        }
        on_host = parts[HOST].state
        state_size = parts[GPU].state_size if GPU in parts else changed(whole.state_size, tensors=())
    host = whole.weights - weights.by_device.get(GPU, 0)
    copied = weights.largest_on_host

    def find_transient(seq: int) -> int:
        live = whole.find_transient(seq)
        return live.plus("copy of a matrix in host memory", copied) if copied and isinstance(live, Sum) else live

    return changed(whole, state_size=state_size, host=host, host_state=on_host, find_transient=find_transient)
