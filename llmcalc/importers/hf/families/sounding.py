"""What makes a wave of Qwen-Omni's codes: transformers of spectrograms or of codes, and convolutions behind them."""

from __future__ import annotations

from collections.abc import Sequence

from ....core.architecture import Stack
from ....core.errors import SizeError, shown
from ..composite_models import given
from ..config import Config
from ..unexecuted_parts import Tensors, linear, lone, norm, part, table, under, wave_conv

ENDS = 7  # taps of the first and the last convolution
WAVES = 256  # sines and cosines of a step in time
MODULATED, LAST_MODULATED = 6, 2  # factors and offsets that a step in time gives a block, and the last norm
DILATIONS = 3  # convolutions of a residual block
NEXT = 4  # growth of the hidden layer between two matrices of ConvNeXt


def token2wav(config: Config) -> Stack:
    """Qwen2.5-Omni's: a diffusion transformer of spectrograms [peebles2022], and BigVGAN [lee2022bigvgan]."""
    whole = config.nested("token2wav_config", given(config, "token2wav_config"), "qwen2_5_omni_token2wav")
    diffusing = whole.nested("dit_config", given(whole, "dit_config"), "qwen2_5_omni_dit")
    waving = whole.nested("bigvgan_config", given(whole, "bigvgan_config"), "qwen2_5_omni_bigvgan")
    found = part("token2wav", [
        *under("code2wav_dit_model", _diffusion(diffusing)), *under("code2wav_bigvgan_model", _vgan(waving)),
    ])  # fmt: skip
    for read in (diffusing, waving, whole):
        _checked(read)
    return found


def _checked(config: Config) -> None:
    """Fail on a key that the class doesn't have; of those that it has, all that give a tensor a size were read."""
    config.ignore(" ".join(config.defaults))
    config.check_all_read()


def _diffusion(config: Config) -> Tensors:
    width, heads, head = (config.size(key) for key in ("hidden_size", "num_attention_heads", "head_dim"))
    mels, codes, voice, heard = (config.size(key) for key in ("mel_dim", "emb_dim", "enc_emb_dim", "enc_dim"))
    inner, wide = heads * head, int(width * config.size("ff_mult"))
    yield from under("time_embed.time_mlp", linear("0", WAVES, width), linear("2", width, width))
    yield from table("text_embed.codec_embed", config.size("num_embeds") + 1, codes)
    yield from linear("input_embed.proj", mels + heard + voice + codes, width)
    yield from under("input_embed.spk_encoder", _voice(config, mels, heard))
    for number in range(config.size("num_hidden_layers")):
        yield from under(
            f"transformer_blocks.{number}",
            linear("attn_norm.linear", width, MODULATED * width),
            *(linear(f"attn.to_{name}", width, inner) for name in "qkv"),
            linear("attn.to_out.0", inner, width),
            linear("ff.ff.0", width, wide),
            linear("ff.ff.3", wide, width),
        )
    yield from linear("norm_out.linear", width, LAST_MODULATED * width)
    yield from linear("proj_out", width, mels)


def _voice(config: Config, mels: int, out: int) -> Tensors:
    """ECAPA-TDNN [desplanques2020]: what a voice is like."""
    widths, taps = _sizes(config, "enc_channels"), _sizes(config, "enc_kernel_sizes")
    if len(widths) != len(taps):
        raise SizeError(f"there are {len(taps)} enc_kernel_sizes for {len(widths)} enc_channels", where=config.where)
    scale, squeezed, seen = (
        config.size(key) for key in ("enc_res2net_scale", "enc_se_channels", "enc_attention_channels")
    )
    last = widths[-1]
    yield from wave_conv("blocks.0.conv", mels, widths[0], taps[0])
    for number in range(1, len(widths) - 1):
        before, width = widths[number - 1 : number + 1]
        yield from under(
            f"blocks.{number}",
            wave_conv("tdnn1.conv", before, width, 1),
            *(
                wave_conv(f"res2net_block.blocks.{at}.conv", width // scale, width // scale, taps[number])
                for at in range(scale - 1)
            ),
            wave_conv("tdnn2.conv", width, width, 1),
            wave_conv("se_block.conv1", width, squeezed, 1),
            wave_conv("se_block.conv2", squeezed, width, 1),
        )
    yield from wave_conv("mfa.conv", last, last, taps[-1])
    yield from wave_conv("asp.tdnn.conv", 3 * last, seen, 1)
    yield from wave_conv("asp.conv", seen, last, 1)
    yield from wave_conv("fc", 2 * last, out, 1)


def _vgan(config: Config) -> Tensors:
    width, taps = config.size("upsample_initial_channel"), _sizes(config, "resblock_kernel_sizes")
    rates, kernels = _sizes(config, "upsample_rates"), _sizes(config, "upsample_kernel_sizes")
    if len(rates) != len(kernels):
        said = f"there are {len(kernels)} upsample_kernel_sizes for {len(rates)} upsample_rates"
        raise SizeError(said, where=config.where)
    yield from wave_conv("conv_pre", config.size("mel_dim"), width, ENDS)
    for number, kernel in enumerate(kernels):
        yield from wave_conv(f"ups.{number}.0", width, width // 2, kernel, transposed=True)
        width //= 2
        for at, size in enumerate(taps):
            yield from under(f"resblocks.{number * len(taps) + at}", _amplified(width, size))
    yield from under("activation_post.act", _snake("", width))
    yield from wave_conv("conv_post", width, 1, ENDS, bias=False)


def _amplified(width: int, taps: int) -> Tensors:
    for stack in ("convs1", "convs2"):
        for number in range(DILATIONS):
            yield from wave_conv(f"{stack}.{number}", width, width, taps)
    for number in range(2 * DILATIONS):
        yield from _snake(f"activations.{number}.act.", width)


def _snake(place: str, width: int) -> Tensors:
    """The two learned numbers a channel of an activation that waves [ziyin2020]."""
    yield from lone(f"{place}alpha", width)
    yield from lone(f"{place}beta", width)


def code2wav(config: Config) -> Stack:
    """Qwen3-Omni's: a transformer of codes, then convolutions that make more frames of fewer."""
    found = config.nested("code2wav_config", given(config, "code2wav_config"), "qwen3_omni_moe_code2wav")
    stack = part("code2wav", _waves(found))
    _checked(found)
    return stack


def _waves(config: Config) -> Tensors:
    width, rows = config.size("hidden_size"), config.size("codebook_size") * config.size("num_quantizers")
    yield from under("pre_transformer", _blocks(config, width), norm("norm", width, bias=False))
    yield from table("code_embedding", rows, width)
    for number, factor in enumerate(_sizes(config, "upsampling_ratios")):
        yield from wave_conv(f"upsample.{number}.0.conv", width, width, factor, transposed=True)
        yield from under(
            f"upsample.{number}.1",
            wave_conv("dwconv.conv", 1, width, ENDS),
            norm("norm", width),
            linear("pwconv1", width, NEXT * width),
            linear("pwconv2", NEXT * width, width),
            lone("gamma", width),
        )
    rates, out = _sizes(config, "upsample_rates"), config.size("decoder_dim")
    yield from wave_conv("decoder.0.conv", width, out, ENDS)
    for number, rate in enumerate(rates):
        yield from under(f"decoder.{number + 1}.block", _rising(out, out // 2, rate))
        out //= 2
    yield from _snake(f"decoder.{len(rates) + 1}.", out)
    yield from wave_conv(f"decoder.{len(rates) + 2}.conv", out, 1, ENDS)


def _rising(before: int, width: int, rate: int) -> Tensors:
    yield from _snake("0.", before)
    yield from wave_conv("1.conv", before, width, 2 * rate, transposed=True)
    for number in range(2, 2 + DILATIONS):
        yield from under(
            f"{number}",
            _snake("act1.", width), wave_conv("conv1.conv", width, width, ENDS),
            _snake("act2.", width), wave_conv("conv2.conv", width, width, 1),
        )  # fmt: skip


def _blocks(config: Config, width: int) -> Tensors:
    heads, inner, bias = (
        config.size("num_attention_heads"),
        config.size("intermediate_size"),
        config.flag("attention_bias"),
    )
    head, keys = config.optional_size("head_dim") or width // heads, config.size("num_key_value_heads")
    for number in range(config.size("num_hidden_layers")):
        yield from under(
            f"layers.{number}",
            linear("self_attn.q_proj", width, heads * head, bias), linear("self_attn.k_proj", width, keys * head, bias),
            linear("self_attn.v_proj", width, keys * head, bias), linear("self_attn.o_proj", heads * head, width, bias),
            linear("mlp.gate_proj", width, inner, bias=False), linear("mlp.up_proj", width, inner, bias=False),
            linear("mlp.down_proj", inner, width, bias=False),
            norm("input_layernorm", width, bias=False), norm("post_attention_layernorm", width, bias=False),
            lone("self_attn_layer_scale.scale", width), lone("mlp_layer_scale.scale", width),
        )  # fmt: skip


def _sizes(config: Config, key: str) -> Sequence[int]:
    values = config.layer_indices(key)
    if not values:
        raise SizeError(f"{key} is {shown(config.get(key))}; it is a list of sizes", where=config.where)
    return [config.integer(value, key, 1) for value in values]
