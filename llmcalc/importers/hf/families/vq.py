"""What makes codes of an image, and an image of codes: convolutions around a table of codes [esser2021]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log2

from ....core.architecture import Stack
from ....core.errors import SizeError
from ..config import Config
from ..unexecuted_parts import Tensors, batch_norm, film_conv, image_conv, linear, norm, part, table, under

SIDE, FRAMES, HALVING = 3, 3, 4  # of a kernel: pixels along a side, frames, and those of one that halves a film
LEFT = """
    dropout initializer_range attention_dropout num_attention_heads spatial_scale_factor is_encoder_decoder resolution
    attn_resolutions
"""
NOTE = "what makes codes of images is stored, and not counted as work"
Norms = Callable[[str, int], Tensors]


def chameleon(config: Config) -> Stack:
    """Chameleon's: attention where an image is as large as ``attn_resolutions`` says; there is no decoder."""
    widths, attended = _widths(config), config.get("attn_type") == "vanilla"
    config.ignore(LEFT)
    encoder = _encoder(config, widths, _at_sizes(config, widths) if attended else set(), middle=attended)
    return part("vqmodel", [*encoder, *_table(config)])


def janus(config: Config) -> Stack:
    """Janus's: attention in the deepest level alone, and a decoder that mirrors the encoder."""
    widths = _widths(config)
    last = len(widths) - 1
    config.ignore(f"{LEFT} num_patches projection_dim num_hidden_layers hidden_act image_token_embed_dim")
    made = [
        *image_conv("conv_in", config.size("latent_channels"), widths[-1], SIDE),
        *_middle("mid", widths[-1]),
        *_up(widths, config.count("num_res_blocks") + 1, {last}),
        *norm("norm_out", widths[0]),
        *image_conv("conv_out", widths[0], config.size("out_channels"), SIDE),
    ]
    return part("vqmodel", [*_encoder(config, widths, {last}), *under("decoder", made), *_table(config)])


def apertus(config: Config) -> Stack:
    """Apertus 1.5's: what is seen is encoded alone."""
    widths, count = _widths(config), config.count("num_res_blocks")
    attended, before = _at_sizes(config, widths), [config.size("base_channels"), *widths]
    config.ignore(LEFT)
    found = [*image_conv("conv_in", config.size("in_channels"), before[0], SIDE)]
    for level, width in enumerate(widths):
        for number in range(count):
            block = [*_resnet("resnet", width if number else before[level], width)]
            block += _attention("attention", width) if level in attended else ()
            found += under(f"stages.{level}.layers.{number}", block)
        if level < len(widths) - 1:
            found += image_conv(f"stages.{level}.downsample.conv", width, width, SIDE)
    latent, code = config.size("latent_channels"), config.size("embed_dim")
    found += [*_middle("mid", widths[-1]), *norm("norm_out", widths[-1])]
    found += image_conv("conv_out", widths[-1], latent, SIDE)
    codes = table("quantize.embedding", config.size("codebook_size"), code)
    return part("vision_tokenizer", [*under("encoder", found), *codes, *image_conv("quant_conv", latent, code, 1)])


def emu3(config: Config) -> Stack:
    """Emu3's: of images and of films; the decoder's norms are scaled and moved by the codes [gafni2022]."""
    widths, latent, code = _widths(config), config.size("latent_channels"), config.size("embed_dim")
    count, deep, halved = config.count("num_res_blocks"), set(config.layer_indices("attn_resolutions")), _halved(config)
    inner = config.size("hidden_size")
    config.ignore(LEFT)
    if (deep or inner) and widths[-1] != inner:
        said = f"hidden_size ({inner}) is not that of the deepest level ({widths[-1]}), which attention stands behind"
        raise SizeError(said, where=config.where)
    seen = latent * (2 if config.flag("double_latent") else 1)

    def by_code(name: str, width: int) -> Tensors:
        return under(
            name, norm("norm_layer", width), image_conv("conv_y", code, width, 1), image_conv("conv_b", code, width, 1)
        )

    encoder = [
        *image_conv("conv_in", config.size("in_channels"), config.size("base_channels"), SIDE),
        *under("down_block", _levels(config, widths, count, deep, norm, inner)),
        *_between(widths[-1], inner, norm),
        *norm("norm_out", widths[-1]),
        *image_conv("conv_out", widths[-1], seen, SIDE),
        *_films(halved, count, seen, HALVING),
    ]
    decoder = [
        *_films(halved, count, latent, FRAMES),
        *image_conv("conv_in", latent, widths[-1], SIDE),
        *_between(widths[-1], inner, by_code),
        *under("up_block", _rising(widths, count + 1, deep, by_code, inner)),
        *by_code("norm_out", widths[0]),
        *image_conv("conv_out", widths[0], config.size("out_channels"), SIDE),
    ]
    codes = [
        *table("quantize.embedding", config.size("codebook_size"), code),
        *film_conv("quant_conv.conv", latent, code, FRAMES, 1),
        *film_conv("post_quant_conv.conv", code, latent, FRAMES, 1),
    ]
    return part("vqmodel", [*under("encoder", encoder), *under("decoder", decoder), *codes])


def _widths(config: Config) -> list[int]:
    """Channels of each level, by which the sides of an image are halved."""
    base, times = config.size("base_channels"), config.layer_indices("channel_multiplier")
    if not times:
        raise SizeError("channel_multiplier is empty", where=config.where)
    return [base * config.integer(each, "channel_multiplier", 1) for each in times]


def _at_sizes(config: Config, widths: Sequence[int]) -> set[int]:
    """Levels at which an image has one of the sizes that attention is wanted for."""
    sizes, whole = set(config.layer_indices("attn_resolutions")), config.size("resolution")
    return {level for level in range(len(widths)) if whole // 2**level in sizes}


def _halved(config: Config) -> int:
    """How often a film's frames are halved."""
    return int(log2(config.size("temporal_downsample_factor")))


def _encoder(config: Config, widths: Sequence[int], attended: set[int], middle: bool = True) -> Tensors:
    count, base = config.count("num_res_blocks"), config.size("base_channels")
    latent = config.size("latent_channels") * (2 if config.flag("double_latent") else 1)
    yield from under(
        "encoder",
        image_conv("conv_in", config.size("in_channels"), base, SIDE),
        _down(base, widths, count, attended),
        _middle("mid", widths[-1], middle),
        norm("norm_out", widths[-1]),
        image_conv("conv_out", widths[-1], latent, SIDE),
    )


def _table(config: Config) -> Tensors:
    """The codes, and what leads to them and away from them."""
    latent, code = config.size("latent_channels"), config.size("embed_dim")
    yield from table("quantize.embedding", config.size("num_embeddings"), code)
    yield from image_conv("quant_conv", latent, code, 1)
    yield from image_conv("post_quant_conv", code, latent, 1)


def _down(base: int, widths: Sequence[int], count: int, attended: set[int]) -> Tensors:
    """Levels of residual blocks, each half as large as the one before."""
    for level, (before, width) in enumerate(zip([base, *widths], widths, strict=False)):
        for number in range(count):
            yield from _resnet(f"down.{level}.block.{number}", width if number else before, width)
            yield from _attention(f"down.{level}.attn.{number}", width) if level in attended else ()
        if level < len(widths) - 1:
            yield from image_conv(f"down.{level}.downsample.conv", width, width, SIDE)


def _up(widths: Sequence[int], count: int, attended: set[int]) -> Tensors:
    """The same, from the deepest level on, whose number is 0 here."""
    before = widths[-1]
    for place, level in enumerate(reversed(range(len(widths)))):
        for number in range(count):
            yield from _resnet(f"up.{place}.block.{number}", before, widths[level])
            before = widths[level]
            yield from _attention(f"up.{place}.attn.{number}", before) if level in attended else ()
        if level:
            yield from image_conv(f"up.{place}.upsample.conv", before, before, SIDE)


def _middle(name: str, width: int, attended: bool = True) -> Tensors:
    """Attention between two blocks."""
    attention = _attention("attn_1", width) if attended else iter(())
    yield from under(name, _resnet("block_1", width, width), attention, _resnet("block_2", width, width))


def _resnet(name: str, d_in: int, d_out: int, norms: Norms = norm) -> Tensors:
    """Two convolutions, each behind a norm; a matrix for the residual, if it is to become wider."""
    yield from under(
        name,
        norms("norm1", d_in), image_conv("conv1", d_in, d_out, SIDE),
        norms("norm2", d_out), image_conv("conv2", d_out, d_out, SIDE),
        image_conv("nin_shortcut", d_in, d_out, 1) if d_in != d_out else iter(()),
    )  # fmt: skip


def _attention(name: str, width: int) -> Tensors:
    """Attention of pixels to pixels, whose matrices are kernels of one pixel."""
    parts = ("q", "k", "v", "proj_out")
    yield from under(name, norm("norm", width), *(image_conv(each, width, width, 1) for each in parts))


def _plain_attention(name: str, width: int) -> Tensors:
    parts = ("k_proj", "v_proj", "q_proj", "out_proj")
    yield from under(name, *(linear(each, width, width) for each in parts))


def _levels(config: Config, widths: Sequence[int], count: int, attended: set[int], norms: Norms, inner: int) -> Tensors:
    """Emu3's levels, down."""
    for level, (before, width) in enumerate(zip([config.size("base_channels"), *widths], widths, strict=False)):
        for number in range(count):
            yield from _resnet(f"down.{level}.block.{number}", width if number else before, width, norms)
            yield from _attended(f"down.{level}", number, width, norms, inner) if level in attended else ()
        if level < len(widths) - 1:
            yield from image_conv(f"down.{level}.downsample.conv", width, width, SIDE)


def _rising(widths: Sequence[int], count: int, attended: set[int], norms: Norms, inner: int) -> Tensors:
    """Emu3's levels, up; a level has the number that it has on the way down."""
    before = widths[-1]
    for level in reversed(range(len(widths))):
        for number in range(count):
            yield from _resnet(f"up.{level}.block.{number}", before, widths[level], norms)
            before = widths[level]
            yield from _attended(f"up.{level}", number, before, norms, inner) if level in attended else ()
        if level:
            yield from image_conv(f"up.{level}.upsample.conv", before, before, SIDE)


def _attended(place: str, number: int, width: int, norms: Norms, inner: int) -> Tensors:
    yield from _plain_attention(f"{place}.attn.{number}", inner)
    yield from norms(f"{place}.attn_norms.{number}", width)


def _between(width: int, inner: int, norms: Norms) -> Tensors:
    """Emu3's attention between two blocks."""
    yield from under(
        "middle_block",
        _resnet("block_1", width, width, norms), _plain_attention("attn_1", inner),
        norms("attn_norm", width), _resnet("block_2", width, width, norms),
    )  # fmt: skip


def _films(halved: int, count: int, width: int, frames: int) -> Tensors:
    """Convolutions that halve or double the frames of a film, and residual blocks over several frames."""
    for number in range(halved):
        yield from film_conv(f"time_conv.{number}.conv.conv", width, width, frames, SIDE)
    for number in range(count):
        yield from under(
            f"time_res_stack.{number}",
            batch_norm("norm1", width), film_conv("conv1.conv", width, width, FRAMES, SIDE),
            batch_norm("norm2", width), film_conv("conv2.conv", width, width, FRAMES, SIDE),
        )  # fmt: skip
