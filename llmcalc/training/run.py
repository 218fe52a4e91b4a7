"""A training run: what is trained on which GPUs, read once, with its memory, time and cost."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial

from ..calc.flops import Flops, flops
from ..calc.memory.fit import Fit, read_size
from ..calc.memory.optimizer import Adapters
from ..calc.memory.pipeline import ParallelMemory
from ..calc.memory.recomputation import NONE
from ..calc.sharding import Mesh
from ..core.architecture import Architecture, declare
from ..core.errors import InputError, SizeError, short_repr
from ..core.record import changed, record, remembered
from ..core.setting import COUNT, SIZES, Setting, check_values, read_lengths, read_texts
from ..core.type_names import Any
from ..data import table
from ..estimate.amounts import amount
from ..estimate.cost import AS_GIVEN, FROM_OPERATIONS, UNKNOWN, Emission, Machine, Span, emission
from ..estimate.hardware import Accelerator
from ..estimate.prices import price_of
from ..fitting.memory import adapters_of, memory_of
from ..inputs.defaults import RESERVE, default_seq
from ..inputs.effects import check_effects
from ..inputs.models import read_model
from ..inputs.settings import ADAPTERS, DTYPE, IS_TRAINING, OPTIMIZER, RECOMPUTE, TOKENS, WHOLE_MESH
from ..inputs.training_settings import (
    BATCH_TOKENS,
    CALIBRATION,
    ENERGY,
    MEASURED_TIME,
    MICRO_BATCH,
    OF_GPU,
    PRICE,
    STACK,
    ZERO_GROUP,
)
from ..serving.calibration import CalibratedSteps, read_calibration
from .kernels import FLASH
from .layouts import layout_on, training_time, usual_step_tokens
from .machine import MACHINE, read_machine
from .measured import measured_run, read_measured
from .programs import Program, program
from .published_runs import published_tokens
from .result import Training
from .training_time import TrainingTime

LARGEST_WHOLE = 10**30
SETTINGS = (
    changed(TOKENS, least=None), *SIZES[1:], COUNT, BATCH_TOKENS, MACHINE, *MEASURED_TIME, CALIBRATION, STACK,
    changed(WHOLE_MESH, needs=OF_GPU), ZERO_GROUP, MICRO_BATCH,
    changed(RECOMPUTE, default=NONE, needs=(*OF_GPU, "hardware", "recomputed")), PRICE, *ENERGY, DTYPE,
    changed(OPTIMIZER, default="adamw", needs=()), Setting("fit", Fit), *ADAPTERS,
)  # fmt: skip


@record
class Run:
    """A training run.

    Attributes:
        architecture: the model.
        tokens: training tokens, before rounding up to full sequences.
        seq: tokens per sequence.
        target_seq: decoder tokens of an encoder-decoder model, or None for ``seq``.
        extend: whether sequences may be longer than the learned positions.
        count: query-key pairs that the model FLOPs count.
        batch_tokens: tokens per optimizer step, or None for the usual number.
        machine: GPUs with their utilisation, or None.
        mesh: number of ranks of each kind of parallelism, or None to choose a layout.
        micro_batch: sequences per micro-batch on each rank of the mesh.
        recompute: activation recomputation on the mesh.
        formats: number format and optimizer, as arguments of ``memory``.
        adapters: rank and matrices of LoRA, as arguments of ``memory``. The rank is None if all parameters are trained.
        program: training program whose steps are timed.
        attention: ``flash``, or ``eager`` if the scores are stored.
        is_compiled: whether a compiler fuses functions.
        zero_group: data-parallel ranks that share the weights with ZeRO-3, or None for all.
        dispatcher: ``deepep`` if a token is sent to its experts once per rank and node (default: as the program).
        step_settings: all arguments of ``memory`` for a step, if a training program's file states them.
        price: US dollars per accelerator-hour, or None for quoted prices.
        energy: watts per accelerator, power usage effectiveness, and kg CO2e per kWh, each None if not given.
        given_fit: memory per GPU, if already computed.
        measured: setting with the measured time of the run, and its value, or None.
        calibrated: measured steps, whose factor calibrates the time of a step, or None.
    """

    architecture: Architecture
    tokens: int
    seq: int
    target_seq: int | None = None
    extend: bool = False
    count: str = "causal"
    batch_tokens: int | None = None
    machine: Machine | None = None
    mesh: Mesh | None = None
    micro_batch: int = 1
    recompute: str = NONE
    formats: Mapping[str, Any] = {"dtype": "bf16", "optimizer": "adamw"}
    adapters: Mapping[str, Any] = {}
    program: Program = program("")
    attention: str = FLASH
    is_compiled: bool = False
    zero_group: int | None = None
    dispatcher: str = ""
    step_settings: Mapping[str, Any] | None = None
    price: float | None = None
    energy: tuple[float | None, float | None, float | None] = (None, None, None)
    given_fit: Fit | None = None
    measured: tuple[str, float] | None = None
    calibrated: CalibratedSteps | None = None

    @cached_property
    def flops(self) -> Flops:
        """FLOPs of all sequences."""
        sizes: dict[str, Any] = {"seq": self.seq, "target_seq": self.target_seq, "extend": self.extend}
        one = flops(self.architecture, **sizes, mode="train", attention=self.count)
        for name, least in (("one sequence", one.tokens), ("one step", self.batch_tokens or 0)):
            if self.tokens < least:
                text = f"{self.tokens:,} tokens are fewer than {name} ({least:,} tokens)"
                hint = "increase the number of tokens, or reduce the sequence length or batch size"
                raise SizeError(text, parameter="tokens", hint=hint)
        batch = -(-self.tokens // one.tokens)
        return flops(self.architecture, **sizes, batch=batch, mode="train", attention=self.count)

    @cached_property
    def own_adapters(self) -> Adapters | None:
        """Low-rank adapters, if only these are trained."""
        return adapters_of(self.architecture, self.adapters.get("lora_rank"), self.adapters.get("lora_targets"))

    @property
    def calibration_key(self) -> tuple[str, str, str]:
        """GPU, number format and training program, for which a measured factor holds."""
        assert self.machine is not None
        return self.machine.accelerator.name, self.machine.number_format, self.program.name

    @property
    def step_tokens(self) -> int:
        """Tokens of a step on all GPUs, also those of a usual one."""
        assert self.machine is not None
        return self.batch_tokens or usual_step_tokens(self.machine.count, self.flops.matmul)

    @property
    def step_sequences(self) -> int:
        """Sequences of a step on all GPUs."""
        return max(self.step_tokens // self.seq, 1)

    @cached_property
    def states(self) -> ParallelMemory:
        """Weights and optimizer states of all parameters on one rank."""
        compute = partial(memory_of, self.architecture, mode="training", seq=1, **self.formats)
        found = remembered(self.architecture, "_training_states", (*self.formats.items(),), compute)
        assert isinstance(found, ParallelMemory)
        return found

    @cached_property
    def trained(self) -> ParallelMemory:
        """Memory of a short step in which what the run trains is trained, on one rank."""
        if self.own_adapters is None:
            return self.states
        found = memory_of(self.architecture, mode="training", seq=1, **self.formats, **self.adapters)
        assert isinstance(found, ParallelMemory)
        return found

    @property
    def state_bytes(self) -> float:
        """Bytes of optimizer states and master copy per parameter."""
        n_weights: int = self.states.weights // self.states.worst.recipe.weight_bytes
        return float(self.states.optimizer / max(n_weights, 1))

    @cached_property
    def memory(self) -> Fit | None:
        """Memory of a step on each GPU of the mesh, or None without GPUs or a mesh."""
        if self.given_fit or self.machine is None or self.mesh is None:
            return self.given_fit
        from ..fitting.check import check_fit  # needed only by runs on a mesh

        own: Mapping[str, Any] = self.step_settings or {
            "mode": "training", "mesh": self.mesh, "batch": self.micro_batch, "recompute": self.recompute,
            "seq": self.seq, "target_seq": self.target_seq, "extend": self.extend, **self.formats, **self.adapters,
        }  # fmt: skip
        usable, reserve = self.machine.accelerator.usable_bytes, read_size(RESERVE, "reserve")
        if not self.zero_group:
            return check_fit(self.architecture, usable, reserve, self.machine.count, **own)
        group = group_mesh(self.mesh, self.zero_group)  # which has all weights and states
        found = check_fit(self.architecture, usable, reserve, group.ranks, **{**own, "mesh": group})
        return changed(found, count=self.machine.count)

    @cached_property
    def step(self) -> TrainingTime | None:
        """Time of a step by its operations, or None without GPUs or of a model with several stacks."""
        if self.machine is None:
            return None
        if self.mesh is None:
            return training_time(self)
        sizes = self.micro_batch, self.recompute, self.step_sequences
        return training_time(self, layout_on(self.mesh, *sizes, self.zero_group))

    @property
    def working(self) -> Machine | None:
        """GPUs with the utilisation of the answer: as given, that of the step, or that of other runs."""
        machine = self.machine
        if machine is None or machine.mfu_source == AS_GIVEN or self.measured:
            return machine
        if self.step:
            return changed(machine, mfu=self.step.utilisation, mfu_source=FROM_OPERATIONS, mfu_count=None)
        if machine.mfu_source == UNKNOWN:
            text = f"no published utilisation for {machine.accelerator.title} in {machine.number_format}"
            raise InputError(text, parameter="mfu", hint="set the expected model FLOPs utilisation, such as {mfu=40%}")
        return machine

    def answer(self) -> Training:
        """Return the compute, time, cost, energy and checkpoint sizes of the run."""
        fit, step, states, working = self.memory, self.flops, self.states, self.working
        is_published = self.machine is not None and self.machine.mfu_source not in (AS_GIVEN, UNKNOWN)
        whole = Training(
            self.architecture, step, self.tokens, self.batch_tokens, working,
            price_of(working.accelerator, self.price) if working else None, (), states.weights,
            states.weights + states.optimizer, vocabulary(self.architecture), fit, step_time=self.step,
            published=self.machine if is_published else None,
        )  # fmt: skip
        found = self._with_adapters(whole) if self.adapters.get("lora_rank") else whole
        if working and self.measured:
            tokens = self.batch_tokens or (self.step.tokens if self.step else None)
            recompute = self.recompute
            if self.step and self.mesh is None and recompute == NONE:
                recompute = self.step.step.layout.recompute
            found = measured_run(found, *self.measured, tokens, recompute)
        if working is None or found.hours is None:
            return found
        return changed(found, emissions=emissions(working.accelerator, found.hours, *self.energy))

    def _with_adapters(self, whole: Training) -> Training:
        """Return the answer of a run that trains and stores only LoRA adapters."""
        own = {**(self.step_settings or {**self.formats, **self.adapters}), "mode": "training", "mesh": None}
        stored = memory_of(self.architecture, **{**own, "batch": 1, "seq": 1})
        assert isinstance(stored, ParallelMemory)
        recipe = stored.worst.recipe
        adapters = recipe.adapters
        assert adapters is not None
        weights = stored.gradients // recipe.gradient_bytes * (adapters.bytes or recipe.weight_bytes)
        return changed(
            whole, weights_bytes=weights, resume_bytes=weights + stored.optimizer, adapters=adapters,
            adapter_flops=whole.step.with_adapters(adapters.rank, adapters.targets),
        )  # fmt: skip


def group_mesh(mesh: Mesh, zero_group: int) -> Mesh:
    """Return the mesh of the ranks that share the weights with ZeRO-3."""
    dp, rest = divmod(zero_group, mesh.cp)
    if rest or mesh.dp % max(dp, 1) or dp * mesh.tp % (mesh.ep * (mesh.etp or 1)):
        text = f"groups of {zero_group} ranks do not divide dp · cp ({mesh.replicas}) in whole sequences and experts"
        raise SizeError(text, parameter="zero_group", hint="use a multiple of {cp} and {ep} that divides dp · cp")
    return changed(mesh, dp=dp)


def read_run(given: Mapping[str, Any], step_settings: Mapping[str, Any] | None = None) -> Run:
    """Return the run that arguments of ``train`` describe.

    Args:
        given: arguments of ``train``. Only ``model`` is required.
        step_settings: all arguments of ``memory`` for a step, if a training program's file states them.
    """
    own = read_lengths({**{setting.name: setting.default for setting in SETTINGS}, **given})
    check_values(SETTINGS, own)
    tokens, batch_tokens = (
        None if own[name] is None else whole_number(own[name], name) for name in ("tokens", "batch_tokens")
    )
    gpus = own["gpu"]
    machine = read_machine(gpus, needs_mfu=False) if isinstance(gpus, str) else gpus
    measured = read_measured(own, machine)
    architecture = read_model(own["model"])
    check_effects((*SETTINGS, IS_TRAINING), {**own, "training": True}, architecture)
    tokens = published_tokens(architecture) if tokens is None else tokens
    seq = int(default_seq(architecture) if own["seq"] is None else own["seq"])
    found = Run(
        architecture, tokens, seq, own["target_seq"], own["extend"], own["count"], batch_tokens, machine, own["mesh"],
        own["micro_batch"], own["recompute"], {name: own[name] for name in ("dtype", "optimizer")},
        read_adapters(own), program(own["stack"]), (step_settings or {}).get("attention") or FLASH,
        zero_group=own["zero_group"],
        step_settings=step_settings, price=own["price"], energy=(own["watts"], own["pue"], own["carbon"]),
        given_fit=own["fit"], measured=measured,
    )  # fmt: skip
    if own["calibration"] is None or machine is None:
        return found
    steps = read_calibration(own["calibration"]).find_steps(architecture, *found.calibration_key)
    return changed(found, calibrated=steps, program=program(steps.stack))


def read_adapters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rank and the matrices of LoRA, which are those of the training program if none are named."""
    named = given["lora_targets"] and read_texts(given["lora_targets"], "lora_targets")
    return {"lora_rank": given["lora_rank"], "lora_targets": named or program(given["stack"]).lora_targets or None}


def whole_number(value: float | str, parameter: str) -> int:
    """Parse a positive number of tokens."""
    found = amount(value, parameter) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 1 <= found <= LARGEST_WHOLE:
        hint = "use a positive number such as 15T"
        raise SizeError(f"invalid number of tokens {short_repr(value)}", parameter=parameter, hint=hint)
    if found != int(found) and not isinstance(value, str):
        raise SizeError(f"invalid number of tokens {short_repr(value)}", parameter=parameter, hint="use a whole number")
    return round(found)


def emissions(
    one: Accelerator, hours: Span, watts: float | None, pue: float | None, carbon: float | None
) -> tuple[Emission, ...]:
    """Estimate the energy use and CO2e emissions of the given accelerator-hours under each convention.

    ``watts`` replaces the rated power in all of them. If both ``pue`` and ``carbon`` are given, they form an additional
    convention.
    """
    power = one.power if watts is None else watts
    if power is None:
        return ()
    conventions: dict[str, Any] = dict(table("energy"))
    if pue is not None and carbon is not None:
        conventions["given"] = {"title": AS_GIVEN, "pue": pue, "kg_per_kwh": carbon, "source": AS_GIVEN}
    return tuple(emission(name, entry, hours, power) for name, entry in conventions.items())


def vocabulary(architecture: Architecture) -> int | None:
    """Return the number of token embedding rows, or None if there is no token embedding."""
    for stack in architecture.stacks:
        for _, layer in stack.inputs:
            if any(tensor.table == "token" for tensor in declare(layer).tensors):
                return next((rows for _, rows in layer.sizes("vocabulary")), None)
    return None
