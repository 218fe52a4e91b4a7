"""SpeechT5 [ao2022] with wav2vec 2.0 convolutions, relative position embeddings in the encoder, and a decoder."""

from __future__ import annotations

from itertools import pairwise

from ....core.architecture import Architecture, Named
from ....importers.hf.config import BIASED, TOKENS, Config
from ....importers.hf.families.seq2seq import Style, head, stack
from ....layers import Attention, Conv, Embedding, Linear, Stored
from ....layers.score_biases.distances import Distances

STYLE = Style(
    embedding_norm=False, computed=True, width="hidden_size", activation="hidden_act", positions="max_text_positions"
)
BARE = STYLE._replace(positions="")  # the class without prenets
SPEAKS = """
    num_mel_bins reduction_factor speaker_embedding_dim speech_decoder_prenet_layers speech_decoder_prenet_units
    speech_decoder_postnet_layers speech_decoder_postnet_units speech_decoder_postnet_kernel use_guided_attention_loss
    guided_attention_loss_num_heads guided_attention_loss_sigma guided_attention_loss_scale
"""
MASKS = "apply_spec_augment mask_time_length mask_time_min_masks mask_feature_length mask_feature_min_masks"
NORMED = {"group": 1, "layer": None}  # number of initial convolutions with a norm; None means all


def speecht5(config: Config) -> Architecture:
    """Build SpeechT5 for speech-to-text. Classes that generate speech are not supported."""
    named = config.class_name()
    if named not in ("", "SpeechT5ForSpeechToText", "SpeechT5Model"):
        raise config.error(f"{named} is not supported because it generates speech")
    bare = named == "SpeechT5Model"
    config.override("architectures", ["Model"] if bare else None)
    config.ignore(f"{SPEAKS} {MASKS} is_encoder_decoder num_feat_extract_layers")
    config.ignore(_FRONT if bare else "")
    width, heads = config.d_model, config.size("encoder_attention_heads")
    attention = Attention(width, heads, causal=False, score_bias=Distances(), **BIASED)
    rows = Named("distance", Stored(2 * config.size("encoder_max_relative_position"), width // heads, bare=True))
    front, back = ([], []) if bare else (_front(config, width), _text(config, width))
    style = (BARE if bare else STYLE._replace(positions="max_speech_positions"))._replace(embedding_norm=True)
    encoder = stack(config, style, "encoder", front, [rows], attention=attention)
    decoder = stack(config, BARE if bare else STYLE, "decoder", back[:1], back[1:])
    return Architecture(config.model_type, (encoder, decoder))


_FRONT = """
    conv_dim conv_kernel conv_stride conv_bias feat_extract_norm feat_extract_activation num_conv_pos_embeddings
    num_conv_pos_embedding_groups mask_time_prob mask_feature_prob vocab_size tie_word_embeddings scale_embedding
    pad_token_id max_speech_positions max_text_positions
"""


def _text(config: Config, width: int) -> list[Named]:
    vocab, tied = config.vocab, config.flag("tie_word_embeddings")
    return [Named("token", Embedding(vocab, width, share=TOKENS if tied else None)), head(vocab, width, tied)]


def _front(config: Config, width: int) -> list[Named]:
    """Return unpadded waveform convolutions and a positional convolution.

    Earlier waveform convolutions compute the extra outputs that later convolutions need.
    """
    act = config.activation("feat_extract_activation")
    sizes, kernels, strides = (config.layer_indices(f"conv_{key}") for key in ("dim", "kernel", "stride"))
    if not len(sizes) == len(kernels) == len(strides) > 0:
        raise config.size_error("conv_dim, conv_kernel and conv_stride must have the same length")
    normed = NORMED[config.one_of("feat_extract_norm", *NORMED)]
    rate, extra, reached = 1, 0, [(1, 0)]
    for taps, stride in zip(kernels[:0:-1], strides[:0:-1], strict=True):
        if not 0 < stride <= taps:
            raise config.size_error(f"a stride of {stride} with kernel size {taps} skips samples")
        rate, extra = stride * rate, stride * extra + taps - stride
        reached.insert(0, (rate, extra))
    found = []
    for number, ((before, out), taps) in enumerate(zip(pairwise([1, *sizes]), kernels, strict=True)):
        rate, extra = reached[number]
        conv = Conv(
            before,
            config.integer(out, "conv_dim", 1),
            config.integer(taps, "conv_kernel", 1),
            rate,
            extra=extra,
            bias=config.flag("conv_bias"),
            normed=normed is None or number < normed,
            activation=act,
            of_data=number == 0,
        )
        found.append(Named(f"wave{number}", conv))
    taps, groups = config.size("num_conv_pos_embeddings"), config.size("num_conv_pos_embedding_groups")
    masked = any((config.number(f"mask_{over}_prob") or 0) > 0 for over in ("time", "feature"))
    return [
        *found,
        Named("projected_norm", config.layernorm(width=sizes[-1])),
        Named("wave_out", Linear(sizes[-1], width)),
        *([Named("masked", Stored(width, bare=True))] if masked else []),
        Named("wave_position", Conv(width, width, taps, groups=groups, overrun=1 - taps % 2, activation=act)),
        Named("wave_lengths", Stored(1, 1, taps, bare=True)),  # one norm per tap of the kernel
    ]
