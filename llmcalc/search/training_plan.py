"""Plan of a training step: the layouts that fit, the best one, those that cannot be told from it, and the front."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import exp, prod
from typing import TYPE_CHECKING, Any, ClassVar

from ..calc.memory.fit import read_size
from ..calc.sharding import MESH, Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError, UnknownNameError
from ..core.evidence import FITTED
from ..core.notebook_display import NotebookDisplay
from ..core.record import changed, record
from ..core.setting import check_values, read_texts
from ..data import table
from ..estimate.cost import AS_GIVEN, Machine, Span
from ..estimate.prices import Price, price_of
from ..fitting.layouts import divisors
from ..inputs.defaults import RESERVE, default_seq
from ..inputs.gpus import read_gpus
from ..inputs.models import read_model
from ..inputs.settings import RECOMPUTE
from ..inputs.training_settings import LAYOUT_NAMES, MICRO_BATCH, PLAN, PLAN_GPU, ZERO_GROUP
from ..kernels.interval import QUANTILE
from ..training.layouts import training_time
from ..training.machine import precision_of
from ..training.programs import program
from ..training.published_runs import published_fact, published_tokens
from ..training.run import Run, whole_number
from ..training.step import TrainingLayout
from ..training.training_time import TrainingTime

if TYPE_CHECKING:  # needs NumPy, which the evidence of a plan does not
    from .training_space import Layouts, TrainingSpace

SETTINGS = (PLAN_GPU, *PLAN)
OF_LAYOUT = {
    setting.name: changed(setting, default=None, needs=())
    for setting in (*MESH, MICRO_BATCH, RECOMPUTE, ZERO_GROUP) if setting.name in LAYOUT_NAMES
}  # fmt: skip
MOST_ALIKE, ALIKE_SHARE = 50, 0.05  # layouts that cannot be told apart at most, and their share of those that fit
ROUNDED = 0.05  # share of the tokens of a step by which they may be rounded for more data-parallel ranks
ALWAYS = ("micro_batch", "batch", "seq", "batch_tokens", "micro_tokens", "shards")  # options that are always set
STEPS = 1000  # of a run of a model whose training tokens are not published
USUAL_TOKENS = 4 * 10**6  # of a step of a model whose training tokens are not published
GIGA, HOUR = 10**9, 3600.0


@record
class PlannedLayout:
    """A layout with its step.

    Attributes:
        settings: arguments of ``step_time``.
        seconds: time of a step.
        memory_bytes: peak memory on the GPU that needs the most.
        tokens_per_second: tokens per second and GPU.
        mfu: model FLOPs utilisation.
        dollars: price of a step, or None if no price is known.
    """

    settings: Mapping[str, Any]
    seconds: float
    memory_bytes: int
    tokens_per_second: float
    mfu: float
    dollars: float | None

    @property
    def given(self) -> dict[str, Any]:
        """Settings that differ from their defaults, in the order of their names."""
        usual = {name: setting.usual for name, setting in OF_LAYOUT.items()}
        usual |= {"recompute": "none"}
        return {name: value for name, value in self.settings.items() if value not in (usual[name], None)}

    @property
    def simplicity(self) -> tuple[int, ...]:
        """Order in which simpler layouts come first: fewer kinds of parallelism, fewer other settings, fewer ranks."""
        own, given = self.settings, self.given
        kinds = [name for name in ("tp", "pp", "cp", "ep") if name in given]
        return len(kinds), len(given), prod(own[name] for name in ("tp", "pp", "cp", "ep"))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings and the figures as a plain dictionary."""
        names = ("seconds", "memory_bytes", "tokens_per_second", "mfu", "dollars")
        return {**self.settings, **{name: getattr(self, name) for name in names}}


@record
class RankedLayout:
    """Where a layout ranks.

    Attributes:
        place: 1 for the best of the layouts that fit, or None if the layout does not fit.
        of: number of layouts that fit.
        layout: the best layout with the asked settings.
        loss: time of its step relative to that of the best, less 1.
    """

    place: int | None
    of: int
    layout: PlannedLayout
    loss: float


@record
class TrainingPlan(NotebookDisplay):
    """Layouts of a training step, ranked.

    Attributes:
        space: the run, and what was tried.
        valued: number of layouts whose time and memory were computed.
        layouts: those that fit, the best first.
        others: those that do not fit, the ones that need the least first.
        wanted: tokens per step that were asked for.
        order: what they are ranked by.
        included: settings of a layout whose rank is shown.
        price: dollars per GPU-hour, or None.
        is_usual_server: whether nodes and networks are the usual ones.
    """

    space: TrainingSpace
    valued: int
    layouts: Layouts
    others: Layouts
    wanted: int
    order: str = "time"
    included: Mapping[str, Any] = {}
    price: Price | None = None
    is_usual_server: bool = True

    EVIDENCE: ClassVar[dict[str, str]] = {"seconds": FITTED, "memory_bytes": "measured"}

    @property
    def architecture(self) -> Architecture:
        """The model."""
        return self.space.run.architecture

    @property
    def machine(self) -> Machine:
        """The GPUs."""
        machine = self.space.run.machine
        assert machine is not None
        return machine

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.space.run.step_sequences * self.space.run.seq

    @property
    def room(self) -> int:
        """Bytes of a GPU for a step."""
        return room_of(self.machine)

    @property
    def fits(self) -> bool:
        """Whether any layout fits."""
        return len(self.layouts) > 0

    @property
    def summary(self) -> str:
        """One-line summary of the best layout."""
        return f"{self.architecture.name}: {self.best.seconds:.4g} s a step" if self.best else "no layout fits"

    def planned(self, layouts: Layouts, at: int) -> PlannedLayout:
        """Return one of the layouts with its figures."""
        seconds, count = float(layouts.seconds[at]), self.machine.count
        dollars = (self.price.low + self.price.high) / 2 * count * seconds / HOUR if self.price else None
        mfu = self.step.flops / count / self.step.peak / seconds
        speed = self.tokens / count / seconds
        return PlannedLayout(layouts.row(at), seconds, int(layouts.memory_bytes[at]), speed, mfu, dollars)

    @cached_property
    def best(self) -> PlannedLayout | None:
        """Best layout, or None if none fits."""
        return self.planned(self.layouts, 0) if self.fits else None

    @cached_property
    def step(self) -> TrainingTime:
        """Time of a step on the best layout, with its interval and its parts. If none fits: on the first layout."""
        found = training_time(self.space.run, self.layout_of((self.layouts if self.fits else self.others).row(0)))
        assert found is not None
        return found

    def layout_of(self, row: Mapping[str, Any]) -> TrainingLayout:
        """Return the layout of a step with some arguments of ``step_time``."""
        own = {name: value for name, value in row.items() if name not in ("micro_batch", "recompute", "zero_group")}
        batches = self.space.run.step_sequences // row["dp"] // row["micro_batch"]
        mesh = Mesh(**own, micro_batches=batches)
        return TrainingLayout(mesh, row["micro_batch"], row["recompute"], row.get("zero_group"))

    @cached_property
    def indistinguishable(self) -> list[PlannedLayout]:
        """Layouts whose times the model cannot tell from that of the best, the simplest first."""
        if not self.best:
            return []
        bound = self.best.seconds * exp(QUANTILE * table("training_plan")["ratio_error"])
        own = self.layouts.ordered("seconds")
        most = max(min(MOST_ALIKE, int(ALIKE_SHARE * len(own))), 1)
        alike = [self.planned(own, at) for at in range(most) if own.seconds[at] <= bound]
        return sorted(alike, key=lambda each: (*each.simplicity, each.seconds))

    @cached_property
    def front(self) -> list[PlannedLayout]:
        """Layouts with the shortest time at each memory, the fastest first."""
        found = self.layouts.front()
        return [self.planned(found, at) for at in range(len(found))]

    @property
    def rows(self) -> list[PlannedLayout]:
        """The best few layouts."""
        return self.first(10)

    def first(self, number: int | None = None) -> list[PlannedLayout]:
        """Return the first of the layouts that fit, or all."""
        count = len(self.layouts)
        return [self.planned(self.layouts, at) for at in range(count if number is None else min(number, count))]

    def rank(self, **settings: Any) -> RankedLayout:
        """Return where the best layout with some settings ranks.

        Raises:
            InputError: no layout of the space has these settings.
        """
        given = read_layout([f"{name}={value}" for name, value in settings.items()], "include")
        for layouts, fits in ((self.layouts, True), (self.others, False)):
            place = layouts.first_with(given)
            if place is not None:
                own = self.planned(layouts, place)
                base = self.best.seconds if self.best else own.seconds
                return RankedLayout(place + 1 if fits else None, len(self.layouts), own, own.seconds / base - 1)
        text = " ".join(f"{name}={value}" for name, value in given.items())
        raise InputError(f"no layout on {self.machine.count} GPUs has {text}", parameter="include")

    def launch(self, name: str) -> list[str]:
        """Return the options of a training program for the best layout. None if the program does not have it."""
        return launch(name, self, self.best) if self.best else []

    @property
    def command(self) -> dict[str, Any]:
        """Arguments of ``train`` that give the same step, or nothing if ``train`` has none for these GPUs."""
        if not self.best or not self.is_usual_server:
            return {}
        tokens = {} if published_fact(self.architecture, "training_tokens") else {"tokens": STEPS * self.tokens}
        sizes = {"seq": self.space.run.seq, "batch_tokens": self.tokens}
        return {**tokens, **sizes, **self.best.given, "micro_batches": self.step.step.layout.mesh.batches}

    def to_dict(self) -> dict[str, Any]:
        """Return the result as a plain dictionary."""
        ranked = self.rank(**self.included) if self.included else None
        return {
            "best": self.best and self.best.to_dict(), "tokens": self.tokens, "gpus": self.machine.count,
            "valued": self.valued, "fit": len(self.layouts), "rank": self.order,
            "rows": [each.to_dict() for each in self.rows],
            "indistinguishable": [each.to_dict() for each in self.indistinguishable],
            "front": [each.to_dict() for each in self.front],
            "included": ranked and {"place": ranked.place, "loss": ranked.loss, **ranked.layout.to_dict()},
            "launch": {name: self.launch(name) for name in table("launches")}, "evidence": self.evidence,
        }  # fmt: skip


def launch(name: str, plan: TrainingPlan, layout: PlannedLayout) -> list[str]:
    """Return the options of a training program for a layout, or nothing if it does not have such a layout."""
    entry, own, run = table("launches")[name], layout.settings, plan.space.run
    replicas, group = own["dp"] * own["cp"], own.get("zero_group")
    sizes = {
        **own, "batch": run.step_sequences, "seq": run.seq, "batch_tokens": plan.tokens,
        "micro_tokens": own["micro_batch"] * run.seq, "instances": replicas // group if group else 1,
        "shards": (group or replicas) // own["cp"], "is_plain": own["tp"] > 1 and not own["sp"],
        "pipelined": run.step_sequences // own["dp"] // own["micro_batch"] if own["pp"] > 1 else 1,
    }  # fmt: skip
    if any(sizes.get(key) in values for key, values in entry.get("refused", {}).items()):
        return []
    found = []
    for key, text in entry["options"].items():
        value = sizes.get(key)
        if isinstance(text, Mapping):
            found += [text[str(value)]] if str(value) in text else []
        elif key in ALWAYS or value is True or (value or 1) != 1:
            found.append(text.format(value=value))
    return found


def room_of(machine: Machine) -> int:
    """Return the bytes of a GPU for a step."""
    return int(machine.accelerator.usable_bytes - read_size(RESERVE, "reserve"))


def read_layout(texts: Iterable[str], parameter: str) -> dict[str, Any]:
    """Return settings of a layout from texts such as ``tp=8,pp=8``."""
    found: dict[str, Any] = {}
    for pair in (pair for text in read_texts(texts, parameter) for pair in text.split(",")):
        name, _, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if name not in OF_LAYOUT:
            raise UnknownNameError("setting of a layout", name, (*OF_LAYOUT,), parameter=parameter)
        setting, text = OF_LAYOUT[name], value.strip()
        read: Any = {"true": True, "false": False}.get(text.lower(), text) if setting.kind is bool else text
        if setting.kind is int:
            read = int(text) if text.isascii() and text.isdigit() else text
        if setting.kind is bool and text == "":
            read = True
        try:
            setting.check(read)
        except InputError as error:
            raise InputError(f"{name}: {error.message}", parameter=parameter, hint=error.hint) from None
        found[name] = read
    return found


def find_training_plan(given: Mapping[str, Any]) -> TrainingPlan:
    """Return the plan that arguments of ``plan`` describe."""
    own = {**{setting.name: setting.default for setting in SETTINGS}, **given}
    fixed = own["fix"]
    texts = [f"{name}={value}" for name, value in fixed.items()] if isinstance(fixed, Mapping) else fixed
    include = own["include"]
    included = [f"{name}={value}" for name, value in include.items()] if isinstance(include, Mapping) else include
    check_values(SETTINGS, {**own, "fix": texts, "include": included})
    architecture = read_model(own["model"])
    if not architecture.is_single_stack:
        raise InputError("the time of a step is modelled only for one stack of layers", parameter="model")
    fix, include = read_layout(texts, "fix"), read_layout(included, "include")
    machine = _machine(own)
    seq = int(default_seq(architecture) if own["seq"] is None else own["seq"])
    run = Run(
        architecture, seq, seq, machine=machine, extend=True, program=program(own["stack"]), batch_tokens=seq,
    )  # fmt: skip
    tokens = own["batch_tokens"]
    wanted = _usual_tokens(run) if tokens is None else whole_number(tokens, "batch_tokens")
    sequences = _rounded(wanted / seq, machine.count, fix)
    run = changed(run, tokens=sequences * seq, batch_tokens=sequences * seq)
    most = {"pp": own["max_pp"]} if own["max_pp"] else {}
    from .training_space import TrainingSpace  # needs NumPy

    space = TrainingSpace(run, fix, most)
    found = space.joined()
    if not len(found):
        raise _nothing_left(space)
    fits = found.memory_bytes <= room_of(machine)
    layouts, others = found.taken(fits), found.taken(~fits)
    by = ("memory_bytes", "seconds") if own["rank"] == "memory" else ("seconds", "memory_bytes")
    price, is_usual = price_of(machine.accelerator, own["price"]), not (own["node"] or own["network_gbytes_per_gpu"])
    return TrainingPlan(
        space, len(found), layouts.ordered(*by), others.ordered("memory_bytes", "seconds"),
        wanted, own["rank"], include, price, is_usual,
    )  # fmt: skip


def _machine(own: Mapping[str, Any]) -> Machine:
    gpus = read_gpus(own["gpu"])
    if gpus.accelerator is None:
        raise InputError("requires a named accelerator", parameter="gpu", hint="use a name, as in {gpu=h100:8}")
    accelerator = gpus.accelerator
    if own["node"]:
        accelerator = changed(accelerator, node=own["node"])
    if network := own["network_gbytes_per_gpu"]:
        accelerator = changed(accelerator, network=network * GIGA)
    return Machine(accelerator, gpus.count or 1, precision_of(accelerator, own["precision"]), Span(1, 1, 1), AS_GIVEN)


def _usual_tokens(run: Run) -> int:
    """Return the usual number of tokens of a step."""
    try:
        tokens = published_tokens(run.architecture)
    except InputError:
        return USUAL_TOKENS
    return changed(run, tokens=max(tokens, run.seq), batch_tokens=None).step_tokens


def _rounded(wanted: float, count: int, fix: Mapping[str, Any]) -> int:
    """Return the nearest number of sequences that layouts divide: as many data-parallel ranks as possible, if that
    changes the number by a small share.
    """
    least = int(fix.get("dp", 1) * fix.get("micro_batch", 1))
    if wanted < least * (1 - ROUNDED) or wanted < 0.5:
        text = f"{wanted:,.4g} sequences of a step are fewer than the {least:,} that dp and micro_batch need"
        raise InputError(text, parameter="batch_tokens", hint="increase it, or reduce the sequence length")
    for ranks in (size * least for size in reversed(divisors(max(count // fix.get("dp", 1), 1)))):
        found = max(round(wanted / ranks), 1) * ranks
        if abs(found / wanted - 1) <= ROUNDED:
            return found
    return max(round(wanted / least), 1) * least


def _nothing_left(space: TrainingSpace) -> InputError:
    """Return the error of constraints that leave no layout, which names one of them if it alone leaves none."""
    count = space.run.machine.count if space.run.machine else 1
    for name, value in space.fixed.items():
        if not any(True for _ in changed(space, fixed={name: value}, most={}).layouts()):
            return InputError(
                f"no layout on {count:,} GPUs has {name}={value}", parameter="fix", hint=_hint(name, count)
            )
    if space.fixed:
        text = ", ".join(f"{name}={value}" for name, value in space.fixed.items())
        return InputError(f"no layout on {count:,} GPUs has {text} together", parameter="fix", hint="omit one of them")
    sequences = space.run.step_sequences
    text = f"no layout divides {count:,} GPUs and {sequences:,} sequences of a step"
    return InputError(text, parameter="gpu", hint="use another number of GPUs, or {batch_tokens}")


def _hint(name: str, count: int) -> str:
    ranks = ("tp", "pp", "dp", "cp")
    return f"use a divisor of {count:,} that divides the model" if name in ranks else "use another value, or omit it"
