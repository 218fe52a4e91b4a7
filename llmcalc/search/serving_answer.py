"""The answer to a question about requests: times on a layout, layouts within limits, a front, two pools, or GPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import changed
from ..core.type_names import TYPE_CHECKING, Any
from ..data import tables
from ..engines.settings import SHARES, setting_flags
from ..importers.engine_commands import EngineCommand
from ..importers.modelfile import is_modelfile
from ..inputs.effects import check_effects
from ..inputs.gpus import Gpus, gpu_list
from ..inputs.models import Source, read_model
from ..inputs.serving_settings import SERVE
from ..serving.deployment import Deployment
from ..serving.memory import engine_title
from ..serving.reading import REQUESTS, Command, deployment_on, gpus_of, read_words, version_of
from ..serving.result import ServingResult
from ..serving.service import Service, read_service
from ..serving.start.llama_cpp_fit import PLACED
from ..serving.stated import BESIDE_COMMAND, stated
from ..serving.step.step_models import check_layout
from ..serving.under_load import ONE_REQUEST, ServingLayout, under_load
from .default_layout import default_layout
from .space import Space

if TYPE_CHECKING:
    from ..serving.encoders import EncoderServing
    from .front import ServingFront
    from .pools import ServingPools
    from .serving_gpus import ServingGpus
    from .serving_search import ServingSearch

    Timed = ServingResult | ServingSearch | ServingFront | ServingPools | EncoderServing

SETTINGS = (*SHARES, *(setting.name for setting in SERVE if "no_requests" not in setting.needs))


def answer(
    model: Source | None,
    gpu: str | int | None,
    given: Mapping[str, Any],
    command: Command | None = None,
    gpu_memory: str | int | None = None,
) -> Timed | ServingGpus:
    """Return the answer to a question about requests, on GPUs of one kind or several.

    Args:
        model: the model, unless a command line names it.
        gpu: names and numbers of the GPUs.
        given: settings of ``serve``.
        command: command line of an engine, or None.
        gpu_memory: memory of a GPU, which has no effect on times.

    Raises:
        InputError: a setting that is invalid or has no effect on times.
    """
    several = gpu_list(gpu)
    if not several:
        return _on_gpus(model, gpu, given, command, gpu_memory)
    from .serving_gpus import search_gpus  # the searches are not needed for the times on one layout

    check_effects(SERVE, {**given, "gpu": gpu}, None)
    if model is not None and not is_modelfile(model):
        model = read_model(model)  # once for all GPUs, which share what is known of it
    return search_gpus(
        model, several, given, lambda each: _on_gpus(model, each, given, command, gpu_memory),
        is_fixed=command is not None,
    )  # fmt: skip


def _on_gpus(
    model: Source | None,
    gpu: str | int | None,
    given: Mapping[str, Any],
    command: Command | None,
    gpu_memory: str | int | None,
) -> Timed:
    """Return the answer on GPUs of one kind, if all settings have an effect on it."""
    values = {name: value for name, value in given.items() if value is not None}
    pasted, source, values, notes = _asked(model, gpu, values, command)
    _check_known(values, gpu_memory, pasted)
    if source is not None and isinstance(gpu, str) and "isl" in values:
        source = architecture = read_model(source)
        if architecture.main.role == "encoder":
            return _encoder(architecture, gpu, values)
    missing = [name for name in ("isl", "osl") if name not in values and not {"mix", "trace"} & {*values}]
    if missing:
        both = " ".join(f"{{{name}={size}}}" for name, size in (("isl", 1000), ("osl", 500)) if name in missing)
        hint = f"add {both}, or omit {_asking(values)} for the memory alone"
        raise InputError("missing number of tokens", parameter=missing[0], hint=hint)
    if source is None or gpu is None:
        name = "model" if source is None else "gpu"
        raise InputError(f"missing {name}", parameter=name, hint="add a model and a GPU such as {gpu=h100:4}")
    if not isinstance(gpu, str):
        raise InputError("needs the name of a GPU", parameter="gpu", hint="use a name such as {gpu=h100:4}")
    service = read_service(source, gpu, values, command=pasted)

    def retry(change: Mapping[str, Any]) -> Any:
        own = stated(service, change)
        line = own.pop("command", command)
        return _on_gpus(model, own.pop("gpu", gpu), {**given, **own}, line, gpu_memory)

    found = timed(service, retry if pasted else None)
    return changed(found, notes=(*notes, *found.notes)) if notes else found


def _asked(
    model: Source | None, gpu: str | int | None, values: dict[str, Any], command: Command | None
) -> tuple[EngineCommand | None, Source | None, dict[str, Any], tuple[str, ...]]:
    """Return a command line or that of a Modelfile, the model, all settings, and notes."""
    pasted = read_words(command)
    if pasted is None and not is_modelfile(model):
        return None, model, values, ()
    beside = {name: value for name, value in values.items() if name in BESIDE_COMMAND}
    inside = {name: value for name, value in values.items() if name not in BESIDE_COMMAND}
    gpus, version = Gpus(None, None, None) if gpu is None else gpus_of(gpu), values.get("engine_version")
    deployed = deployment_on(gpus, model, command, inside.pop("engine", None), version, (), inside)
    pasted = pasted or deployed.command
    assert pasted is not None
    notes = [note for note in deployed.notes if note not in deployed.architecture.notes]
    if pasted.unmodelled:
        notes.append(f"not modelled: {', '.join(pasted.unmodelled)}")
    read = _settings_of_times(deployed)
    if version := version_of(pasted, version):
        read["engine_version"] = version
    if deployed.profile.rule == "sum" and isinstance(gpu, str):  # it may move a part of the model to host memory
        started = deployed.start()
        placed = {name: size for name, size in started.automatic.items() if name in PLACED}
        read |= placed
        if placed:
            notes.append(f"{started.engine_title} starts{started.placement}, which it chooses by itself")
    return pasted, deployed.architecture, {**beside, **read}, tuple(notes)


def _settings_of_times(deployed: Deployment) -> dict[str, Any]:
    """Return the settings of a deployment as those of times, which have ranks of experts in place of a switch."""
    settings, splits_layers = dict(deployed.given), deployed.profile.rule == "sum"
    if splits_layers and settings.pop("pp", 1) > 1:
        hint = "use tensor-parallel ranks"
        raise InputError("pipeline stages are not modelled for times", parameter="pp", hint=hint)
    tp, dp = (settings.pop(name, None if splits_layers else 1) for name in ("tp", "dp"))
    if settings.pop("attention_dp", False):  # these ranks are a part of the tensor-parallel ranks
        tp = max(tp // dp, 1)
    if settings.pop("expert_parallel", False):
        settings["ep"] = tp * dp
    layout = {name: size for name, size in (("tp", tp), ("dp", dp)) if size}
    return {"engine": deployed.engine, **settings, **layout}


def _check_known(values: Mapping[str, Any], gpu_memory: str | int | None, pasted: EngineCommand | None) -> None:
    """Check that all settings have an effect on times."""
    unused = ["gpu_memory"] * (gpu_memory is not None) + [name for name in values if name not in SETTINGS]
    if not unused:
        return
    if pasted is not None and unused[0] != "gpu_memory":
        flag = setting_flags(tables("engines")[str(values["engine"])]["flags"]).get(unused[0], unused[0])
        hint = f"omit {flag}, or omit the lengths of requests for the memory alone"
        raise InputError(f"{flag} is not modelled together with the time of requests", parameter="command", hint=hint)
    hint = f"omit it, or {_asking(values)}, for the memory alone"
    raise InputError("is not modelled together with the time of requests", parameter=unused[0], hint=hint)


def _asking(values: Mapping[str, Any]) -> str:
    """Return the settings that ask for times."""
    return ", ".join(f"{{{name}}}" for name in REQUESTS if values.get(name) not in (None, False))


Retry = Callable[[Mapping[str, Any]], Any]


def timed(service: Service, retry: Retry | None = None) -> ServingResult | ServingSearch | ServingFront | ServingPools:
    """Return the times of a service on one layout, or what a search over its layouts finds.

    ``retry`` asks the same with other settings, which are those of ``serve`` by default.
    """
    retry = retry or _asked_again(service)
    if service.limits is not None or service.asked.get("pareto"):
        return _searched(service, retry)
    if "prefill_pool" not in service.asked:
        return point_of(service, retry)
    from .pools import serving_pools

    tp, (dp, ep) = service.asked.get("tp"), (service.asked.get(name) or 1 for name in ("dp", "ep"))
    if (tp or dp) * dp % ep:
        raise InputError(f"must divide the {(tp or 1) * dp} GPUs of a replica, not {ep}", parameter="ep")
    decode = Mesh(dp=dp, tp=tp or 1, ep=ep, etp=(tp or 1) * dp // ep) if tp or dp > 1 else None
    given = service.asked.get("concurrency")
    pools = serving_pools(Space(service, only=given or 1), service.asked["prefill_pool"], decode)
    return pools if given else changed(pools, notes=(ONE_REQUEST, *pools.notes))


def _asked_again(service: Service) -> Retry:
    """Return the function that reads the arguments of a service again, with changed ones."""
    gpus = f"{service.card.name}:{service.count}"

    def ask(change: Mapping[str, Any]) -> Any:
        own = {**service.asked, **change}
        return timed(read_service(service.architecture, own.pop("gpu", gpus), own))

    return ask


def _searched(service: Service, retry: Retry) -> ServingSearch | ServingFront:
    """Return what a search over layouts, or over numbers of requests on a given layout, finds."""
    from ..serving.formats import check_formats, format_choices
    from .front import find_front
    from .serving_requests import search_requests
    from .serving_search import search_layouts

    asked = service.asked
    if service.requests.is_single_token:
        raise InputError("needs at least 2 output tokens", parameter="osl", hint="use {osl=2}")
    architecture, card, formats = service.architecture, service.card, service.formats
    check_formats(architecture, formats)
    space = Space(service, only=asked.get("concurrency"))
    if asked.get("pareto"):
        tried = (formats,) if service.measured else format_choices(architecture, card, formats, service.engine)
        return find_front(changed(space, formats=tried))
    if not service.has_layout:
        return search_layouts(space, retry)
    mesh, count = service.given_mesh, service.count
    check_layout(architecture, card, mesh, count)
    found = search_requests(changed(space, service=changed(service, count=mesh.ranks)), mesh, retry)
    rest = count - mesh.ranks
    unused = (f"the layout leaves {rest} of {count} GPUs unused",) if rest else ()
    return changed(found, notes=(*unused, *found.notes))


def point_of(service: Service, retry: Retry | None = None) -> ServingResult:
    """Return the times of requests on the given layout, or on the default one.

    If the GPUs alone do not store the model, it is the layout with which llama.cpp starts by itself.
    """
    concurrency, retry = service.asked.get("concurrency") or 1, retry or _asked_again(service)
    layout = ServingLayout(service.given_mesh)
    if not service.has_layout and layout.mesh.tp == service.count > 1:
        layout = default_layout(Space(service), concurrency)
    found = under_load(service, layout, retry)
    automatic = found.placed.automatic if found.placed else {}
    if placed := {name: each for name, each in automatic.items() if name in PLACED}:
        whole: ServingResult = retry(placed)
        if whole.time.fits and found.placed:
            note = f"{engine_title(service.engine)} starts{found.placed.placement}, which it chooses by itself"
            found = changed(whole, retry=retry, notes=(note, *whole.notes))  # further changes are those of the question
    return found


def _encoder(architecture: Architecture, gpu: str, values: Mapping[str, Any]) -> EncoderServing:
    """Return the throughput of an encoder, if all settings have an effect on it."""
    from ..serving.encoders import PARAMETERS, encoder_serving

    for name in values:
        if name not in PARAMETERS:
            text = f"has no effect on {architecture.name}, an encoder, which generates no tokens"
            raise InputError(text, parameter=name, hint="omit it")
    return encoder_serving(architecture, gpu, **values)
