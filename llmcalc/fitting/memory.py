"""Memory required for serving or a training step."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence

from ..calc.kv_cache import state
from ..calc.memory.eager_code import EagerCode
from ..calc.memory.inference import InferenceMemory, Steps, inference_memory
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.optimizer import Adapters, Recipe, StateRule
from ..calc.memory.saved_tensors import FP32_BYTES, ActivationPolicy
from ..calc.memory.weight_formats import RequestedFormats, model_tensors
from ..calc.pipeline_stages import pipeline_stages
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import DescriptionError, InputError, UnknownNameError
from ..core.ledger import rows
from ..core.record import changed
from ..core.setting import CONVENTION, SIZES, TEXTS, Setting, known_choice
from ..core.type_names import TYPE_CHECKING, Any
from ..core.workload import Workload
from ..data import table
from ..inputs.defaults import default_seq, step_limit
from ..inputs.gguf_names import FILE_FORMAT, GGUF_ENGINE, published_format
from ..inputs.number_formats import CHECKPOINT, kept_quantised, number_format, published_weights, weight_formats
from ..inputs.settings import FORMATS, MEMORY_MODE, SERVING, TRAINING, WHOLE_MESH, check_expert_ranks, serving_mesh

if TYPE_CHECKING:
    from ..calc.memory.pipeline import ParallelMemory
    from ..checkpoint.published_weights import PublishedWeights

SERVED = (*SIZES, *FORMATS, *SERVING, WHOLE_MESH, CONVENTION)
SETTINGS = (MEMORY_MODE, *SERVED, *TRAINING)
IMAGE = Setting("image", TEXTS, (), needs=("serving",))
ALL_LINEAR = ("all-linear", "all")


def memory_with_images(
    architecture: Architecture, images: tuple[str, ...], own: dict[str, Any]
) -> ParallelMemory | InferenceMemory:
    """Compute the memory of sequences with images, which have the tokens of the images in addition to ``seq``."""
    if not images:
        return memory_of(architecture, **own)
    from ..inputs.image_encoders import image_encoder, with_images

    encoder = image_encoder(architecture)
    if encoder is None:
        message = f"has no effect on {architecture.name}, whose image encoder is not known or does not exist"
        raise InputError(message, parameter="image", hint="omit it")
    sizes = encoder.measure(images)
    text = default_seq(architecture) if own["seq"] is None else own["seq"]
    result = memory_of(architecture, **{**own, "seq": text + sum(size.tokens for size in sizes)})
    assert isinstance(result, InferenceMemory)
    return with_images(result, encoder, sizes, own["dtype"])


def memory_of(architecture: Architecture, **settings: Any) -> ParallelMemory | InferenceMemory:
    """Compute the memory with valid settings of ``memory``, which may have no effect, as at one point of a sweep."""
    own = {setting.name: setting.default for setting in SETTINGS} | settings
    seq = default_seq(architecture) if own["seq"] is None else own["seq"]
    if own["mode"] == "inference":
        mesh = serving_mesh(own["mesh"] or Mesh())
        served = {setting.name: own[setting.name] for setting in SERVED} | {"seq": seq, "mesh": mesh}
        return worst_stage(architecture, serving_stages(architecture, **served))
    return _training_memory(architecture, {**own, "seq": seq})


def _training_memory(architecture: Architecture, own: dict[str, Any]) -> ParallelMemory:
    from ..calc.memory.pipeline import parallel_memory  # these are needed only by training
    from ..calc.memory.training import WEIGHTS
    from ..calc.memory.zero import SHARDS_WEIGHTS

    mesh, convention, weights, dtype = own["mesh"] or Mesh(), own["convention"], own["weights"], own["dtype"]
    check_expert_ranks(mesh)
    width = number_format(dtype).bits // BITS_A_BYTE
    rank = own["lora_rank"]
    if weights and rank is None:
        raise InputError("trainable weights cannot be quantised", parameter="weights", hint="add {lora_rank=N}")
    if own["offload"] == WEIGHTS and mesh.zero < SHARDS_WEIGHTS:
        raise InputError("weights are loaded block by block with ZeRO-3 only", parameter="offload", hint="add {zero=3}")
    if own["optimizer_in_backward"] and (mesh.batches > 1 or own["gradient_buffer"]):
        text = "needs a gradient of one micro-batch, which no buffer holds"
        raise InputError(text, parameter="optimizer_in_backward", hint="omit it")
    is_peft = bool(rank and own["master"] and convention is None and width < FP32_BYTES)
    adapters = adapters_of(architecture, rank, own["lora_targets"], FP32_BYTES if is_peft else 0)
    frozen = weight_formats(weights, number_format(dtype), own["only"], own["keep"]) if weights else None
    is_sharded = mesh.zero >= SHARDS_WEIGHTS
    is_prepared = bool(frozen and not frozen.main.plain and is_peft and not is_sharded)
    if frozen and is_prepared:  # prepare_model_for_kbit_training in peft/utils/other.py; sharded weights keep a format
        frozen = changed(frozen, base=number_format("fp32"))
    gradients = own["gradients"] or ("fp32" if is_peft else dtype)
    recipe = _recipe(width, own["optimizer"] or "adamw", gradients, own["master"] and not rank, convention)
    recipe = changed(
        recipe, adapters=adapters, frozen_weights=frozen, contiguous_gradient_buffer=own["gradient_buffer"],
        gradient_placeholders=own["gradient_placeholders"], offload=own["offload"] or "",
        offload_activations=own["offload_activations"], in_backward=own["optimizer_in_backward"],
        fp8_copies=own["fp8"] == "copies",
    )  # fmt: skip
    code = eager_code(architecture, own["expert_kernel"], own["attention"]) if convention == "torch" else EagerCode()
    policy = ActivationPolicy(
        own["attention"] or "flash", own["recompute"] or "none", *_dropout(architecture, own["dropout"]), width,
        recipe.gradient_bytes, convention, adapters, own["loss"] or "eager",
        own["scan"] or "eager", code=code, is_head_cast=is_prepared,
        stream_bytes=FP32_BYTES if is_prepared or (is_peft and is_sharded) else 0,
        adapter_dropout=own["lora_dropout"], fp8=bool(own["fp8"]), fused_activation=own["fused_activation"],
    )  # fmt: skip
    workload = Workload(
        batch=own["batch"], seq=own["seq"], target_seq=own["target_seq"], mode="train", convention=convention,
        extend=own["extend"],
    )  # fmt: skip
    stored: Callable[[Architecture], int] | None = None
    if convention == "torch" and architecture.layout:
        from ..checkpoint.stored_tensors import largest_stored_tensor as stored  # needed only by eager code
    return parallel_memory(architecture, workload, policy, recipe, mesh, stored)


def serving_stages(
    architecture: Architecture,
    *,
    seq: int,
    batch: int = 1,
    target_seq: int | None = None,
    dtype: str = "bf16",
    weights: str | None = None,
    only: Iterable[str] = (),
    keep: Iterable[str] = (),
    cache: str | None = None,
    page: int | None = None,
    prefill: int | None = None,
    step_tokens: str | int | None = None,
    beams: int | None = None,
    mesh: Mesh | None = None,
    convention: str | None = None,
    extend: bool = False,
) -> list[InferenceMemory]:
    """Return the memory of each pipeline stage. The data-parallel ranks share the sequences."""
    mesh, formats = mesh or Mesh(), serving_weights(architecture, weights, dtype, only, keep)
    workload = Workload(batch=batch, seq=seq, target_seq=target_seq, logits="last", extend=extend)
    workload.values(architecture)  # checks the positions, which only the first stage knows
    own = changed(workload, batch=-(-batch // mesh.dp))
    steps = Steps(step_limit(step_tokens, convention, formats.has_host_table), prefill, beams or 1, convention)
    width, found = number_format(dtype).bits // BITS_A_BYTE, []
    for stage in pipeline_stages(architecture, mesh.pp, uneven=True):
        state_size = state(
            stage, batch=own.batch, seq=seq, target_seq=target_seq, dtype=dtype, convention=convention,
            cache=number_format(cache, "cache") if cache else None, page=page, extend=extend, mesh=mesh,
            beams=steps.beams,
        )  # fmt: skip
        memory_of_stage = inference_memory(stage, own, formats, state_size, width, mesh, steps)
        found.append(changed(memory_of_stage, workload=workload))
    return found


def worst_stage(architecture: Architecture, stages: Sequence[InferenceMemory]) -> InferenceMemory:
    """Return the memory of the pipeline stage that needs the most, as that of the whole architecture."""
    worst = stages[0] if len(stages) == 1 else max(stages, key=lambda stage: stage.peak)
    return changed(worst, architecture=architecture, refusals=refusals(stages))


def refusals(stages: Sequence[InferenceMemory]) -> tuple[str, ...]:
    """Return the matrices that kernels do not accept in any pipeline stage."""
    return tuple(dict.fromkeys(refusal for stage in stages for refusal in stage.refusals))


def serving_weights(
    architecture: Architecture, weights: str | None, dtype: str, only: Iterable[str], keep: Iterable[str]
) -> RequestedFormats | PublishedWeights:
    """Return the requested weight formats. By default, that of the file or quantised checkpoint, or ``dtype``."""
    weights = weights or architecture.inputs.get(FILE_FORMAT)
    is_quantised = architecture.inputs.get("types") or architecture.inputs.get("quantization")
    if weights != CHECKPOINT and (weights or not is_quantised):
        formats = weight_formats(weights or dtype, number_format(dtype), only, keep)
        if formats.has_host_table and (published := published_format(architecture, GGUF_ENGINE)):
            formats = kept_quantised(formats, published)
        formats.check(model_tensors(architecture))
        return formats
    if tuple(only) or tuple(keep):
        name = "only" if tuple(only) else "keep"
        raise InputError("has no effect on weights in their published format", parameter=name, hint="omit it")
    return published_weights(architecture)


def _recipe(width: int, optimizer: str, gradients: str, master: bool, convention: str | None) -> Recipe:
    optimizers = table("optimizers")
    known_choice("optimizer", optimizer, tuple(optimizers))
    entry: dict[str, Any] = optimizers[optimizer]
    states = tuple(StateRule(**state) for state in entry["states"])
    if convention == "torch":  # states in the parameters' format; a step makes two copies of the current tensor
        own = tuple(rule if rule.block else changed(rule, bytes=width) for rule in states)  # 8-bit states stay 8-bit
        return Recipe(f"torch {optimizer}", width, width, 0, own, 2)
    copy = entry["master"] if master and width < entry["master"] else 0
    return Recipe(optimizer, width, number_format(gradients).bits // BITS_A_BYTE, copy, states)


def _dropout(architecture: Architecture, active: bool) -> tuple[bool, bool]:
    """Return whether dropout applies to attention weights and to the outputs of sub-layers.

    A config decides by its rates. Presets have no rates, so both are dropped.
    """
    rates = architecture.inputs.get("dropout", {"attention": 1.0, "residual": 1.0})
    if active and "invalid" in rates:
        raise DescriptionError(rates["invalid"], where=architecture.inputs.get("file", ""))
    return active and rates["attention"] > 0, active and rates["residual"] > 0


def eager_code(architecture: Architecture, expert_kernel: str | None = None, attention: str | None = None) -> EagerCode:
    """Return what is known about the eager code of an architecture's model type, or of its layout in transformers.

    Only a loop over experts saves tensors when it adds their outputs. Unless the kernel is given or the config names
    it, experts run in a loop if attention is eager too, or if transformers has no grouped kernel for them.
    """
    facts: dict[str, dict[str, str]] = table("eager")
    inputs, layout = architecture.inputs, (architecture.layout or "").split(".")[0]
    names = inputs.get("model_type"), inputs.get("text_model_type"), layout
    code = EagerCode(**next((facts[name] for name in names if name in facts), {}))
    code = code if inputs.get("router_noise") else changed(code, noise="")
    chosen = {"eager": "loop"}.get(name, "grouped") if (name := inputs.get("experts_implementation")) else None
    usual = code.experts or ("loop" if attention == "eager" else "grouped")
    return code if (expert_kernel or chosen or usual) == "loop" else changed(code, combine="")


def adaptable_matrices(architecture: Architecture) -> set[str]:
    """Return the names of the matrices to which LoRA adapters can be added."""
    return {row.tensor.name for row in rows(architecture.stacks) if row.tensor.linear and not row.tensor.active}


def adapters_of(
    architecture: Architecture, rank: int | None, targets: Iterable[str] | None, width: int = 0
) -> Adapters | None:
    """Return the low-rank adapters of a rank, whose elements have ``width`` bytes, or None without a rank."""
    return None if rank is None else Adapters(rank, target_matrices(architecture, targets or ALL_LINEAR[:1]), width)


def target_matrices(architecture: Architecture, targets: Iterable[str]) -> tuple[str, ...]:
    """Return the matrices of adapters, named as matrices, as modules of transformers, or as ``all-linear``.

    >>> from llmcalc import load
    >>> target_matrices(load("llama3-8b"), ["q_proj", "wo"])
    ('wo', 'wq')
    """
    matrices, found, names = adaptable_matrices(architecture), set[str](), list(targets)
    is_own = matrices.union(ALL_LINEAR).issuperset(names)
    modules = {} if is_own else linear_modules(architecture)
    for name in names:
        if name in matrices:
            found.add(name)
        elif name in ALL_LINEAR:
            found |= matrices - {"router"}
        else:
            own = _named_modules(modules, name)
            if not own:
                known = (*matrices, *modules)
                hint = f"names of {architecture.name}: {', '.join(sorted({*known, ALL_LINEAR[0]}))}"
                raise UnknownNameError("matrix", name, known, parameter="lora_targets", hint=hint)
            found |= {matrix for module in own for matrix in modules[module]}
    return tuple(sorted(found))


def _named_modules(modules: Iterable[str], name: str) -> list[str]:
    """Return the modules that a name, a pattern with ``*``, or a regular expression of PEFT means."""
    last = name.rpartition(".")[2]
    try:
        return fnmatch.filter(modules, last) or [each for each in modules if re.fullmatch(last, each)]
    except re.error:
        return []


def targets_text(architecture: Architecture, targets: tuple[str, ...]) -> str:
    """Return the matrices of adapters as ``lora_targets`` states them, separated by commas."""
    is_all = targets == target_matrices(architecture, ALL_LINEAR[:1])
    return ALL_LINEAR[0] if is_all else ",".join(targets)


def linear_modules(architecture: Architecture) -> dict[str, set[str]]:
    """Return the matrices of each linear module of transformers, by the last part of its name."""
    from ..calc.params import params
    from ..checkpoint.stored_tensors import declared

    found: dict[str, set[str]] = {}
    for each in declared(params(architecture), architecture.layout, each=False) if architecture.layout else ():
        linear = {row.tensor.name for row in each.rows if row.tensor.linear and not row.tensor.active}
        if linear:
            found.setdefault(each.name.removesuffix(".weight").rpartition(".")[2], set()).update(linear)
    return found
