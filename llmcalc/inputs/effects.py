"""Conditions under which a setting has an effect. A given setting without any effect is an error.

A setting names its conditions in ``Setting.needs``. A condition depends on other settings and on the architecture, but
not on sizes such as ``batch`` or ``seq``: a setting is an error only if it changes the result for no size. A setting
that has no effect at these sizes alone is accepted, and so is the default value of a setting.

>>> import llmcalc
>>> llmcalc.memory("gpt2", recompute="full")
Traceback (most recent call last):
llmcalc.core.errors.InputError: recompute: has no effect in serving
  add mode="training"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from ..calc.kv_cache import CACHED, SOURCE_AXIS
from ..calc.memory.recomputation import OPERATIONS, equation_words, recomputation
from ..calc.sharding import MESH, Mesh
from ..calc.touched_experts import expert_layers
from ..core.architecture import Architecture, declare
from ..core.declaration import Declaration, State
from ..core.equation import read
from ..core.errors import InputError
from ..core.functions import RECURRENCES, is_activation
from ..core.ledger import declarations
from ..core.record import NamedTuple, changed
from ..core.setting import Setting
from ..core.type_names import Any
from .gpus import ALL_GPUS, gpu_list, read_gpus
from .settings import mesh_settings

OF_STEP = ("training", "serving")  # conditions of the fields of a mesh that is used for several models
HALF_PRECISION = ("bf16", "fp16")
ONE_KIND = "name one kind such as {gpu=h100:4}"


class Case:
    """Settings that are evaluated together, and the model to which they apply."""

    def __init__(self, settings: Iterable[Setting], values: Mapping[str, Any], model: Architecture | None) -> None:
        self.settings = {setting.name: setting for setting in settings}
        self.values = {name: value for name, value in values.items() if name in self.settings and value is not None}
        self.model: Any = model  # None only for a plan without a model, whose settings need no model

    def get(self, name: str) -> Any:
        """Return the value of a setting, or the value with the same effect as None."""
        setting = self.settings.get(name)
        usual = None if setting is None else setting.usual if setting.default is None else setting.default
        return self.values.get(name, usual)

    @property
    def is_training(self) -> bool:
        """Whether the step is a training step."""
        return bool(self.get("training")) or self.get("mode") in ("train", "training")

    @property
    def step(self) -> str:
        """Description of a step that is not a training step."""
        return {"forward": "a forward pass", "decode": "a decode step"}.get(self.get("mode"), "serving")

    @property
    def training(self) -> str:
        """Suggestion of a training step."""
        if "training" in self.settings:
            return "add {training=True}"
        is_flops = "train" in self.settings["mode"].choices if "mode" in self.settings else False
        return f"add {{mode={'train' if is_flops else 'training'}}}"

    @cached_property
    def mesh(self) -> Mesh:
        """Mesh of the step."""
        return mesh_settings(self.values)

    def declarations(self) -> Iterator[Declaration]:
        """Yield the declarations of all layers that are executed."""
        stacks = (stack for stack in self.model.stacks if not stack.unused)
        return (declaration for _, _, declaration in declarations(*stacks))

    def states(self) -> Iterator[State]:
        """Yield the states of all layers that are executed."""
        return (state for declaration in self.declarations() for state in declaration.states)

    @property
    def has_experts(self) -> bool:
        """Whether the model has routed experts."""
        return bool(expert_layers(self.model))

    @property
    def has_recurrence(self) -> bool:
        """Whether a layer has a recurrence, which a fused kernel can compute from its inputs."""
        equations = (read(line) for each in self.declarations() for line in each.lines)
        return any("scan" in equation.tags or equation.function in RECURRENCES for equation in equations)

    @property
    def has_gate(self) -> bool:
        """Whether the result of an activation function multiplies another tensor."""
        for each in self.declarations():
            equations = [read(line) for line in each.lines]
            activated = {equation.out.name for equation in equations if is_activation(equation.function)}
            gates = (equation for equation in equations if equation.function == "mul")
            if any(not activated.isdisjoint({operand.name for operand in gate.operands}) for gate in gates):
                return True
        return False

    @property
    def has_recomputed_parts(self) -> bool:
        """Whether a layer has equations that the recomputation names, unless it is about whole layers."""
        own = recomputation(self.get("recompute"))
        if not own.is_partial or OPERATIONS in own.words:
            return True
        layers = (declare(each) for stack in self.model.stacks for run in stack.runs for _, each in run.block.layers())
        words = (equation_words(each, layer) for layer in layers for _, each in layer.walk())
        return any(not own.words.isdisjoint(named) for found in words for named in found.values())

    @property
    def asks_for_times(self) -> bool:
        """Whether a setting asks for the time of requests."""
        return any(setting.part == "requests" for setting, _ in self.given())

    def given(self) -> Iterator[tuple[Setting, Any]]:
        """Yield the settings with values other than the default.

        The fields of a ``Mesh`` are settings of their own. A mesh may be used for several models and sizes, so its
        fields need only the kind of step.
        """
        for setting in self.settings.values():
            if setting.name not in self.values:
                continue
            value = self.values[setting.name]
            if not (setting.is_default(value) or (setting.like and value == self.get(setting.like))):
                yield setting, value
            if isinstance(value, Mesh):
                for field, own in Case(MESH, vars(value), self.model).given():
                    yield changed(field, needs=tuple(name for name in field.needs if name in OF_STEP)), own

    def unmet(self, setting: Setting) -> InputError | None:
        """Return an error that names the first condition of a setting that does not hold, or None."""
        for name in setting.needs:
            condition = CONDITIONS[name]
            if not condition.holds(self):
                model = self.model.name if self.model else "a plan"
                reason = condition.reason.format(model=model, step=self.step)
                hint = condition.fix or self.training
                return InputError(f"{condition.verdict} {reason}", parameter=setting.name, hint=hint)
        return None


class Condition(NamedTuple):
    """A condition, the reason why a setting has no effect if it does not hold, a fix (empty: train), and a verdict."""

    holds: Callable[[Case], bool]
    reason: str
    fix: str = "omit it"
    verdict: str = "has no effect"


def _is_given(name: str, reason: str, fix: str) -> Condition:
    return Condition(lambda case: case.get(name) is not None, reason, fix)


def _are_one_kind(gpu: str | int | None) -> bool:
    """Return whether all GPUs are of one kind."""
    groups = gpu_list(gpu)
    if groups == [ALL_GPUS]:
        return False
    kinds = [gpus.accelerator for gpus in map(read_gpus, groups)]
    return all(kind == kinds[0] for kind in kinds)


def _has(holds: Callable[[Case], bool], what: str) -> Condition:
    return Condition(holds, f"on {{model}}, which has no {what}")


CONDITIONS: dict[str, Condition] = {
    "training": Condition(lambda case: case.is_training, "in {step}", ""),
    "serving": Condition(lambda case: not case.is_training, "in training"),
    "decode": Condition(lambda case: case.get("mode") == "decode", "in {step}", "add {mode=decode}"),
    "prefill": Condition(lambda case: case.values.get("mode") != "decode", "in {step}"),
    "gpu": _is_given("gpu", "without a GPU", "add {gpu=h100}"),
    "gpus": _is_given("gpu", "without a GPU", "add {gpu=h100:512}"),
    "mesh": _is_given("mesh", "without a mesh", "add {dp=N} or {tp=N}"),
    "step_tokens": Condition(
        lambda case: case.get("batch_tokens") is not None or bool((case.get("mesh") or Mesh()).micro_batches),
        "without the tokens of a step", "add {batch_tokens=4M}",
    ),
    "hardware": Condition(
        lambda case: any(case.get(name) is not None for name in ("mesh", "step_time", "tokens_per_s", "hours")),
        "without a mesh", "add {dp=N} or {tp=N}",
    ),
    "pue": _is_given("pue", "without the power usage effectiveness", "add {pue=1.1}"),
    "carbon": _is_given("carbon", "without the carbon intensity", "add {carbon=0.4}"),
    "inference": _is_given("inference", "without tokens processed during serving", "add {inference=10T}"),
    "sparse": Condition(
        lambda case: case.get("n_experts") is not None or (case.model is not None and case.has_experts),
        "without routed experts", "add {n_experts=8}",
    ),
    "model": Condition(lambda case: case.model is not None, "without a model", "add a model"),
    "weights": _is_given("weights", "without a weight format", "add {weights=FORMAT}"),
    "lora_rank": _is_given("lora_rank", "without a LoRA rank", "add {lora_rank=N}"),
    "gradient_buffer": Condition(
        lambda case: bool(case.get("gradient_buffer")), "without a gradient buffer", "add {gradient_buffer=True}"
    ),
    "tp": Condition(lambda case: case.mesh.tp > 1, "without tensor parallelism", "add {tp=N}"),
    "pp": Condition(lambda case: case.mesh.pp > 1, "without pipeline parallelism", "add {pp=N}"),
    "replicas": Condition(
        lambda case: case.mesh.replicas > 1 or (case.mesh.expert_replicas > 1 and case.has_experts),
        "on a single data-parallel rank",
        "add {dp=N}",
    ),
    "zero_3": Condition(lambda case: case.mesh.zero == 3, "without ZeRO-3", "add {zero=3}"),
    "torch": _is_given("convention", "without the torch convention", "add {convention=torch}"),
    "gradient_format": Condition(
        lambda case: case.get("convention") != "torch",
        "with the torch convention, whose gradients have the format of the weights",
    ),
    "master_copy": Condition(
        lambda case: not case.get("convention") and case.get("dtype") in HALF_PRECISION,
        "because the weights have no master copy",
    ),
    "recomputed": Condition(
        lambda case: not case.model or case.has_recomputed_parts,
        "on {model}, which has no such part", "use {recompute=full}",
    ),
    "encoder_decoder": Condition(
        lambda case: case.model.is_encoder_decoder, "on {model}, which is not an encoder-decoder model"
    ),
    "experts": _has(lambda case: case.has_experts, "routed experts"),
    "gated": _has(lambda case: case.has_gate, "gated activation"),
    "scan": _has(lambda case: case.has_recurrence, "recurrence"),
    "kv_cache": _has(lambda case: any(each.role in CACHED for each in case.states()), "KV cache"),
    "state": _has(lambda case: any(case.states()), "decode step"),
    "logits": _has(lambda case: any(each.logits for each in case.declarations()), "output head"),
    "source": Condition(
        lambda case: (
            any(SOURCE_AXIS in each.axes for each in case.states())
            and (case.get("mode") == "decode" or not case.model.is_encoder_decoder)
        ),
        "on {model} in {step}",
    ),
    # of serving engines
    "requests": Condition(
        lambda case: case.asks_for_times, "without the lengths of requests", "add {isl=1000} {osl=500}"
    ),
    "no_requests": Condition(
        lambda case: not case.asks_for_times, "modelled together with the time of requests", verdict="is not"
    ),
    "command_lines": Condition(
        lambda case: (
            not case.asks_for_times
            or any(case.get(name) for name in ("sla", "pareto", "prefill_pool", "command"))
        ),
        "on the times of one layout",
    ),
    "drafts": Condition(
        lambda case: any(case.get(name) for name in ("draft", "draft_method", "speculative_config")),
        "speculative decoding", "add {draft=MODEL}, or a method such as {draft_method=mtp}", "needs",
    ),
    "one_group": Condition(
        lambda case: not gpu_list(case.get("gpu")), "one group of GPUs", f"omit it, or {ONE_KIND}", "needs"
    ),
    "one_kind": Condition(
        lambda case: _are_one_kind(case.get("gpu")), "with several kinds of GPUs", f"omit it, or {ONE_KIND}",
        "cannot be combined",
    ),
    "no_limits": Condition(
        lambda case: not case.get("sla"), "with a search for layouts", "omit it, or {sla}", "cannot be combined"
    ),
    "no_front": Condition(
        lambda case: not case.get("pareto"), "with a search for layouts",
        "the layout is chosen; omit it, or {pareto}", "cannot be combined",
    ),
    "no_pools": Condition(
        lambda case: not case.get("prefill_pool"), "on two pools, which have no pipeline stages",
        "omit it, or {prefill_pool}",
    ),
}  # fmt: skip


class EffectCheck:
    """Search for settings without an effect on any of several results, such as the points of a sweep."""

    def __init__(self) -> None:
        self.errors: dict[str, InputError] = {}
        self.effective: set[str] = set()

    def add(self, settings: Iterable[Setting], values: Mapping[str, Any], model: Architecture | None) -> None:
        """Add a result that depends on ``settings``."""
        case = Case(settings, values, model)
        for setting, _ in case.given():
            if setting.name not in self.effective:
                error = case.unmet(setting)
                if error is None:
                    self.effective.add(setting.name)
                    self.errors.pop(setting.name, None)
                else:
                    self.errors.setdefault(setting.name, error)

    def finish(self) -> None:
        """Raise an error for the first setting without an effect."""
        for error in self.errors.values():
            raise error


def check_effects(settings: Iterable[Setting], values: Mapping[str, Any], model: Architecture | None) -> None:
    """Raise an error for a given setting without an effect on a result."""
    check = EffectCheck()
    check.add(settings, values, model)
    check.finish()
