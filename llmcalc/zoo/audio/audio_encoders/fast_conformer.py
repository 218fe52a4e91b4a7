"""FastConformers [rekesh2023]: convolutions over the spectrogram, then Conformer blocks with relative positions."""

from __future__ import annotations

from math import log2

from ....core.architecture import Named, Run, Stack
from ....core.errors import SizeError
from ....importers.hf.config import Config
from ....importers.hf.rules import default_layernorm, repeat_block
from ....layers._heard import results
from ....layers.conv import Conv
from ....layers.linear import Linear
from ....layers.mlp import Mlp
from ..layers.conv_module import ConvModule
from ..layers.distance_attention import DistanceAttention
from .conformers import STRIDE, block

PART = 3  # modules of a later convolution: depthwise, pointwise, activation
_IGNORED = """
    dropout dropout_positions layerdrop activation_dropout attention_dropout max_position_embeddings scale_input
    initializer_range num_key_value_heads sampling_rate is_encoder_decoder tie_word_embeddings
"""


def front(config: Config, tower: bool) -> tuple[Named, ...]:
    """Convolutions that halve time and frequency, and a matrix. ``tower``: count frames of the input, not tokens."""
    width, channels, rows = (config.size(key) for key in ("hidden_size", "subsampling_conv_channels", "num_mel_bins"))
    side, factor = config.size("subsampling_conv_kernel_size"), config.size("subsampling_factor")
    count = int(log2(factor))
    if config.size("subsampling_conv_stride") != STRIDE or not side % 2:
        said = "subsampling convolutions must have stride 2 and an odd kernel size"
        raise SizeError(said, where=config.where)
    left = rows // STRIDE**count
    found = list[Named]()
    for number in range(max(count, 1)):
        span, first, rows = STRIDE ** (number + 1), number == 0, -(-rows // STRIDE)
        rate = {"span": span} if tower else {"upsample": STRIDE ** (count - 1 - number)}
        over = Conv(1 if first else channels, channels, side, groups=1 if first else channels, rows=rows,
                    of_data=first, activation="relu" if first else "identity", **rate)  # fmt: skip
        found.append(Named(f"plane{0 if first else PART * number - 1}", over))
        if not first:
            mixed = Conv(channels, channels, 1, rows=rows, activation="relu", **rate)
            found.append(Named(f"plane{PART * number}", mixed))
    if left != rows:
        said = (
            f"{config.size('num_mel_bins')} frequencies become {rows} in the convolutions, but the class expects {left}"
        )
        config.add_unmodelled(said)
    ends = {"span": STRIDE ** max(count, 1)} if tower else {}
    return (*found, Named("plane_out", Linear(channels * left, width, **ends)))


def blocks(config: Config) -> tuple[Run, ...]:
    """Conformer blocks."""
    width, heads, bias = config.size("hidden_size"), config.size("num_attention_heads"), config.flag("attention_bias")
    act, norm, conv_bias = config.activation(), default_layernorm(width), config.flag("convolution_bias")
    attention = DistanceAttention(width, heads, config.optional_size("head_dim"), bias)
    mlp = Mlp(width, config.size("intermediate_size"), act, bias=bias)
    conv = ConvModule(width, config.size("conv_kernel_size"), norm="batchnorm", activation=act, bias=conv_bias,
                      conv_bias=conv_bias, kernels=True)  # fmt: skip
    config.ignore(_IGNORED)
    return repeat_block(block(norm, mlp, attention, conv), config.size("num_hidden_layers"))


def read(config: Config) -> Stack:
    """The encoder in front of a language model."""
    width, tokens = config.size("hidden_size"), results(config.size("subsampling_factor"))
    return Stack("audio", width, front(config, tower=True), blocks(config), (), "tower", tokens)
