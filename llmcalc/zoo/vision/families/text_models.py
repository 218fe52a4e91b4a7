"""Text encoders and decoders of image-text models: CLIP, SigLIP, TrOCR, KOSMOS-2 and others."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named, Stack
from ....importers.hf.config import BIASED, TOKENS, Config, Fields, Layers
from ....importers.hf.families.bart import POSITION_OFFSET
from ....importers.hf.families.bert import (
    bert_attention,
    bert_mlp,
    encoder,
    encoder_model,
    head_of_kind,
    is_decoder,
    pooler,
    skip_padding,
    with_head,
)
from ....importers.hf.families.seq2seq import Style, head, stack
from ....importers.hf.families.t5 import _mixers
from ....importers.hf.rules import causal_lm, prenorm_block, repeat_block, sublayer
from ....layers import Attention, Embedding, FixedTable, Head, Ids, InnerNorm, Linear, Mlp, Norm, Pooler, SequenceRows
from ....layers.parts.cross import Cross
from ....layers.parts.output_norm import OutputNorm

SEGMENTS = 2
OLD_END = 2  # wrong id in the first CLIP configs, in which the end-of-text token has the highest id


def clip(config: Config) -> Architecture:
    """Read a CLIP text encoder config. The encoder is causal, with an optional projection of the end-of-text token."""
    return _clip(config, "highest" if config.count("eos_token_id") == OLD_END else "of_id")


def metaclip_2(config: Config) -> Architecture:
    """Read a MetaCLIP 2 text encoder config. The end-of-text id is always correct, unlike in early CLIP configs."""
    return _clip(config, "of_id")


def _clip(config: Config, pooled: str) -> Architecture:
    width, end = config.d_model, config.count("eos_token_id") if pooled == "of_id" else 0
    pooler = Pooler(pooled, end)
    head = Linear(width, config.size("projection_dim", width), False, positions="one", pooler=pooler)
    return _text_tower(config, causal=True, head=("projection", head))


def siglip(config: Config) -> Architecture:
    """Read a SigLIP text encoder config. The encoder is bidirectional, with a head on the last token."""
    out = config.optional_size("projection_size") or config.d_model
    head = Linear(config.d_model, out, positions="one", pooler=Pooler("last"))
    return _text_tower(config, causal=False, head=("head", head), always=True)


def _text_tower(config: Config, *, causal: bool, head: tuple[str, Linear], always: bool = False) -> Architecture:
    width, projected = config.d_model, config.head_kind() == "projection"
    attention = Attention(width, config.n_heads, causal=causal, **BIASED)
    norm = config.layernorm()
    block = prenorm_block("block", norm, attention=attention, mlp=bert_mlp(config))
    inputs = (
        Named("token", Embedding(config.vocab, width)),
        Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),
    )
    outputs = [Named("final_norm", norm)]
    outputs += [Named(*head)] if always or projected else []
    config.ignore("projection_dim projection_size tie_word_embeddings")
    role = "decoder" if causal else "encoder"
    stack = Stack(role, width, inputs, repeat_block(block, config.n_layers), tuple(outputs), role)
    return Architecture(config.model_type, (stack,))


def flava(config: Config) -> Architecture:
    """Read a FLAVA text encoder config [singh2021] as pre-norm BERT with a pooler."""
    head_of_kind(config, "none")
    biased = config.flag("qkv_bias", True)
    stack = encoder(config, post=False, attention=bert_attention(config, q_bias=biased, k_bias=biased, v_bias=biased))
    return encoder_model(config, stack, [pooler(stack.d_model)])


def altclip(config: Config) -> Architecture:
    """Read an AltCLIP text encoder config [chen2022] as XLM-R with a final norm and a projection of every token."""
    head_of_kind(config, "none")
    stack = skip_padding(config, encoder(config))
    projection = Linear(stack.d_model, config.size("project_dim"))
    return encoder_model(
        config, stack, [Named("pre_norm", config.layernorm(width=stack.d_model)), Named("projection", projection)]
    )


def bridgetower(config: Config) -> Architecture:
    """Read a BridgeTower text encoder config [xu2022] as RoBERTa with a pooler."""
    head_of_kind(config, "none")
    stack = skip_padding(config, encoder(config))
    return encoder_model(config, stack, [pooler(stack.d_model)])


def aimv2(config: Config) -> Architecture:
    """Read a causal AIMv2 text encoder config [fini2024] with RMSNorm, gated MLPs, and learned positions."""
    head_of_kind(config, "none")
    width, bias = config.d_model, config.flag("qkv_bias")
    biases: Fields = dict.fromkeys(BIASED, bias)
    attention = Attention(width, config.n_heads, **biases)
    norm = config.rmsnorm()
    block = prenorm_block("block", norm, attention=attention, mlp=config.gated_mlp(bias=config.flag("mlp_bias")))
    position = Embedding(config.size("max_position_embeddings"), width, table="position")
    inputs = (_token(config), Named("position", position))
    stack = Stack("decoder", width, inputs, repeat_block(block, config.n_layers), (Named("final_norm", norm),))
    return encoder_model(config, stack, [])


def tipsv2(config: Config) -> Architecture:
    """Read a TIPSv2 text encoder config with scaled embeddings, sinusoidal positions, and bidirectional attention."""
    head_of_kind(config, "none")
    width = config.d_model
    config.ignore("pooling_epsilon")  # mean pooling over all tokens
    scale = width**0.5 if config.flag("scale_sqrt_depth", True) else 1.0
    attention, norm = bert_attention(config), config.layernorm()
    inputs = (_token(config, scale), _sinusoids(config, "fairseq"))
    runs = repeat_block(prenorm_block("block", norm, attention=attention, mlp=bert_mlp(config)), config.n_layers)
    return encoder_model(config, Stack("encoder", width, inputs, runs, (Named("final_norm", norm),), "encoder"), [])


def videoprism(config: Config) -> Architecture:
    """Read a VideoPrism text encoder config [zhao2024] with sinusoidal positions, capped scores, and a class token."""
    head_of_kind(config, "none")
    config.ignore("apply_l2norm")
    width, biased = config.d_model, config.flag("qkv_bias", True)
    biases = {**dict.fromkeys(BIASED, biased), "o_bias": True}
    cap = config.number("attn_logit_softcapping")
    attention = bert_attention(config, causal=False, prompt=1, logit_softcap=cap, **biases)
    eps, rows = config.number("layer_norm_eps") or 1e-6, SequenceRows(prompt=1)
    norm = Norm(width, "layernorm", bias=True, eps=eps, unit_offset=True, sequence=rows)
    block = prenorm_block("block", norm, attention=attention, mlp=replace(bert_mlp(config), sequence=rows))
    scale = width**0.5
    last = Embedding(1, width, table="other", use="suffix", scale=scale)
    inputs = (_token(config, scale), _sinusoids(config, "halves"), Named("class", last))
    runs = repeat_block(block, config.n_layers)
    return encoder_model(config, Stack("encoder", width, inputs, runs, (Named("final_norm", norm),), "encoder"), [])


def _sinusoids(config: Config, kind: str) -> Named:
    """Return a fixed table of sinusoidal positions."""
    rows, width = config.size("max_position_embeddings"), config.d_model
    return Named("position", Embedding(rows, width, table="position", fixed=FixedTable(kind)))


def _token(config: Config, scale: float = 1.0) -> Named:
    return Named("token", Embedding(config.vocab, config.d_model, scale=scale))


def text_tower(config: Config) -> Architecture:
    """Read a BERT config as the text encoder of an image-text model. Chinese CLIP has no pooler."""
    part = config.head_kind() == "" and config.model_type == "chinese_clip_text_model"
    config.override("architectures", ["Model"])
    stack = encoder(config)
    return encoder_model(config, stack, [] if part else [pooler(stack.d_model)])


def blip_text(config: Config) -> Architecture:
    """Read a BLIP text decoder config as BERT with cross-attention to the image. Headless models are bidirectional."""
    config.ignore("encoder_hidden_size projection_dim label_smoothing")
    bare = config.head_kind() == "none"
    stack = encoder(config, segments=False, attention=bert_attention(config, causal=not bare))
    stack = replace(stack, role="encoder", name="encoder") if bare else stack
    (run,) = stack.runs
    if is_decoder(config):
        cross = bert_attention(config, cross=Cross(config.size("encoder_hidden_size")), causal=False, unused=True)
        own, mlp = run.block.sublayers
        looking = sublayer("cross_attention", cross, after=config.layernorm())
        run = replace(run, block=replace(run.block, sublayers=(own, looking, mlp)))
    config.override("architectures", ["Model"] if bare else ["ForCausalLM"])
    return with_head(config, replace(stack, runs=(run,)))


def trocr(config: Config) -> Architecture:
    """Read a TrOCR decoder config [li2021trocr] as BART. Sinusoidal positions and the first norm are optional."""
    learned, normed = config.flag("use_learned_position_embeddings"), config.flag("layernorm_embedding")
    config.ignore("is_decoder is_encoder_decoder add_cross_attention max_position_embeddings")
    config.head_kind()
    style = Style(embedding_norm=normed, offset=POSITION_OFFSET if learned else 0, computed=not learned)
    vocab, width, heads = config.vocab, config.size("d_model"), config.size("decoder_attention_heads")
    tied, source = config.flag("tie_word_embeddings", True), config.optional_size("cross_attention_hidden_size")
    table = Named("token", Embedding(vocab, width, share=TOKENS if tied else None))
    cross = Attention(width, heads, causal=False, cross=Cross(source), unused=True, **BIASED)
    outputs = [head(vocab, width, tied)]
    return Architecture(config.model_type, (stack(config, style, "decoder", [table], outputs, cross=cross),))


def pix2struct(config: Config) -> Architecture:
    """Read a Pix2Struct text decoder config as T5. The base transformers class also has a head."""
    config.head_kind()
    config.ignore("is_decoder is_encoder_decoder add_cross_attention")
    config.override("d_model", config.d_model)
    if config.size("num_heads") * config.size("d_kv") != config.size("d_model"):
        raise config.size_error("num_heads · d_kv must equal hidden_size")
    vocab, width, tied = config.vocab, config.size("d_model"), config.flag("tie_word_embeddings")
    mlp = Mlp(width, config.size("d_ff"), config.activation("dense_act_fn"), gated=True)
    mixers = {
        name: replace(layer, unused=True) if isinstance(layer, Attention) and layer.cross else layer
        for name, layer in _mixers(config, "decoder", True).items()
    }
    norm, share = config.rmsnorm("layer_norm_epsilon", width=width), TOKENS if tied else None
    runs = repeat_block(prenorm_block("block", norm, **mixers, mlp=mlp), config.size("num_layers"))
    outputs = (Named("norm", norm), Named("head", Head(vocab, width, share)))
    stack = Stack("decoder", width, (Named("token", Embedding(vocab, width, share=share)),), runs, outputs)
    return Architecture(config.model_type, (stack,))


def kosmos(config: Config) -> Architecture:
    """Read a KOSMOS-2 or KOSMOS-2.5 config [peng2023kosmos] with norms inside sub-layers and sinusoidal positions."""
    width, vocab, heads = config.size("embed_dim"), config.vocab, config.size("attention_heads")
    norm, padding = config.layernorm(width=width), config.count("pad_token_id", 1)
    inner: Fields = {"o_norm": OutputNorm(function="layernorm", eps=norm.eps)}
    within = inner if config.model_type == "kosmos_2_text_model" else {}
    layers: Layers = {"attention": Attention(width, heads, **within, **BIASED)}
    if config.flag("add_cross_attention"):
        layers["cross_attention"] = Attention(width, heads, causal=False, cross=Cross(), unused=True, **BIASED)
    mlp = Mlp(width, config.size("ffn_dim"), config.activation("activation_function"), bias=True)
    layers["mlp"] = replace(mlp, inner_norm=InnerNorm("layernorm", norm.eps))
    places: Fields = {"offset": padding + 1, "ids": Ids(padding=padding), "fixed": FixedTable("fairseq")}
    rows = config.size("max_position_embeddings") + padding + 1
    inputs: tuple[Named, ...] = (Named("position", Embedding(rows, width, "position", **places)),)
    if not within:  # text or image
        inputs = (*inputs, Named("segment", Embedding(SEGMENTS, width, "segment")))
    config.override("hidden_size", width)
    config.override("num_hidden_layers", config.size("layers"))
    blocks = repeat_block(prenorm_block("block", norm, **layers), config.size("layers"))
    scale = width**0.5 if config.flag("scale_embedding", True) else 1.0
    tied = config.flag("tie_word_embeddings", True)
    head = Head(vocab, width, TOKENS if tied else None)
    return causal_lm(config, blocks, norm, head=head, inputs=inputs, tied=tied, embedding_scale=scale)
