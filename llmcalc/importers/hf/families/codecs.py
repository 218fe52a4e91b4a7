"""Codecs of sound: SEANet's convolutions [zeghidour2021] around tables of codes; EnCodec, WavTokenizer and Mimi."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2, prod

from ....core.architecture import Stack
from ....core.errors import SizeError, UnsupportedError, shown
from ..config import Config
from ..unexecuted_parts import Tensors, linear, lone, norm, part, under, wave_conv

STEP = 2  # taps of a convolution for each step of its stride
GATES = 4  # of an LSTM
POINTWISE = 1
HALVED = 2  # of Mimi's codes, if its file says nothing else
NOTE = "its audio codec is stored, and not counted as work"
LEFT = """
    sampling_rate dilation_growth_rate use_causal_conv pad_mode trim_right_ratio initializer_range normalize overlap
    chunk_length_s is_encoder_decoder tie_word_embeddings use_cache use_streaming sliding_window attention_dropout
    max_position_embeddings rope_parameters rope_theta layer_scale_initial_scale hidden_act norm_eps codebook_dim
    decoder_hidden_size decoder_intermediate_size decoder_num_layers adanorm_num_embeddings decoder_attention_num_groups
    frame_rate
"""


def codec(config: Config, name: str) -> list[Stack]:
    """The codec of a config, whose tensors stand under a name; in parts, where files of different age name them so."""
    kinds: dict[str, Callable[[Config], dict[str, Tensors]]] = {
        "encodec": lambda own: {"": _encodec(own)}, "mimi": _mimi,
        "wavtokenizer_encoder": lambda own: {"": _wavtokenizer(own)},
    }  # fmt: skip
    if config.model_type not in kinds:
        raise UnsupportedError(f"a codec of type {shown(config.model_type)} is not modelled", where=config.where)
    found = [part(f"{name}{place}", tensors) for place, tensors in kinds[config.model_type](config).items()]
    config.ignore(LEFT)
    config.check_all_read()
    return found


def _encodec(config: Config) -> Tensors:
    """EnCodec [defossez2022]: as many tables as its largest bandwidth has room for."""
    rows = config.size("codebook_size")
    width = config.optional_size("codebook_dim") or config.size("hidden_size")
    yield from under("encoder", _encoder(config, recurrent=True))
    yield from under("decoder", _decoder(config, recurrent=True))
    bands = config.get("target_bandwidths") or [0]
    bits = ceil(log2(rows))
    rate = ceil(config.size("sampling_rate") / prod(_ratios(config)))
    for number in range(int(1000 * config.finite_number(bands[-1], "target_bandwidths") // (rate * bits))):
        yield from under(f"quantizer.layers.{number}", _codes(rows, width))


def _wavtokenizer(config: Config) -> Tensors:
    """WavTokenizer's encoder [ji2024], and its one table."""
    yield from under("encoder", _encoder(config, recurrent=True))
    yield from under("quantizer", _codes(config.size("codebook_size"), config.size("codebook_dim")))


def _codes(rows: int, width: int) -> Tensors:
    """A table of codes, which was learned as averages, and so is no parameter."""
    yield from under(
        "codebook",
        lone("inited", 1, buffer=True), lone("cluster_size", rows, buffer=True),
        lone("embed", rows, width, buffer=True), lone("embed_avg", rows, width, buffer=True),
    )  # fmt: skip


def _mimi(config: Config) -> dict[str, Tensors]:
    """Mimi [defossez2024]: a transformer at either side of the tables, two frames at a time."""
    return {
        ".encoder_seanet": _encoder(config, recurrent=False),
        ".encoder": _beside_codes(config, "encoder"),
        ".decoder": _beside_codes(config, "decoder"),
        ".decoder_seanet": _decoder(config, recurrent=False),
        ".quantizer": _quantizer(config),
    }


def _beside_codes(config: Config, side: str) -> Tensors:
    """A side's transformer, and the convolution between it and the codes."""
    width, step = config.size("hidden_size"), _step(config)
    yield from under(f"{side}_transformer", _blocks(config, width))
    if not step:
        return
    groups = config.size("upsample_groups") if side == "decoder" else 1
    if width % groups:
        raise SizeError(f"upsample_groups ({groups}) does not divide hidden_size ({width})", where=config.where)
    taps, other = STEP * step, side == "decoder"
    yield from wave_conv(
        f"{'up' if other else 'down'}sample.conv", width, width // groups, taps, bias=False, transposed=other
    )


def _quantizer(config: Config) -> Tensors:
    width, rows, inner = (config.size(key) for key in ("hidden_size", "codebook_size", "codebook_dim"))
    narrow, meant = config.size("vector_quantization_hidden_dimension"), config.size("num_semantic_quantizers")
    for name, count in (("semantic", meant), ("acoustic", config.size("num_quantizers") - meant)):
        place = f"{name}_residual_vector_quantizer"
        for number in range(count):
            yield from under(
                f"{place}.layers.{number}.codebook",
                lone("initialized", 1, buffer=True), lone("cluster_usage", rows, buffer=True),
                lone("embed_sum", rows, inner, buffer=True),
            )  # fmt: skip
        if narrow != width:
            yield from wave_conv(f"{place}.input_proj", width, narrow, POINTWISE, bias=False)
            yield from wave_conv(f"{place}.output_proj", narrow, width, POINTWISE, bias=False)


def _step(config: Config) -> int:
    """Results of the convolutions that become one code; a file may say how many codes there are in a second."""
    given = config.number("frame_rate") or config.number("_frame_rate")
    samples, hop = config.size("sampling_rate"), prod(_ratios(config))
    found, wanted = ceil(samples / hop), given or samples / (HALVED * hop)
    return 0 if found == wanted else int(found / wanted)


def _blocks(config: Config, width: int) -> Tensors:
    """Pre-norm blocks with a factor a channel on what each sub-layer gives."""
    heads, inner = config.size("num_attention_heads"), config.size("intermediate_size")
    bias = config.flag("attention_bias")
    head = config.optional_size("head_dim") or width // heads
    keys = config.size("num_key_value_heads")
    for number in range(config.size("num_hidden_layers")):
        yield from under(
            f"layers.{number}",
            linear("self_attn.q_proj", width, heads * head, bias), linear("self_attn.k_proj", width, keys * head, bias),
            linear("self_attn.v_proj", width, keys * head, bias), linear("self_attn.o_proj", heads * head, width, bias),
            linear("mlp.fc1", width, inner, bias=False), linear("mlp.fc2", inner, width, bias=False),
            norm("input_layernorm", width), norm("post_attention_layernorm", width),
            lone("self_attn_layer_scale.scale", width), lone("mlp_layer_scale.scale", width),
        )  # fmt: skip


def _ratios(config: Config) -> list[int]:
    """Strides of the decoder, in its order."""
    return [
        config.integer(each, "upsampling_ratios", 1)
        for each in config.layer_indices("upsampling_ratios") or [8, 6, 5, 4]
    ]


def _encoder(config: Config, recurrent: bool) -> Tensors:
    """Stages of residual blocks, behind each of which there are half as many channels more and fewer frames."""
    width, depth = config.size("num_filters"), config.count("num_residual_layers")
    ratios = _ratios(config)
    yield from _conv(config, "layers.0", config.size("audio_channels"), width, config.size("kernel_size"))
    number = 1
    for ratio in reversed(ratios):
        for _ in range(depth):
            yield from _block(config, f"layers.{number}", width)
            number += 1
        number += 1  # an activation
        yield from _conv(config, f"layers.{number}", width, 2 * width, STEP * ratio)
        number, width = number + 1, 2 * width
    if recurrent:
        yield from _lstm(config, f"layers.{number}", width)
        number += 1
    yield from _conv(config, f"layers.{number + 1}", width, config.size("hidden_size"), config.size("last_kernel_size"))


def _decoder(config: Config, recurrent: bool) -> Tensors:
    """The same, the other way round."""
    ratios, depth = _ratios(config), config.count("num_residual_layers")
    width = config.size("num_filters") * 2 ** len(ratios)
    yield from _conv(config, "layers.0", config.size("hidden_size"), width, config.size("kernel_size"))
    number = 1
    if recurrent:
        yield from _lstm(config, f"layers.{number}", width)
        number += 1
    for ratio in ratios:
        yield from _conv(config, f"layers.{number + 1}", width, width // 2, STEP * ratio, transposed=True)
        number, width = number + 2, width // 2
        for _ in range(depth):
            yield from _block(config, f"layers.{number}", width)
            number += 1
    yield from _conv(
        config, f"layers.{number + 1}", width, config.size("audio_channels"), config.size("last_kernel_size")
    )


def _block(config: Config, name: str, width: int) -> Tensors:
    """Two convolutions through fewer channels, and one beside them."""
    narrow = width // config.size("compress")
    yield from _conv(config, f"{name}.block.1", width, narrow, config.size("residual_kernel_size"))
    yield from _conv(config, f"{name}.block.3", narrow, width, POINTWISE)
    if config.flag("use_conv_shortcut"):
        yield from _conv(config, f"{name}.shortcut", width, width, POINTWISE)


def _conv(config: Config, name: str, d_in: int, d_out: int, taps: int, transposed: bool = False) -> Tensors:
    """A convolution, normed as the config says; Mimi's are not."""
    kind = config.one_of("norm_type", "weight_norm", "time_group_norm") if "norm_type" in config.known_keys() else ""
    yield from wave_conv(f"{name}.conv", d_in, d_out, taps, transposed=transposed, normed=kind == "weight_norm")
    if kind == "time_group_norm":
        yield from norm(f"{name}.norm", d_out)


def _lstm(config: Config, name: str, width: int) -> Tensors:
    """Recurrent layers, each with matrices for its input and for what it gave before."""
    for number in range(config.size("num_lstm_layers")):
        for end in (f"ih_l{number}", f"hh_l{number}"):
            yield from lone(f"{name}.lstm.weight_{end}", GATES * width, width)
            yield from lone(f"{name}.lstm.bias_{end}", GATES * width)
