"""What runs where: a model on GPUs in a serving engine, with the settings of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..core.architecture import Architecture
from ..core.record import NOTHING, changed, record
from ..core.type_names import TYPE_CHECKING, Any
from ..data import tables
from ..engines.lengths import LengthLimit, changed_config, length_limit
from ..engines.profile import EngineProfile, read_profile
from ..engines.settings import LENGTH, read_engine_settings
from ..estimate.hardware import Accelerator
from ..importers.modelfile import MODELFILE, RUN
from ..inputs.gguf_names import dynamic_notes, file_format
from ..inputs.gpus import Gpus
from ..inputs.settings import whole_layout
from .start.models import model_kinds, stored_format
from .start.predict import start
from .start.start import LAYOUT
from .start.usual_layout import start_on_usual_layout

if TYPE_CHECKING:
    from ..importers.engine_commands import EngineCommand
    from .start.start import Start

GPUS = "gpus"  # in a change: number of GPUs


@record
class Deployment:
    """A model on GPUs in a serving engine: all that does not change while it serves.

    ``reading.py`` makes it of arguments, of the command line of an engine or of a Modelfile, and ``deployment`` of what
    was read. It gives its ``Start``, and other deployments with changed settings or on other GPUs.

    Attributes:
        architecture: the model.
        title: name of the model as it was given.
        gpus: accelerator or memory of a GPU, and the number of GPUs if it is given.
        profile: engine, its version, its constants and defaults.
        given: settings of the engine that were given, by the names of ``engines/settings.py``, checked.
        limit: how long requests may be.
        file_format: number format of the weights that the name of a file or repository states, or None.
        asked_cache: number format of the cache as it was given, or None.
        command: command line that was given, or None.
        images: sizes of images whose tokens are stated.
        notes: what was assumed while the settings were read.
        change: changed settings, and the number of GPUs.
        reader: reads a command line of an engine in place of this deployment, on other GPUs.
    """

    architecture: Architecture
    title: str
    gpus: Gpus
    profile: EngineProfile
    given: Mapping[str, Any]
    limit: LengthLimit
    file_format: str | None = None
    asked_cache: str | None = None
    command: EngineCommand | None = None
    images: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    change: Mapping[str, Any] = NOTHING
    reader: Callable[[str, Gpus], Deployment] | None = None

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return self.profile.name

    @property
    def accelerator(self) -> Accelerator | None:
        """The GPU, or None if only its memory was given."""
        return self.gpus.accelerator

    @property
    def memory_bytes(self) -> int:
        """Memory of one GPU in bytes."""
        return self.gpus.usable_bytes

    @property
    def settings(self) -> dict[str, Any]:
        """Given and changed settings of the engine."""
        return {**self.given, **self.change}

    @property
    def is_ollama(self) -> bool:
        """Whether Ollama starts the engine."""
        return self.command is not None and self.command.program in (RUN, MODELFILE)

    @property
    def config(self) -> Mapping[str, Any]:
        """Keys of the model's config that flags of the command line change."""
        return changed_config(self.engine, self.command)

    def with_change(self, change: Mapping[str, Any]) -> Deployment:
        """Return the deployment with these changed settings in place of former ones, and on other GPUs if given."""
        own = {name: value for name, value in change.items() if name != GPUS}
        return changed(self, change=own, gpus=changed(self.gpus, count=change.get(GPUS, self.gpus.count)))

    def on(self, gpus: Gpus, settings: Mapping[str, Any]) -> Deployment:
        """Return the same model and engine on other GPUs with other settings."""
        read = read_engine_settings(settings, tables("engines")[self.engine])
        return changed(self, gpus=gpus, given=stored_format(self.file_format, read), asked_cache=settings.get("cache"))

    def on_layout(self, sizes: Mapping[str, Any]) -> Deployment:
        """Return the deployment with these sizes of the layout, as if they were given."""
        return changed(self, given={**self.given, **sizes})

    def on_whole_layout(self) -> Deployment:
        """Return the deployment with the sizes of the layout that are not given, unless they are those of a command."""
        own, count = self.settings, self.gpus.count
        sizes = {name: own[name] for name in LAYOUT if name in own}
        if not sizes or count is None or self.command is not None or self.profile.rule == "sum":
            return self
        shared = {"dp": 1} if own.get("attention_dp") else {}  # data-parallel ranks among the tensor-parallel ones
        return self.on_layout({"tp": whole_layout({**sizes, **shared}, count)["tp"]})

    def with_default_length(self) -> Deployment:
        """Return the deployment without a length of requests."""
        return changed(self, given={name: value for name, value in self.given.items() if name != LENGTH})

    def with_whole_model(self) -> Deployment:
        """Return the deployment of llama.cpp that stores the whole model on the GPUs, whether it fits or not."""
        return changed(self, given={**self.given, "auto_fit": False}, change=NOTHING)

    @property
    def has_free_layout(self) -> bool:
        """Whether the layout is to be assumed. An engine whose command line is given has its own default."""
        splits_layers = self.profile.rule == "sum"  # over all GPUs without a flag
        is_open = not self.settings.keys() & set(LAYOUT) and self.gpus.count is not None
        return is_open and (splits_layers or self.command is None)

    def start(self) -> Start:
        """Return whether the engine starts, the memory of each GPU and the size of the KV cache.

        If no layout is given, it is the first usual one on which the engine starts and holds its longest request.

        Raises:
            SizeError: a number of ranks that does not divide the model.
        """
        return start_on_usual_layout(self, start) if self.has_free_layout else start(self.on_whole_layout())


def deployment(
    architecture: Architecture,
    gpus: Gpus,
    engine: str,
    version: str | None = None,
    settings: Mapping[str, Any] = NOTHING,
    *,
    title: str = "",
    weights: str | None = None,
    command: EngineCommand | None = None,
    limit: LengthLimit | None = None,
    images: tuple[str, ...] = (),
    remarks: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Deployment:
    """Return a model on GPUs in an engine.

    Args:
        architecture: the model.
        gpus: the GPUs.
        engine: name of the engine.
        version: its version (default: the newest one that is described).
        settings: settings of the engine, as text if a command line states them.
        title: name of the model as it was given (default: that of the architecture).
        weights: number format of the weights that the name of a repository states.
        command: command line, or None.
        limit: how long requests may be (default: by the rule of the engine and the command line).
        images: sizes of images.
        remarks: what was assumed about the engine and its settings.
        notes: what was assumed about the model.

    Raises:
        InputError: a setting that the engine does not have, or an invalid value.
    """
    entry, card = tables("engines")[engine], gpus.accelerator
    own_format = weights or file_format(architecture, engine)
    read = read_engine_settings(settings, entry, is_text=command is not None)
    profile = read_profile(engine, entry, version, card.name if card else "", gpus.usable_bytes)
    profile = profile.for_model(model_kinds(architecture)) if profile.runners else profile
    named = dynamic_notes(read["weights"]) if "weights" in read else ()
    return Deployment(
        architecture, title or architecture.name, gpus, profile, stored_format(own_format, read),
        limit or length_limit(architecture, engine, command), own_format, settings.get("cache"), command, images,
        (*remarks, *named, *notes),
    )  # fmt: skip
