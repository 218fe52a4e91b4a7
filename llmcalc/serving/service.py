"""A deployment and what is asked of it: a model in an engine on GPUs, its requests, prices and measured factors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import NOTHING, record
from ..core.setting import check_values, read_length
from ..core.type_names import TYPE_CHECKING, Any
from ..data import tables
from ..engines.hardware import AssumedEngine, check_engine, check_weights, default_engine
from ..engines.lengths import LengthLimit, length_limit, refusal_text
from ..engines.served_models import check_model
from ..engines.settings import LENGTH, read_engine_settings, setting_flags
from ..estimate.hardware import Accelerator
from ..importers.engine_commands import EngineCommand
from ..inputs.effects import check_effects
from ..inputs.gguf_names import file_format
from ..inputs.gpus import Gpus, named_gpus
from ..inputs.models import Source, read_model
from ..inputs.serving_settings import SERVE
from ..inputs.settings import whole_layout
from .calibration import MeasuredDeployment, read_calibration
from .deployment import Deployment, deployment
from .factors import Factors
from .images import RequestImages, read_request_images
from .limits import read_limits
from .money import Terms
from .replicas import SIZES, Formats
from .request_times import Load
from .requests import Requests, read_requests
from .step.step_models import engine_step
from .terms import read_terms

if TYPE_CHECKING:
    from ..importers.engine_commands import EngineCommand

NO_TERMS = Terms(None, None, None, None, {})  # no prices and no power
CACHING, CACHE = "prefix_caching", "cache"
WEIGHTS = ("weights", "experts", "attention_weights")
FORMATS = (*WEIGHTS, CACHE)
OF_REQUESTS = {setting.name: setting for setting in SERVE if setting.part not in ("", "added")}  # not of the engine
UNLIKE_IMAGES = ("mix", "trace", "turns", "prefix_share", "sla", "pareto", "prefill_pool")


@record
class Service:
    """A model in a serving engine on GPUs, with the requests that are asked of it: all but the layout.

    ``read_service`` makes it of the arguments of ``serve``. On a layout, ``under_load.py`` gives the ``Point`` of a
    number of requests. On all layouts, it is a ``Space``, which is searched.

    Attributes:
        architecture: the model.
        card: the GPU.
        count: number of GPUs.
        requests: lengths of the requests.
        engine: serving engine, which may be an unknown one.
        formats: number formats of weights, experts, attention and cache, by the name of their setting.
        given: further settings of the engine.
        acceptance: accepted tokens per step of speculative decoding, or their share of the drafted ones, if given.
        chunk: largest number of tokens of prefill in a step (default: the usual one of the engine).
        measured: measured deployment, whose factors calibrate the times, or None.
        terms: prices and power that the cost and the energy of tokens follow from.
        images: images that each request contains, or None.
        assumed: notes on the engine, if it was chosen.
        command: command line or Modelfile that states the settings, so that their defaults limit the running requests.
        limits: longest times of requests in seconds by name, or None without limits.
        asked: the arguments from which all this was read.
    """

    architecture: Architecture
    card: Accelerator
    count: int
    requests: Requests
    engine: str
    formats: Formats = dict.fromkeys(FORMATS)
    given: Mapping[str, Any] = NOTHING
    acceptance: tuple[float | None, float | None] = (None, None)
    chunk: int | None = None
    measured: MeasuredDeployment | None = None
    terms: Terms = NO_TERMS
    images: RequestImages | None = None
    assumed: tuple[str, ...] = ()
    command: EngineCommand | None = None
    limits: Mapping[str, float] | None = None
    asked: Mapping[str, Any] = NOTHING

    @property
    def factors(self) -> Factors | None:
        """Factors of the measured times, or None."""
        return self.measured.factors if self.measured else None

    @cached_property
    def deployment(self) -> Deployment | None:
        """The model and the engine on these GPUs, or None if the memory of the engine is not described."""
        if self.engine not in tables("engines"):
            return None
        gpus, version = Gpus(self.card, None, self.count), self.given.get("engine_version")
        return deployment(self.architecture, gpus, self.engine, version, limit=self.limit)

    @cached_property
    def load(self) -> Load:
        """Requests without their number."""
        return self.requests.load(chunk=self.chunk)

    @cached_property
    def limit(self) -> LengthLimit:
        """How long requests may be, by the rule of the engine."""
        return length_limit(self.architecture, self.engine, self.command)

    @cached_property
    def too_long(self) -> str:
        """Why the engine or its settings refuse the longest request, or empty. A command line has the usual length."""
        length, allowed, own = self.requests.longest, self.limit.allowed, self.given.get(LENGTH)
        usual = self.limit.tokens if self.command and own is None else None
        stated = own if isinstance(own, int) else usual
        if stated and allowed and stated > allowed:  # the engine does not start
            return self.limit.refusal(stated)
        most = min((size for size in (stated, allowed) if size is not None), default=length)
        if length <= most:
            return ""
        flags = setting_flags(tables("engines").get(self.engine, {}).get("flags", {}))
        flag = flags.get(LENGTH, LENGTH) if self.command else f"{{{LENGTH}}}"
        text = f"requests of {length:,.10g} tokens exceed the {most:,} of {flag}"
        refusal = self.limit.refusal(length) if most == allowed else f"{text}{', its default' * bool(usual)}"
        given = self.requests.given
        return refusal_text(refusal, (length - most) / given.get("turns", 1), given)

    @property
    def excess(self) -> str:
        """That the longest request has more tokens than the model accepts, if the engine accepts it, or empty."""
        return "" if self.too_long else self.limit.excess(self.requests.longest)

    @property
    def has_layout(self) -> bool:
        """Whether the layout is given, as that of a command line always is."""
        return self.command is not None or any(self.asked.get(name) is not None for name in SIZES)

    @property
    def given_mesh(self) -> Mesh:
        """Layout of given sizes. Other GPUs are tensor-parallel ranks, or stages of llama.cpp."""
        return self.mesh_of(self.asked)

    def mesh_of(self, sizes: Mapping[str, Any]) -> Mesh:
        """Return the layout with the given sizes. A missing size, or None, has its default."""
        own = {name: size for name in SIZES if (size := sizes.get(name)) is not None}
        if not own.keys() & {"tp", "pp"} and engine_step(self.engine).divides_layers:
            own["pp"] = max(self.count // own.get("dp", 1), 1)
        ranks, (pp, dp, ep) = whole_layout(own, self.count)["tp"], (own.get(name, 1) for name in SIZES[1:])
        if ranks * dp % ep:
            raise InputError(f"must divide the {ranks * dp} GPUs, not {ep}", parameter="ep")
        return Mesh(dp=dp, tp=ranks, pp=pp, ep=ep, etp=ranks * dp // ep)


def read_service(model: Source, gpu: str, asked: Mapping[str, Any], *, command: EngineCommand | None = None) -> Service:
    """Return a model on GPUs with requests.

    Args:
        model: an architecture, or anything ``load`` reads.
        gpu: accelerator with an optional count, such as ``"h100:4"``.
        asked: arguments of ``serve``.
        command: command line that states the settings, and therefore a layout.

    Raises:
        InputError: an unknown setting, an invalid value, or settings that cannot be combined.
    """
    asked = {name: value for name, value in asked.items() if value is not None}
    chunk = read_length(asked.get("max_num_batched_tokens"), "max_num_batched_tokens")
    check_values(OF_REQUESTS.values(), {**asked, "gpu": gpu})
    check_effects(SERVE, {**asked, "gpu": gpu, "command": command is not None}, None)
    architecture, (card, count) = read_model(model), named_gpus(gpu, "needs the name of a GPU", "h100:4")
    formats = {name: asked.get(name) for name in FORMATS}
    weights, given_engine, calibration = formats["weights"], asked.get("engine"), asked.get("calibration")
    engine, measured, assumed = chosen_engine(architecture, card, weights, given_engine, calibration)
    terms = read_terms(card, asked.get("price"), asked.get("watts"), asked.get("api_price"))
    check_model(engine, architecture)
    if not any(formats[name] for name in WEIGHTS):
        formats["weights"] = file_format(architecture, engine)
    check_weights(engine, card, [formats[name] or formats["weights"] for name in WEIGHTS], architecture)
    settings = {name: value for name, value in asked.items() if name not in OF_REQUESTS}
    given = _engine_settings(engine, asked.get("engine_version"), {**settings, "max_num_batched_tokens": chunk})
    is_cached = settings.get(CACHING) is not False and not given.get("disable_radix_cache")
    lengths = (asked.get(name) for name in ("isl", "osl", "mix", "trace", "turns", "prefix_share"))
    requests = read_requests(*lengths, is_cached=is_cached)
    images = read_request_images(architecture, engine, card, given, asked.get("image", ()))
    if images:
        if combined := next((name for name in UNLIKE_IMAGES if asked.get(name)), ""):
            raise InputError("cannot be combined with images", parameter=combined, hint="omit it, or {image}")
        requests = images.added_to(requests)
    acceptance = asked.get("acceptance_length"), asked.get("acceptance_rate")
    limits = read_limits(asked["sla"]) if "sla" in asked else None
    return Service(
        architecture, card, count or 1, requests, engine, formats, given, acceptance, chunk, measured, terms, images,
        assumed, command, limits, asked,
    )  # fmt: skip


def chosen_engine(
    architecture: Architecture, card: Accelerator, weights: str | None, engine: str | None, calibration: Any
) -> tuple[str, MeasuredDeployment | None, tuple[str, ...]]:
    """Return the name of the given, the measured or the default engine, what was measured, and what is assumed."""
    measured = None
    if calibration is not None:
        own = engine_step(engine).name if engine else None
        measured = read_calibration(calibration).find(architecture, card.name, own, weights)
        engine = measured.engine
    assumed = AssumedEngine(engine, "") if engine else default_engine(architecture, card, weights)
    name = engine_step(assumed.name).name
    check_engine(name, card)
    return name, measured, tuple(assumed.notes)


def _engine_settings(engine: str, version: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked settings of an engine. Those of an unknown engine are those of vLLM."""
    entries = tables("engines")
    entry = entries.get(engine) or next(iter(entries.values()))
    own, read = {name: value for name, value in settings.items() if value is not None}, entry["flags"]["read"].values()
    if CACHING in own and CACHING not in read:
        is_on = own.pop(CACHING)
        own |= {"disable_radix_cache": not is_on} if "disable_radix_cache" in read else {}
    found = read_engine_settings(own, entry)
    if found.get("chunked_prefill") is False:
        raise InputError("chunked prefill cannot be off for times", parameter="command", hint="omit it")
    return {**found, **({"engine_version": version} if version else {})}
