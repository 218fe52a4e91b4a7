"""Image encoders of multimodal models in serving engines: their weights, and a profile run with the largest images."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.architecture import Architecture
from ...core.errors import InputError
from ...core.record import changed
from ...core.type_names import TYPE_CHECKING, Any
from ...engines.profile import GIB
from ...inputs.image_encoders import Encoder, EncoderMemory, image_encoder
from .memory import ModelBytes, share_with_encoder

if TYPE_CHECKING:
    from ...calc.images.rule import ImageRule, ImageSize
    from .start import Start

PROFILED = "profiled"


def served_encoder(architecture: Architecture, settings: Mapping[str, Any]) -> Encoder | None:
    """Return the image encoder that an engine loads, or None."""
    if not settings.get("encoder") or settings.get("language_model_only") or settings.get("images_per_prompt") == 0:
        return None
    encoder = image_encoder(architecture)
    is_text_only = encoder and encoder.config.get("model_type") in settings.get("text_only", ())
    return None if is_text_only and not settings.get("multimodal") else encoder


def served_stacks(architecture: Architecture, settings: Mapping[str, Any]) -> Architecture:
    """Return the architecture without image encoders that the engine does not load."""
    encoder = image_encoder(architecture) if settings.get("encoder") else None
    if encoder is None or not encoder.is_counted or served_encoder(architecture, settings):
        return architecture
    return changed(architecture, stacks=tuple(stack for stack in architecture.stacks if stack.role != "tower"))


def encoder_memory(encoder: Encoder | None, settings: Mapping[str, Any]) -> EncoderMemory:
    """Return the memory of an encoder on one rank, with the images of the profile run if the engine has one."""
    if encoder is None:
        return EncoderMemory()
    dtype, tp = settings.get("dtype", "bf16"), settings.get("tp", 1)
    if encoder.rule is None or settings["encoder"] != PROFILED:
        return encoder.memory((), dtype, tp)
    largest, count = profiled_images(encoder.rule, settings)
    return encoder.memory([largest] * count, dtype, tp)


def encoder_factor(encoder: Encoder | None, settings: Mapping[str, Any], is_given: bool) -> float:
    """Return the factor by which the encoder reduces the share of the memory that the engine uses."""
    rule = settings.get("encoder_share")
    if encoder is None or not rule or (is_given and not rule.get("always")):
        return 1.0
    vision = encoder.config.get("vision_config") or {}
    return share_with_encoder(rule, vision.get("num_hidden_layers"), vision.get("hidden_size"))


def encoder_notes(encoder: Encoder | None, model: ModelBytes, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a note about the share of the encoder and of the images of the profile run."""
    if encoder is None:
        return ()
    found = [f"weights include {model.encoder / GIB:.2f} GiB of the image encoder"] if model.encoder else []
    if settings["encoder"] == PROFILED and encoder.rule:
        largest, count = profiled_images(encoder.rule, settings)
        images = f"{f'{count} images' if count > 1 else 'an image'} of {largest.tokens:,} tokens"
        found.append(f"activation includes {model.images / GIB:.2f} GiB of {images} in the profile run")
    elif settings["encoder"] == PROFILED:
        found.append("the image processor is not known, so the images of the profile run are not counted")
    return tuple(found)


def profiled_images(rule: ImageRule, settings: Mapping[str, Any]) -> tuple[ImageSize, int]:
    """Return the largest image and the number of these images that a profile run reads."""
    largest = rule.largest()
    count = max(settings["max_num_batched_tokens"] // largest.embeddings, 1)
    limit = settings.get("images_per_prompt")
    return largest, count if limit is None else min(count, settings["max_num_seqs"] * limit)


def served_images(
    architecture: Architecture, settings: Mapping[str, Any], images: tuple[str, ...]
) -> tuple[ImageSize, ...]:
    """Return the sizes of images that a request contains."""
    encoder = served_encoder(architecture, settings) if images else None
    if images and encoder is None:
        message = "has no effect, because the engine loads no image encoder whose sizes are known"
        raise InputError(message, parameter="image", hint="omit it")
    return encoder.measure(images) if encoder else ()


def image_notes(result: Start) -> tuple[str, ...]:
    """Return a note about the tokens of images, and the tokens that are left for the text of a request."""
    if not result.images:
        return ()
    each = ", ".join(f"{size.width}x{size.height}: {size.tokens:,} tokens" for size in result.images)
    left = result.max_model_len - sum(size.tokens for size in result.images)
    request = f"a request of {result.max_model_len:,} tokens"
    rest = f"{request} leaves {left:,} for text" if left > 0 else f"{request} cannot contain them"
    return (f"images: {each}; {rest}",)
