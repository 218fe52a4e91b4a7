"""VibeVoice-ASR, a language model with two waveform encoders built from stages of strided convolutions."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ....core.architecture import Architecture, Block, Named, Stack
from ....importers.hf.composite_models import IGNORED, nested_config, text_model
from ....importers.hf.config import Config
from ....importers.hf.encoders import check_encoder
from ....importers.hf.rules import repeat_block, sublayer
from ....importers.hf.vision_encoders.parts import named
from ....layers import Conv, Frames, Linear, Mlp, Norm, Scale

ENCODERS = ("acoustic", "semantic")
TAPS_PER_STRIDE = 2


def vibevoice_asr(config: Config) -> Architecture:
    """Build VibeVoice-ASR from a language model and two encoders whose projected outputs are added."""
    text = text_model(config, "qwen2", "never")
    config.ignore(f"{IGNORED} acoustic_tokenizer_chunk_size")
    stacks, width = list(text.stacks), text.main.d_model
    for part in ENCODERS:
        inner = nested_config(config, f"{part}_tokenizer_encoder_config", "vibevoice_acoustic_tokenizer_encoder")
        *stages, last = _encoder(inner, f"{part}_tokenizer_encoder")
        inner.ignore("vae_std layer_scale_init_value")
        check_encoder(inner)
        layers = {"in": Linear(last.d_model, width), "norm": Norm(width), "out": Linear(width, width)}
        outputs = named(**{f"{part}_{name}": layer for name, layer in layers.items()})
        stacks += [*stages, replace(last, outputs=tuple(outputs))]
    return replace(text, stacks=tuple(stacks), layout=f"vibevoice_asr>{text.layout}")


def _encoder(config: Config, name: str) -> list[Stack]:
    """Return one stack per encoder stage, and a convolution that produces the latents. ``name`` is the tensor
    prefix.
    """
    filters, taps, depths = config.size("num_filters"), config.size("kernel_size"), config.layer_indices("depths")
    steps, before = [1, *config.layer_indices("downsampling_ratios")], config.size("channels")
    if len(depths) != len(steps):
        raise config.size_error(f"depths has {len(depths)} entries for {len(steps)} stages")
    found = list[Stack]()
    for number, (step, depth) in enumerate(zip(steps, depths, strict=True)):
        span, width = (
            prod(config.integer(each, "downsampling_ratios", 1) for each in steps[: number + 1]),
            filters * 2**number,
        )
        frames = Frames(span, reach=span)
        down = Conv(before, width, TAPS_PER_STRIDE * step if number else taps, frames=frames, of_data=number == 0)
        norm, factor = config.rmsnorm(width=width), Scale(width)
        mlp = Mlp(width, config.size("ffn_expansion") * width, config.activation(), bias=True)
        mixer = Conv(width, width, taps, groups=width)
        parts = (sublayer("mixer", mixer, pre=norm, post=factor), sublayer("mlp", mlp, pre=norm, post=factor))
        runs = repeat_block(Block("block", parts), config.integer(depth, "depths", 0))
        place = f"conv_layers.{number - 1}" if number else "stem"
        found.append(Stack(f"{name}.{place}", width, (Named("down", down),), runs, (), "tower", frames.positions()))
        before = width
    latent = Named("latent", Conv(before, config.d_model, taps))
    return [*found, Stack(f"{name}.head", config.d_model, (latent,), (), (), "tower", found[-1].tokens)]
