"""Image encoders of multimodal models: in the architecture, in the extras of a preset, or in its published config."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress

from ..calc.kv_cache import state
from ..calc.memory.inference import InferenceMemory, Steps, inference_memory
from ..calc.memory.number_formats import BITS_A_BYTE
from ..calc.memory.weight_formats import StoredTensors
from ..calc.sharding import Mesh
from ..core.amount import Sum
from ..core.architecture import Architecture, Stack
from ..core.errors import InputError
from ..core.record import NOTHING, changed, record, remembered
from ..core.type_names import TYPE_CHECKING, Any
from ..core.workload import Workload
from .number_formats import number_format, weight_formats

if TYPE_CHECKING:
    from ..calc.images.rule import ImageRule, ImageSize

ENCODER = "image encoder"


@record
class Encoder:
    """The image encoder of a model.

    Attributes:
        architecture: its stacks, including the projector.
        is_counted: whether these stacks are a part of the architecture of the model.
        rule: rule of the image processor, or None if it is not known.
        config: published config of the model, without its language model.
        d_model: width of the language model.
    """

    architecture: Architecture
    is_counted: bool
    rule: ImageRule | None
    config: Mapping[str, Any]
    d_model: int

    def measure(self, images: Iterable[str]) -> tuple[ImageSize, ...]:
        """Return the sizes of images that are written as 1024x768."""
        if self.rule is None:
            kind = self.config.get("model_type") or self.architecture.name
            raise InputError(f"the image processor of {kind} is not known", parameter="image", hint="omit it")
        from ..calc.images.rule import read_image_size  # needed only by images of requests

        return tuple(self.rule.measure(*read_image_size(text)) for text in images)

    def memory(self, images: Iterable[ImageSize], dtype: str = "bf16", tp: int = 1) -> EncoderMemory:
        """Return what the encoder needs on one rank to read all images in one step, in bytes."""
        sizes = tuple(images)
        with suppress(InputError):  # the heads cannot be divided by the ranks
            return self._memory(sizes, dtype, Mesh(tp=tp))
        return self._memory(sizes, dtype, Mesh())

    def _memory(self, sizes: tuple[ImageSize, ...], dtype: str, mesh: Mesh) -> EncoderMemory:
        grids = Counter(grid for size in sizes for grid in size.grids)
        runs = [self._run(count, rows * columns, dtype, mesh) for (rows, columns), count in grids.items()]
        weights, width = self._run(1, 1, dtype, mesh).weights, number_format(dtype).bits // BITS_A_BYTE
        return EncoderMemory(
            0 if self.is_counted else weights, sum(run.transient for run in runs),
            sum(size.values for size in sizes) * width, sum(size.embeddings for size in sizes) * self.d_model * width,
        )  # fmt: skip

    def _run(self, n_pictures: int, patches: int, dtype: str, mesh: Mesh) -> InferenceMemory:
        """Return the memory of a run over pictures with this number of patches."""
        workload, form = Workload(batch=n_pictures, seq=1, patches=patches, logits="last"), number_format(dtype)
        formats, none = weight_formats(dtype, form), state(self.architecture, seq=1, dtype=dtype)
        return inference_memory(self.architecture, workload, formats, none, form.bits // BITS_A_BYTE, mesh, Steps())


@record
class EncoderMemory:
    """Memory of an image encoder on one rank, in bytes.

    Attributes:
        weights: weights that the model itself does not count.
        activations: live activations of a block.
        inputs: values of the pixels.
        outputs: embeddings of all images.
    """

    weights: int = 0
    activations: int = 0
    inputs: int = 0
    outputs: int = 0


def with_images(
    result: InferenceMemory, encoder: Encoder, images: tuple[ImageSize, ...], dtype: str
) -> InferenceMemory:
    """Return the serving memory of a model that also reads images. Those of a sequence are read in one step.

    The peak of live activations is that of the encoder, or that of the language model while the embeddings are live.
    """
    own, form = encoder.memory(images, dtype, result.mesh.tp), number_format(dtype)
    bits = own.weights * BITS_A_BYTE
    stored = (StoredTensors(ENCODER, form, bits // form.bits, bits),) if bits else ()
    reading = Sum((f"{ENCODER}: activations", own.activations), ("values of the pixels", own.inputs))

    def transient(seq: int) -> Sum:
        text = result.find_transient(seq)
        answering = Sum(("image embeddings", own.outputs), ("language model", text))
        return max(reading, answering)

    return changed(result, stored=(*result.stored, *stored), find_transient=transient, images=images)


def image_encoder(architecture: Architecture) -> Encoder | None:
    """Return the image encoder of a model, or None if it has none or its sizes are not known."""
    return remembered(architecture, "_image_encoder", (), lambda: _find_encoder(architecture))


def _find_encoder(architecture: Architecture) -> Encoder | None:
    config = architecture.inputs.get("encoder", NOTHING)
    is_counted, stacks = True, tuple(filter(_reads_images, architecture.stacks))
    if not stacks:
        is_counted = False
        stacks = tuple(extra.stack for extra in architecture.extras if _reads_images(extra.stack))
    if not stacks and config.get("vision_config"):
        from ..importers.hf.composite_models import read_encoders

        stacks = tuple(filter(_reads_images, read_encoders(config, architecture.main.d_model)))
    if not stacks:
        return None
    from .image_rules import find_image_rule, read_processor

    rule = find_image_rule(config, read_processor(str(architecture.inputs.get("file", ""))))
    own = Architecture(f"{architecture.name} image encoder", stacks)
    return Encoder(own, is_counted, rule, config, architecture.main.d_model)


def _reads_images(stack: Stack) -> bool:
    return stack.role == "tower" and not stack.is_audio_tower and not stack.unused
