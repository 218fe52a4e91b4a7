"""The model, the GPUs and the results of a state of the page, which all panels share."""

from __future__ import annotations

import os
import re
from functools import cached_property, lru_cache
from typing import Any

from ...api.fit import fit
from ...api.flops import flops
from ...api.latency import latency
from ...api.load import load
from ...api.serve import serve
from ...calc.flops import Flops
from ...calc.params import Params, params
from ...calc.sharding import Mesh
from ...core.architecture import Architecture
from ...core.errors import InputError, LlmcalcError, SizeError, spelled
from ...core.interval import Interval
from ...core.record import changed
from ...engines.hardware import default_engine
from ...engines.lengths import known_length
from ...estimate.hardware import Accelerator
from ...fitting.fit import FitResult
from ...inputs.gpus import read_gpus
from ...report.points import RANKS, sizes_of
from ...serving.encoders import EncoderServing
from ...serving.latency_times import PREFILL, Latency
from ...serving.result import ServingResult
from ...serving.step.step_models import engine_step
from .state import State

_SIZE = re.compile(r"(?<![a-z\d.])[ae]?\d+(\.\d+)?[bmt]\b")
USUAL_CONTEXT, USUAL_ANSWER, USUAL_ENGINE = 8192, 512, "vllm"
OPENED = "/files"  # folder of the files that are opened in the page
MOST_KEPT = 64  # states and models whose results are kept


class Case:
    """A model in a state, with its results. Results that the model does not allow raise an error."""

    def __init__(self, state: State) -> None:
        self.model = loaded(state.model)
        gpus = read_gpus(state.gpu)
        if gpus.accelerator is None:
            raise InputError("is not the name of a GPU", parameter="gpu", hint="choose a GPU such as h100")
        self.gpu: Accelerator = gpus.accelerator
        self.longest = known_length(self.model)
        wanted = state.context or USUAL_CONTEXT
        context = min(wanted, self.longest or wanted)
        self.is_cut = bool(state.context) and context < wanted
        self.is_answer_cut = not self.only_reads and (state.osl or 0) >= context
        answer = min(state.osl or min(USUAL_ANSWER, context // 2), context - 1) or 1
        self.state = changed(state, gpu=self.gpu.name, n=state.n * (gpus.count or 1), context=context, osl=answer)
        self.context, self.answer, self.prompt = context, answer, max(context - answer, 1)
        self._served: dict[tuple[int, int, int, Mesh], ServingResult] = {}

    @property
    def title(self) -> str:
        """Title of the model with its size, such as ``Llama 3.1 8B``, and with the name of an opened file."""
        title, opened = titled(self.model), self.model_name != self.state.model
        return f"{title} ({self.model_name})" if opened and self.model_name != "." else title

    @property
    def subject(self) -> str:
        """Subject of the sentence of the verdict."""
        return self.title

    @property
    def model_name(self) -> str:
        """Name of the model as the user types it: of an opened file without the folder of the page."""
        folder, name = os.path.split(self.state.model)
        return self.state.model if not folder.startswith(OPENED) else "." if folder == OPENED else name

    @property
    def gpus_text(self) -> str:
        """Number and title of the GPUs."""
        return f"one {self.gpu.title}" if self.state.n == 1 else f"{self.state.n} × {self.gpu.title}"

    @property
    def place(self) -> str:
        """The GPUs on which ``fit`` has the model."""
        return f"each of {self.gpus_text}" if self.fit.count < self.state.n else self.gpus_text

    @property
    def memory_settings(self) -> dict[str, Any]:
        """Settings of ``memory`` for a GPU."""
        return {"batch": self.fitted_users, **self.formats, **sizes_of(self.fit.result.mesh)}

    @property
    def fitted_users(self) -> int:
        """Requests of one replica whose memory ``fit`` counts."""
        result = self.fit.result
        return int(-(-result.workload.batch // (self.fit.count // result.mesh.ranks)))

    @cached_property
    def params(self) -> Params:
        """Parameters of the model."""
        return params(self.model)

    @cached_property
    def step_flops(self) -> Flops:
        """FLOPs of the last token of a request, or of a text if the model generates no tokens."""
        sizes: dict[str, Any] = {"seq": self.context}
        return flops(self.model, **(sizes if self.only_reads else {"mode": "decode", "context": self.cached}))

    @property
    def cached(self) -> int:
        """Tokens of a request before its last token."""
        return max(self.context - 1, 1)

    @property
    def formats(self) -> dict[str, str]:
        """Number formats that were chosen."""
        chosen = {"weights": self.state.weights, "cache": self.state.kv}
        return {name: value for name, value in chosen.items() if value}

    @cached_property
    def fit(self) -> FitResult:
        """Fit check of the workload on all GPUs, or on each one if copies of a model that only reads fit."""
        if self.only_reads and self.state.n > 1:
            alone = self._fit(seq=self.context, count=1, batch=-(-self.state.users // self.state.n))
            if alone.fits:
                return alone
        return self._fit(seq=self.context)

    def fit_of(self, context: int) -> FitResult:
        """Return the fit check of another context, with the same layout."""
        batch = self.fit.result.workload.batch
        return self._fit(seq=context, count=self.fit.count, batch=batch, **sizes_of(self.fit.result.mesh))

    def _fit(self, **sizes: int) -> FitResult:
        own: dict[str, Any] = {"count": self.state.n, "batch": self.state.users, **self.formats, **sizes}
        return fit(self.model, self.gpu.name, **own)

    @property
    def layout(self) -> Mesh:
        """Layout of one replica."""
        found: Mesh = self.fit.result.mesh
        return found

    @property
    def layout_text(self) -> str:
        """Layout of one replica in words."""
        return ", ".join(f"{name} {size}" for name, size in sizes_of(self.layout).items())

    @property
    def replicas(self) -> int:
        """Number of replicas of the model."""
        start = self.fit.start
        used = start.ranks * self.fit.replicas if start else self.state.n
        return int(used // self.layout.ranks)

    @property
    def users(self) -> int:
        """Requests of one replica that run at once."""
        return -(-max(self.running, 1) // self.replicas)

    @property
    def capacity(self) -> int:
        """Requests that the engine holds at once on all replicas, however many users there are."""
        start = self.fit.start
        return int(self.fit.requests or 0) if start and start.starts and not start.automatic else 0

    @property
    def running(self) -> int:
        """Users whose requests run at once."""
        return min(self.capacity, self.state.users) if self.fit.start else self.state.users

    @property
    def waiting(self) -> int:
        """Users whose requests wait while others run."""
        return self.state.users - self.running if self.running else 0

    @property
    def runs(self) -> bool:
        """Whether the model fits, or the engine runs some of the requests."""
        return self.fit.fits or (self.fit.start is not None and self.running > 0)

    @property
    def step_settings(self) -> dict[str, Any]:
        """GPUs and layout of one replica, as arguments of ``serve`` and ``latency``."""
        return self.settings_of(self.layout)

    def settings_of(self, mesh: Mesh) -> dict[str, Any]:
        """Return the GPUs and ranks of a replica with another layout."""
        own = Mesh(pp=mesh.ranks) if engine_step(self.engine_name).divides_layers else mesh
        return {"gpu": f"{self.gpu.name}:{mesh.ranks}", **{name: getattr(own, name) for name in RANKS}, **self.formats}

    @cached_property
    def engine_name(self) -> str:
        """The engine that usually serves the model on the GPU."""
        return default_engine(self.model, self.gpu, self.state.weights or None).name

    @property
    def engine(self) -> dict[str, str]:
        """The engine as an argument, unless it is the default of ``serve``."""
        return {} if self.engine_name == USUAL_ENGINE else {"engine": self.engine_name}

    @property
    def load(self) -> dict[str, Any]:
        """Engine and lengths of the requests, as arguments of ``serve``."""
        return {**self.engine, "isl": self.prompt, "osl": self.answer}

    @property
    def sequences(self) -> dict[str, int]:
        """Most sequences at once, as an argument of ``serve``, where the engine's own default does not do."""
        start, name = self.fit.start, "max_num_seqs"
        is_set = start is not None and not start.placed  # llama.cpp is started for the requests that are asked for
        return {name: self.fit.change[name]} if is_set and name in self.fit.change else {}

    @property
    def tokens_per_s(self) -> float:
        """Output tokens per second of all replicas."""
        return self.serving.tokens_per_s_gpu * self.layout.ranks * self.replicas

    @cached_property
    def serving(self) -> ServingResult:
        """Time of the requests of one replica."""
        return self.serving_of(self.prompt, self.answer)

    def serving_of(self, prompt: int, answer: int, users: int = 0, mesh: Mesh | None = None) -> ServingResult:
        """Return the time of requests with other lengths, another number or another layout. Each is computed once."""
        key = prompt, answer, users or self.users, mesh or self.layout
        if key not in self._served:
            own: dict[str, Any] = {**self.settings_of(key[3]), **self.load, "isl": prompt, "osl": answer}
            own |= self.sequences if key[3] == self.layout else {}
            self._served[key] = serve(self.model, **own, concurrency=key[2])
        return self._served[key]

    @cached_property
    def latency(self) -> Latency:
        """Time of a decode step in the middle of the answers, or of a batch of texts if the model only reads."""
        if self.only_reads:
            return self.reading.step
        middle = self.prompt + self.answer // 2
        return latency(self.model, context=middle, batch=self.users, **_divided(self.step_settings))

    @cached_property
    def reading(self) -> EncoderServing:
        """Throughput of a model that only reads."""
        return self.reading_of(self.context, self.state.users)

    def reading_of(self, context: int, users: int) -> EncoderServing:
        """Return the throughput of texts of another length, or of another number of texts."""
        gpu, weights = f"{self.gpu.name}:{self.state.n}", self.state.weights or None
        own: dict[str, Any] = {"gpu": gpu, "weights": weights, **self.reading_layout}
        found: EncoderServing = serve(self.model, **own, isl=context, concurrency=users)
        return found

    @property
    def reading_layout(self) -> dict[str, int]:
        """Ranks of a model that only reads, as arguments of ``serve``. By default, each GPU has a copy."""
        return {"tp": self.layout.tp, "dp": self.replicas} if self.layout.tp > 1 else {}

    @property
    def reading_span(self) -> tuple[float, float, float]:
        """Time in which all texts are read, with its interval."""
        seconds, width = self.reading.latency_s, self.reading.width
        return seconds, seconds / width, seconds * width

    def prefill_of(self, prompt: int, users: int = 1) -> Latency:
        """Return the time of a prefill."""
        return latency(self.model, mode=PREFILL, seq=prompt, batch=users, **_divided(self.step_settings))

    @property
    def only_reads(self) -> bool:
        """Whether the model generates no tokens."""
        return self.model.main.role == "encoder"

    @property
    def times(self) -> Any:
        """Result that has the times of the state."""
        return self.latency if self.only_reads else self.serving

    @cached_property
    def time_error(self) -> LlmcalcError | None:
        """Why no times can be estimated, or None."""
        try:
            self.times  # noqa: B018
        except LlmcalcError as error:
            return error
        return None


CASES: dict[str, type[Case]] = {"": Case}  # by task


def titled(model: Architecture) -> str:
    """Return a title with the size of the model.

    >>> titled(load("llama3.1-8b")), titled(load("gpt2"))
    ('Llama 3.1 8B', 'GPT-2 small')
    """
    if not model.title:
        return model.name
    family, _ = os.path.splitext(os.path.basename(model.inputs.get("file", "")))
    size = model.name.removeprefix(f"{family}-") if family and model.name.startswith(f"{family}-") else ""
    size = _SIZE.sub(lambda match: match[0].upper(), size)
    return model.title if not size or size.lower() in model.title.lower() else f"{model.title} {size}"


def needed_span(found: FitResult) -> Interval:
    """Return the bytes that a GPU needs, with the interval of the engine's own memory, or with what is kept free for
    the runtime.
    """
    if not found.start:
        return Interval.exact(float(found.needed + found.reserve))
    free = found.start.memory.available
    return Interval(found.needed - free.high + free.best, float(found.needed), found.needed - free.low + free.best)


def speeds_of(result: ServingResult) -> tuple[float, float, float] | None:
    """Return the lowest, the estimated and the highest tokens per second of a user, or None for a single token."""
    if not (result.tpot_s and result.tpot_low_s and result.tpot_high_s):
        return None
    return 1 / result.tpot_high_s, 1 / result.tpot_s, 1 / result.tpot_low_s


def _divided(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings without the number of ranks that divide experts, if they are not divided."""
    return {**settings, "ep": settings["ep"] if settings["ep"] > 1 else None}


def said(error: LlmcalcError) -> str:
    """Return what an error says, without the name of a parameter, which the page does not show."""
    return spelled(error.message) if isinstance(error, InputError) else str(error)


@lru_cache(maxsize=MOST_KEPT)
def case_of(state: State) -> Case:
    """Return the results for a state. They are computed when a panel reads them."""
    return CASES[state.task](state)


def loaded(model: str) -> Architecture:
    """Load a model, which is kept until its file changes."""
    try:
        stamp = os.stat(model).st_mtime_ns
    except (OSError, ValueError):
        stamp = 0
    return _loaded(model, stamp)


@lru_cache(maxsize=MOST_KEPT)
def _loaded(model: str, stamp: int) -> Architecture:
    if model == "-":
        raise SizeError("is not a model", parameter="model", hint="choose a model")
    return load(model)
