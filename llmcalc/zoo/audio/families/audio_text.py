"""Text models and encoder-decoders of audio systems: Whisper, SeamlessM4T, Pop2Piano, CLAP."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....core.errors import UnsupportedError
from ....importers.hf.config import BIASED, TOKENS, Config
from ....importers.hf.families.bart import PRE_NORM
from ....importers.hf.families.bert import encoder, encoder_model, head_of_kind, pooler, skip_padding
from ....importers.hf.families.seq2seq import Style, class_kind, encoder_decoder, head, stack, unscaled_embedding
from ....importers.hf.families.t5 import feed_forward, seq2seq
from ....layers import Conv, Embedding, Linear

TAPS = 3  # kernel size of Whisper's two convolutions; the second has stride 2
NO_KEY_BIAS = {**BIASED, "k_bias": False}


def whisper(config: Config) -> Architecture:
    """Build Whisper [radford2022] with two convolutions before an encoder of ``max_source_positions`` tokens."""
    config.ignore(
        "use_weighted_layer_sum classifier_proj_size apply_spec_augment median_filter_width num_key_value_heads"
    )
    config.ignore("mask_time_prob mask_time_length mask_time_min_masks mask_feature_prob mask_feature_length")
    config.ignore("mask_feature_min_masks num_mel_bins max_source_positions")
    style = Style(pre_norm=True, final_norm=True, embedding_norm=False, biases=NO_KEY_BIAS)
    kind = class_kind(config)
    vocab, width, tied = config.vocab, config.size("d_model"), config.flag("tie_word_embeddings", True)
    text = style._replace(positions="max_target_positions")
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    outputs = [] if kind == "none" else [head(vocab, width, tied)]
    decoder = stack(config, text, "decoder", [table], outputs, unused_cross=kind == "causal")
    decoder = replace(decoder, inputs=tuple(map(unscaled_embedding, decoder.inputs)))  # scale_embedding has no effect
    if kind == "causal":
        return Architecture(config.model_type, (decoder,))
    first = Conv(config.size("num_mel_bins"), width, TAPS, upsample=2, activation="gelu", of_data=True)
    front = [Named("conv1", first), Named("conv2", Conv(width, width, TAPS, stride=2, activation="gelu"))]
    audio = style._replace(positions="max_source_positions")
    return Architecture(config.model_type, (stack(config, audio, "encoder", front, []), decoder))


def seamless_text(config: Config) -> Architecture:
    """Build SeamlessM4T's text encoder and decoder [barrault2023] without the speech modules."""
    if config.class_name() and not config.class_name().endswith("ForTextToText"):
        raise UnsupportedError(f"the speech modules of {config.class_name()} are not supported", where=config.where)
    speech = ("speech_", "t2u_", "vocoder_", "unit_", "adaptor_", "upsample_", "resblock_", "lang_", "spkr_", "char_")
    config.ignore(" ".join(key for key in config.defaults if key.startswith(speech)))
    config.ignore("add_adapter feature_projection_input_dim num_conv_pos_embeddings num_conv_pos_embedding_groups")
    config.ignore("num_adapter_layers position_embeddings_type rotary_embedding_base max_source_positions")
    config.ignore("conv_depthwise_kernel_size sampling_rate leaky_relu_slope variance_predictor_kernel_size")
    config.ignore("var_pred_dropout max_new_tokens left_max_position_embeddings right_max_position_embeddings")
    config.ignore("variance_pred_dropout")
    config.discard("layer_norm_eps")  # the norms of these stacks use the default epsilon
    return encoder_decoder(config, PRE_NORM._replace(width="hidden_size"))


def pop2piano(config: Config) -> Architecture:
    """Build Pop2Piano [choi2022] from T5 v1.1, with an untied head and a composer embedding before the spectrogram."""
    mlp = feed_forward(config)
    built = seq2seq(config, mlp, tied=True, head_tied=False)
    composers = Embedding(config.size("composer_vocab_size"), config.size("d_model"), table="other", unused=True)
    encoder = replace(built.stacks[0], inputs=(*built.stacks[0].inputs, Named("composer", composers)))
    return replace(built, stacks=(encoder, *built.stacks[1:]))


def clap(config: Config) -> Architecture:
    """Build CLAP's text encoder [wu2022] from RoBERTa, with a pooler and an optional two-layer projection."""
    stack = skip_padding(config, encoder(config))
    outputs = [pooler(stack.d_model)]
    if head_of_kind(config, "none", "projection") == "projection":
        out, activation = config.size("projection_dim"), config.activation("projection_hidden_act")
        first = Linear(stack.d_model, out, activation=activation, positions="one")
        outputs += [Named("projection_in", first), Named("projection_out", Linear(out, out, positions="one"))]
    config.ignore("projection_dim projection_hidden_act")
    return encoder_model(config, stack, outputs)
