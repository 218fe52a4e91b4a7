"""VibeVoice's encoders of the wave: stages of convolutions and feed-forward layers, each at a lower rate."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ....core.architecture import Architecture, Block, Named, Stack
from ....core.errors import SizeError
from ....importers.hf.composite_models import given
from ....importers.hf.config import Config
from ....importers.hf.rules import repeat_block, rmsnorm, sublayer
from ....layers._heard import results
from ....layers.conv import Conv
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ....layers.norm import Norm
from ....layers.scale import Scale
from ..families.audio_language import OUTER, language

PARTS = ("acoustic", "semantic")  # what is heard, and what is meant
TAPS_A_STEP = 2  # taps of a convolution for each step of its stride


def vibevoice_asr(config: Config) -> Architecture:
    """VibeVoice-ASR: two encoders of one wave, each with a projector; their results are added."""
    text = language(config, "qwen2", tied=False)
    config.ignore(f"{OUTER} acoustic_tokenizer_chunk_size")
    stacks, width = list(text.stacks), text.main.d_model
    for part in PARTS:
        key = f"{part}_tokenizer_encoder_config"
        inner = config.nested(key, given(config, key), "vibevoice_acoustic_tokenizer_encoder")
        own, out = encoder(inner, f"{part}_tokenizer_encoder"), inner.size("hidden_size")
        inner.ignore("vae_std layer_scale_init_value is_encoder_decoder tie_word_embeddings")
        inner.check_all_read()
        layers = (
            Named(f"{part}_in", Linear(out, width)),
            Named(f"{part}_norm", Norm(width)),
            Named(f"{part}_out", Linear(width, width)),
        )
        stacks += [*own[:-1], replace(own[-1], outputs=layers)]
    return replace(text, stacks=tuple(stacks), layout=f"vibevoice_asr>{text.layout}")


def encoder(config: Config, name: str) -> list[Stack]:
    """A stage for each rate, and what makes latents of the last; a name is where the tensors are stored."""
    filters, taps, depths = config.size("num_filters"), config.size("kernel_size"), config.layer_indices("depths")
    steps, before = [1, *config.layer_indices("downsampling_ratios")], config.size("channels")
    if len(depths) != len(steps):
        raise SizeError(f"there are {len(depths)} depths for {len(steps)} stages", where=config.where)
    found = list[Stack]()
    for number, (step, depth) in enumerate(zip(steps, depths, strict=True)):
        span, width = (
            prod(config.integer(each, "downsampling_ratios", 1) for each in steps[: number + 1]),
            filters * 2**number,
        )
        down = Conv(before, width, TAPS_A_STEP * step if number else taps, span=span, reach=span, of_data=number == 0)
        runs = repeat_block(_block(config, width, taps), config.integer(depth, "depths", 0))
        place = f"conv_layers.{number - 1}" if number else "stem"
        found.append(
            Stack(f"{name}.{place}", width, (Named("down", down),), runs, (), "tower", results(span, reach=span))
        )
        before = width
    latent = Named("latent", Conv(before, config.size("hidden_size"), taps))
    return [*found, Stack(f"{name}.head", config.size("hidden_size"), (latent,), (), (), "tower", found[-1].tokens)]


def _block(config: Config, width: int, taps: int) -> Block:
    """A convolution over each channel and a feed-forward layer, each with a factor a channel on its result."""
    norm, factor = rmsnorm(config, width), Scale(width)
    mlp = Mlp(width, config.size("ffn_expansion") * width, config.activation(), bias=True)
    mixer = Conv(width, width, taps, groups=width)
    parts = (sublayer("mixer", mixer, pre=norm, post=factor), sublayer("mlp", mlp, pre=norm, post=factor))
    return Block("block", parts)
