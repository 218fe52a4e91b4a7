"""Images of requests: the tokens that they add to a prompt, and the time in which an encoder reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ..calc.sharding import Mesh
from ..core.architecture import Architecture
from ..core.errors import InputError
from ..core.record import NamedTuple, changed
from ..core.setting import read_texts
from ..core.type_names import TYPE_CHECKING, Any
from ..data import tables
from ..engines.profile import read_profile
from ..estimate.hardware import Accelerator
from ..inputs.image_encoders import Encoder
from .requests import Requests
from .start.encoders import served_encoder, served_images
from .step.step import StepModel, step_values
from .step.step_models import step_model

if TYPE_CHECKING:
    from ..calc.images.rule import ImageSize


class RequestImages(NamedTuple):
    """Images that each request contains.

    Attributes:
        sizes: sizes of the images.
        encoder: encoder that reads them.
    """

    sizes: tuple[ImageSize, ...]
    encoder: Encoder

    @property
    def tokens(self) -> int:
        """Tokens of the prompt."""
        return sum(size.tokens for size in self.sizes)

    def added_to(self, requests: Requests) -> Requests:
        """Return requests with these images, which are all of one class."""
        (only,) = requests.classes
        given = {**requests.given, "image": ",".join(f"{size.width}x{size.height}" for size in self.sizes)}
        return changed(
            requests, classes=(only._replace(isl=only.isl + self.tokens),), given=given,
            longest=requests.longest + self.tokens,
        )  # fmt: skip

    def seconds(self, steps: StepModel) -> float:
        """Return the time in which the encoder reads the images of a request, on the ranks of a step.

        Engines run encoders outside CUDA graphs. Ranks that cannot divide the heads compute all of them.
        """
        grids = Counter(rows * columns for size in self.sizes for rows, columns in size.grids)
        try:
            own = _encoder_steps(self.encoder, steps, steps.mesh.tp)
        except InputError:
            own = _encoder_steps(self.encoder, steps, 1)
        found = (
            own.step(None, {**step_values(float(count), 1.0, 1.0), "p": float(patches)})
            for patches, count in grids.items()
        )
        return float(sum(step.seconds - step.engine for step in found))

    def note(self, seconds: float) -> str:
        """Return a note about the tokens and the time."""
        each = ", ".join(f"{size.width}x{size.height}: {size.tokens:,} tokens" for size in self.sizes)
        return f"images: {each}, which join the prompt; the encoder reads those of a request in {seconds * 1e3:.3g} ms"


def read_request_images(
    architecture: Architecture, engine: str, card: Accelerator, given: Mapping[str, Any], images: Iterable[str]
) -> RequestImages | None:
    """Return the images of a request, or None without any.

    Args:
        architecture: the model.
        engine: serving engine.
        card: the GPU.
        given: settings of the engine.
        images: sizes in pixels, such as ``["1024x768"]``.

    Raises:
        InputError: an invalid size, or an engine that loads no encoder whose sizes are known.
    """
    texts = tuple(read_texts(images, "image"))
    if not texts:
        return None
    entry, settings = tables("engines").get(engine), dict(given)
    if entry:
        version = given.get("engine_version")
        settings = {**read_profile(engine, entry, version, card.name, card.usable_bytes).settings, **given}
    sizes = served_images(architecture, settings, texts)
    encoder = served_encoder(architecture, settings)
    assert encoder is not None  # or the images have no effect
    return RequestImages(sizes, encoder)


def _encoder_steps(encoder: Encoder, steps: StepModel, tp: int) -> StepModel:
    return step_model(encoder.architecture, steps.accelerator, Mesh(tp=tp), steps.engine.name, enforce_eager=True)
