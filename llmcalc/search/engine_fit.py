"""The question whether a serving engine holds requests on GPUs, asked of the deployment that would be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from ..calc.kv_cache import state
from ..calc.memory.fit import LARGEST, Fit, largest_fitting
from ..calc.memory.inference import InferenceMemory
from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError, spelled
from ..core.record import NOTHING, NamedTuple, changed, fields, record, remembered
from ..data import tables
from ..engines.hardware import check_engine, default_engine, is_reachable, reads
from ..engines.served_models import unserved
from ..engines.settings import divided_experts
from ..estimate.hardware import NODE
from ..fitting.advice import Change, Settings
from ..fitting.check import check_fit
from ..fitting.fit import FIT, SETTINGS, FitResult, answer
from ..fitting.layouts import Layout
from ..fitting.question import Question
from ..fitting.sizes import MOST_SERVING_GPUS
from ..fitting.solution import OFFLOADS, Candidate
from ..inputs.gpus import Gpus
from ..inputs.settings import RANKS
from ..schema.preset import ASKED
from ..serving.deployment import Deployment, deployment
from ..serving.memory import engine_title
from ..serving.start.llama_cpp_fit import keeps_margin
from ..serving.start.models import serving_mesh_of
from ..serving.start.predict import start
from ..serving.start.start import Start
from ..serving.start.usual_layout import has_room, layouts_of, start_on_usual_layout, usual_layouts, usual_sizes

NONE = "none"
# settings of ``fit`` that an engine has, by its names
TAKEN = {"dtype": "dtype", "weights": "weights", "cache": "cache", "step_tokens": "max_num_batched_tokens"}


def plain_reason(question: Question, given: Mapping[str, Any], solve: str | None, engine: str | None) -> str | None:
    """Return why plain memory answers a question in place of an engine, or None if the engine does."""
    card, architecture = question.card, question.architecture
    if engine == NONE or question.is_training or solve in OFFLOADS:
        return ""
    if card is None:
        return f"no engine is known for {question.gpu}"
    known = {"seq", "batch", *TAKEN, *RANKS, "mode", "mesh"}
    usual = {setting.name for setting in (*SETTINGS, *FIT) if setting.is_default(given.get(setting.name))}
    if other := next((name for name in given if name not in known | usual), None):
        return spelled(f"{{{other}}} is a setting of plain memory")
    if architecture.inputs.get("extras"):
        return "engines use extras only to draft tokens"
    mesh = question.arguments["mesh"] or Mesh()
    if mesh != Mesh(**{name: getattr(mesh, name) for name in RANKS}):
        return "no engine has such a mesh"
    if not reads(card, architecture, given.get("weights")):
        return f"no engine on {card.title} reads the weights"
    name = engine or default_engine(architecture, card, given.get("weights")).name
    size = next((each for each in RANKS if each in given), None)
    if size and tables("engines")[name]["rule"] == "sum":  # its layers are divided without a setting
        raise InputError(f"has no effect on {engine_title(name)}", parameter=size, hint="omit it")
    if "expert_parallel" in _layout(mesh, name) and mesh.ep != mesh.tp * mesh.dp:
        return f"{engine_title(name)} divides experts over all {mesh.tp * mesh.dp} ranks of a stage, not {mesh.ep}"
    return unserved(name, architecture) or _uncached(architecture)


def _uncached(architecture: Architecture) -> str | None:
    """Return why no engine starts with a model that generates no text, or None."""
    has_cache = state(architecture, seq=1, extend=True).bytes > 0
    return None if has_cache else f"{architecture.name} has no KV cache"


@record
class EngineQuestion(Question):
    """Whether a serving engine starts and holds ``batch`` requests of ``seq`` tokens at once.

    Attributes:
        given: settings of ``fit`` that were given.
        engine: the engine that was named, or None.
    """

    given: Mapping[str, Any] = NOTHING
    engine: str | None = None

    def ask(self, changes: Settings | None = None, *, is_trial: bool = False) -> FitResult:
        """Return the fit check with changed settings. A trial leaves out the parts of plain memory."""
        deployed, asked = self._deployed(changes or {})
        found = asked.start_on_usual_layout(deployed) if deployed.has_free_layout else asked.start(deployed)
        fewer = None if is_trial else asked.fewer(found)
        found = fewer.start(found.deployment) if fewer else found
        whole = asked.start(found.deployment.with_whole_model()) if found.automatic else found  # of llama.cpp
        memory, seq, held = whole.memory, asked.seq, asked.held(whole)
        requests = held if is_trial else fewer.batch if fewer else asked.most(found, held)
        needed = memory.budget - memory.available.best + float(whole.pool.bytes_of(seq)) * asked.of_rank(found)
        return FitResult(
            memory.total, memory.total - memory.budget, int(needed), asked.gpus,
            None if is_trial else self._plain(found, asked), self.architecture, self.card, start=found,
            requests=requests, batch=asked.batch,
        )  # fmt: skip

    def engine_of(self, weights: str | None) -> str:
        """Return the engine that was named, or the default one for weights in a format."""
        return self.engine or default_engine(self.architecture, self.card, weights).name

    def is_solved_by(self, found: Fit) -> bool:
        """Return whether a change solves the question: the requests fit, and are not longer than the model accepts."""
        own, other = self.ask(is_trial=True).start, getattr(found, "start", None)
        return found.fits and bool(own and other and (own.excess or not other.excess))

    def _deployed(self, changes: Settings) -> tuple[Deployment, Asked]:
        """Return the deployment with changed settings, without a length, and the requests that are asked for."""
        own: dict[str, Any] = {**self.given, **changes}
        engine = self.engine_of(own.get("weights"))
        settings = {theirs: own[name] for name, theirs in TAKEN.items() if own.get(name) is not None}
        mesh, count = self.arguments["mesh"], int(own.get("count") or self.budget["count"])
        layout, replicas = _layout(mesh, engine), max(count // mesh.ranks, 1) if mesh else 1
        seq, batch = (changes.get(name) or self.arguments.get(name) or 1 for name in ("seq", "batch"))

        def compute() -> Deployment:
            check_engine(engine, self.card)
            gpus = Gpus(self.card, self.budget["memory_bytes"], count // replicas)
            title = str(self.architecture.inputs.get(ASKED) or self.architecture.name)
            return deployment(self.architecture, gpus, engine, None, {**settings, **layout}, title=title)

        key = engine, count, tuple(settings.items())
        return remembered(self, "_deployments", key, compute), Asked(seq, batch, count, replicas)

    def _plain(self, found: Start, asked: Asked) -> InferenceMemory:
        """Return the plain memory of the same requests on the same layout."""
        mesh, dp = serving_mesh_of(found.architecture, found.settings), found.settings.get("dp", 1)
        own = {name: value for name, value in self.arguments.items() if name not in ("mesh", "mode")}
        own |= {"seq": asked.seq, "batch": asked.batch, "weights": found.settings.get("weights")}
        own |= {"extend": True} if found.deployment.limit.refusal(asked.seq) else {}  # which the engine says itself
        layout = Layout(asked.replicas * dp // mesh.dp, mesh)
        checked = check_fit(
            self.architecture, found.memory.total, 0, layout.replicas * mesh.ranks, layout=layout, **own
        )
        assert isinstance(checked.result, InferenceMemory)
        return checked.result

    def largest(self, name: str) -> tuple[int | None, FitResult]:
        """Return the largest ``seq`` or ``batch`` on any layout, or None, and the fit check."""
        deployed, asked = self._deployed({name: 1})
        limit = (deployed.limit.allowed if name == "seq" else None) or LARGEST
        most = 0
        for sizes in usual_layouts(deployed) if deployed.has_free_layout else [deployed.settings]:
            if has_room(deployed, sizes):
                with suppress(InputError):  # ranks that do not divide the model
                    most = asked.largest(name, deployed.on_layout(sizes), limit, most + 1) or most
        return most or None, self.ask({name: most or 1})

    def fewest(self) -> tuple[int, FitResult] | None:
        """Return the fewest GPUs on which the engine holds all requests, or None."""
        mesh, node = self.arguments["mesh"], self.card.node if self.card else NODE
        if mesh:
            counts: Iterable[int] = range(mesh.ranks, MOST_SERVING_GPUS * mesh.ranks + 1, mesh.ranks)
        else:
            most = max(MOST_SERVING_GPUS, 2 * node)
            counts = reversed(usual_sizes(self.architecture, most, node))
        for count in counts:
            if not is_reachable(self.card, count):
                return None
            if self._is_enough_on(count):
                return count, self.ask({"count": count})
            start = self.ask({"count": count}, is_trial=True).start if mesh else None
            if start and not start.starts:
                return None  # more replicas do not help
        return None

    def _is_enough_on(self, count: int) -> bool:
        """Return whether a layout that uses all of the GPUs is enough."""
        deployed, asked = self._deployed({"count": count})
        layouts = layouts_of(deployed, count) if deployed.has_free_layout else [deployed.settings]
        for sizes in layouts:
            if has_room(deployed, sizes):
                with suppress(InputError):
                    if asked.is_enough(asked.start(deployed.on_layout(sizes))):
                        return True
        return False

    def try_formats(self, formats: dict[str, float]) -> list[Candidate]:
        """Return the fit checks with the weight formats that an engine reads, given with their bits per weight."""
        found, refused = list[Candidate](), None
        for name, bits in sorted(formats.items(), key=lambda entry: -entry[1]):
            try:
                found.append(Candidate(name, self.ask({"weights": name}), bits))
            except InputError as error:  # a format that the engine does not have
                refused = refused or error
        if refused and not found:
            raise refused
        return found


class Asked(NamedTuple):
    """Requests that an engine is asked to hold: ``batch`` requests of ``seq`` tokens on all replicas of a layout."""

    seq: int
    batch: int
    gpus: int
    replicas: int

    def of_rank(self, found: Start) -> int:
        """Return the requests of a data-parallel rank."""
        return -(-self.batch // (int(found.settings.get("dp", 1)) * self.replicas))

    def held(self, found: Start) -> int:
        """Return the most requests that the KV caches of all replicas hold."""
        own = found.pool.requests(self.seq) if found.memory.available.best > 0 else 0
        return int(own) * int(found.settings.get("dp", 1)) * self.replicas

    def most(self, found: Start, held: int) -> int:
        """Return the most requests that can be asked for, of those that are held. llama.cpp has larger buffers for more
        requests, and leaves a margin free.
        """
        if found.profile.rule != "sum":
            return held
        deployed = found.deployment.with_whole_model()

        def is_too_much(less: int) -> bool:
            return not keeps_margin(self._replace(batch=held - less).start(deployed))

        less = largest_fitting(is_too_much, held - 1, 0)
        return held if less is None else held - less - 1

    def is_enough(self, found: Start) -> bool:
        """Return whether an engine starts with the whole model on its GPUs and holds the requests."""
        return found.starts and not found.automatic and self.held(found) >= self.batch

    def start_on_usual_layout(self, deployed: Deployment) -> Start:
        """Return how the engine starts on the first layout that is enough."""
        return start_on_usual_layout(deployed, self.start, self.is_enough)

    def fewer(self, found: Start) -> Asked | None:
        """Return the most requests that the engine holds on the same layout if they are fewer than these, or None.

        The states and buffers of more requests would leave less memory for them, or none.
        """
        is_smaller = not found.automatic and not self.is_enough(found)
        most = self.largest("batch", found.deployment, self.batch) if is_smaller else None
        return self._replace(batch=most) if most else None

    def largest(self, name: str, deployed: Deployment, limit: int, first: int = 1) -> int | None:
        """Return the largest ``seq`` or ``batch`` from ``first`` to ``limit`` on a layout, or None."""

        def fits(size: int) -> bool:
            question = self._replace(**{name: size})
            return question.is_enough(question.start(deployed))

        return largest_fitting(fits, limit, first)

    def start(self, deployed: Deployment) -> Start:
        """Return how the engine starts on a layout, with as many sequences at once as are asked for.

        By default, an engine allows many sequences. Recurrent models may have no memory for the states of so many.
        """
        if deployed.profile.rule == "sum":  # llama.cpp: the context is that of all requests
            return _started(deployed, {"max_model_len": self.seq * self.batch, "max_num_seqs": self.batch})
        found = _started(deployed, {"max_model_len": self.seq})
        number = max(self.of_rank(found), found.most_sequences)
        is_usual = number == found.settings["max_num_seqs"]
        return found if is_usual else _started(deployed, {"max_model_len": self.seq, "max_num_seqs": number})


def _started(deployed: Deployment, change: Settings) -> Start:
    return remembered(deployed, "_starts", tuple(change.items()), lambda: start(deployed.with_change(change)))


def _layout(mesh: Mesh | None, engine: str) -> dict[str, Any]:
    """Return a given layout by the settings of an engine, or nothing. One rank is a layout, too."""
    if mesh is None:
        return {}
    sizes: dict[str, Any] = {"tp": mesh.tp, **{name: n for name in ("dp", "pp") if (n := getattr(mesh, name)) > 1}}
    return {**sizes, **(divided_experts(tables("engines")[engine]["flags"], mesh.ep) if mesh.ep > 1 else {})}


def ask_engine(question: Question, given: Mapping[str, Any], solve: str | None, engine: str | None) -> FitResult:
    """Return the answer of an engine to a question, or that of plain memory if no engine has one.

    Raises:
        InputError: an engine is named that cannot answer.
    """
    reason = plain_reason(question, given, solve, engine)
    if reason is None:
        own = {field.name: getattr(question, field.name) for field in fields(Question)}
        return answer(EngineQuestion(**own, given=given, engine=engine), solve, _find_changes)
    if engine not in (None, NONE):
        reason = reason or f"plain memory answers {'training' if question.is_training else f'{{solve={solve}}}'}"
        raise InputError(f"cannot answer: {reason}", parameter="engine", hint="omit it, or use {engine=none}")
    return changed(answer(question, solve, _find_changes), plain=reason)


def _find_changes(question: Question) -> Iterable[Change]:
    from ..fitting.fit_changes import fit_changes  # needed only by checks that fail

    return fit_changes(question)
