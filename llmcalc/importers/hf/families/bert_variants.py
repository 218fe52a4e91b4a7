"""Encoders that differ from BERT in positions, embeddings or heads."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Block, Branch, Named, Stack, Sublayer
from ....core.errors import short_repr
from ....layers import Attention, Embedding, Head, Ids, Linear, Mlp, Norm, Rope
from ....layers.parts.kv import Kv
from ....layers.score_biases.relative import Relative
from ..config import BIASED, Config, Fields
from ..rules import repeat_block
from .bert import (
    bert_attention,
    embedding_share,
    encoder,
    encoder_model,
    norm_sublayer,
    pooler,
    skip_padding,
    tied_head,
    transform,
    with_head,
)

ENDS = 2  # scores of a token as the start or end of a span
DPR = {"DPRQuestionEncoder": "dpr", "DPRContextEncoder": "dpr_context", "DPRReader": "dpr_reader"}
ENTITIES = "entity_embedding"


def xmod(config: Config) -> Architecture:
    """Read an X-MOD config [pfeiffer2022]. Each block stores one adapter per language but runs only one adapter."""
    post = not config.flag("pre_norm")
    config.ignore("default_language")
    stack = skip_padding(config, encoder(config, post=post))
    norm = config.layernorm(width=stack.d_model)
    *mixers, mlp = stack.runs[0].block.sublayers
    adapter = _adapter(config, norm, "" if post else f"{mlp.name}.pre_norm")
    mlp = Sublayer(mlp.name, mlp.branches, pre=None if post else norm)
    return with_head(config, _with_sublayers(stack, (*mixers, mlp, adapter)), activation="gelu")


def _with_sublayers(stack: Stack, sublayers: tuple[Sublayer, ...]) -> Stack:
    """Return a stack of equal blocks with other sub-layers."""
    (run,) = stack.runs
    return replace(stack, runs=(replace(run, block=replace(run.block, sublayers=sublayers)),))


def _adapter(config: Config, norm: Norm, before_mlp: str) -> Sublayer:
    """Return the adapter sub-layer. ``before_mlp`` is the name of the norm before the MLP, or empty."""
    languages = config.get("languages")
    if not isinstance(languages, list) or not languages or not all(isinstance(name, str) for name in languages):
        raise config.error("languages must be a list of strings")
    first, *rest = dict.fromkeys(languages)
    one = Mlp(norm.d_model, norm.d_model // config.size("adapter_reduction_factor"), config.activation(), bias=True)
    branches = (Branch(first, one), *(Branch(name, replace(one, unused=True)) for name in rest))
    again = replace(norm, weights_of=before_mlp or "adapter.norm")  # applied a second time
    reused, kept = config.flag("adapter_reuse_layer_norm"), config.flag("ln_before_adapter")
    before = norm if config.flag("adapter_layer_norm") else again if reused else None
    after = None if before_mlp else norm
    return Sublayer("adapter", branches, pre=before, after=after, residual_normed=kept and before is not None)


def dpr(config: Config) -> Architecture:
    """Read a DPR config [karpukhin2020]. Encoders embed the first token, and readers score spans and passages."""
    name = config.class_name() or "DPRQuestionEncoder"
    if name not in DPR:
        raise config.error(f"unknown DPR class {short_repr(name)}; expected one of {', '.join(DPR)}")
    config.override("architectures", ["ForPreTraining"])  # tensor names differ by class
    if config.flag("is_decoder") or config.flag("add_cross_attention"):
        raise config.error("is_decoder and add_cross_attention are not supported")
    stack, reads = encoder(config), name == "DPRReader"
    out = config.count("projection_dim")
    outputs = [Named("projection", Linear(stack.d_model, out, positions="one", dropped=reads))] if out else []
    if reads:
        if out not in (0, stack.d_model):
            raise config.error("projection_dim must equal hidden_size for the reader")
        config.add_unmodelled("the reader returns passage scores as well as span scores")
        outputs.append(Named("spans", Linear(stack.d_model, ENDS)))
        outputs.append(Named("passage", Linear(stack.d_model, 1, positions="one")))
    return replace(encoder_model(config, stack, outputs), layout=DPR[name])


def with_causal_head(config: Config, stack: Stack) -> Architecture:
    """Return the stack with a language-model head if the transformers class has one."""
    if config.head_kind("causal", "none") == "none":
        return encoder_model(config, stack, [])
    return encoder_model(config, stack, [Named("head", tied_head(config, stack.d_model, spare_bias=False))])


def xlm(config: Config) -> Architecture:
    """Read an XLM [lample2019] or FlauBERT [le2019] config. Norms come before or after the sub-layers."""
    adaptive = config.flag("asm") and config.head_kind() != "none"
    if adaptive or not config.flag("is_encoder", True):
        raise config.error("adaptive softmax (asm) and decoders (is_encoder: false) are not supported")
    config.ignore("sinusoidal_embeddings embed_init_std unk_index mask_index bos_index eos_index pad_index lang_id")
    config.ignore("start_n_top end_n_top lang2id id2lang asm_cutoffs asm_div_value max_vocab min_count")
    width, vocab = config.size("emb_dim"), config.vocab
    norm = config.layernorm(width=width)
    attention = Attention(width, config.size("n_heads"), causal=config.flag("causal"), **BIASED)
    mlp = Mlp(width, 4 * width, "gelu" if config.flag("gelu_activation") else "relu", bias=True)
    post = not config.flag("pre_norm")
    parts = (norm_sublayer("attention", attention, norm, post), norm_sublayer("mlp", mlp, norm, post))
    inputs = [
        Named("token", Embedding(vocab, width, share=embedding_share(config))),
        Named("position", Embedding(config.size("max_position_embeddings"), width, table="position")),
    ]
    languages = config.size("n_langs")
    if config.flag("use_lang_emb") and languages > 1:
        inputs.append(Named("language", Embedding(languages, width, table="other")))
    runs = repeat_block(Block("block", parts), config.size("n_layers"))
    return with_causal_head(config, Stack("encoder", width, (*inputs, Named("norm", norm)), runs, (), "encoder"))


def distilbert(config: Config) -> Architecture:
    """Read a DistilBERT config [sanh2019]. The model has no segments or pooler, and its head has a single bias."""
    activation = config.activation("activation")
    config.override("layer_norm_eps", 1e-12)
    config.ignore("sinusoidal_pos_embds qa_dropout seq_classif_dropout")  # a frozen table also counts as parameters
    stack = encoder(config, segments=False, mlp=Mlp(config.d_model, config.size("hidden_dim"), activation, bias=True))
    return generator(config, stack, stack.d_model, activation)


def electra(config: Config) -> Architecture:
    """Read an ELECTRA config [clark2020]. The model is a generator or a token discriminator with narrow embeddings."""
    narrow = config.size("embedding_size")
    config.ignore("summary_last_dropout")
    stack = encoder(config, narrow=narrow)
    if config.head_kind() == "pretraining":
        dense = Named("discriminator_dense", Linear(stack.d_model, stack.d_model, activation=config.activation()))
        return encoder_model(config, stack, [dense, Named("discriminator", Linear(stack.d_model, 1))])
    return generator(config, stack, narrow, "gelu")


def generator(config: Config, stack: Stack, width: int, activation: str = "gelu") -> Architecture:
    """Return the stack with ELECTRA's language-model head. Tied and untied heads both have one bias."""
    if config.head_kind() == "none":
        return encoder_model(config, stack, [])
    head = Named("head", tied_head(config, width, spare_bias=False))
    return encoder_model(config, stack, [*transform(config, stack.d_model, width, activation), head])


def roc_bert(config: Config) -> Architecture:
    """Read a RoCBert config [su2022]. Token, pronunciation and glyph embeddings are concatenated and projected."""
    width = config.d_model
    joined = width
    more = []
    for name in ("shape", "pronunciation"):
        rows, size = config.size(f"{name}_vocab_size"), config.size(f"{name}_embed_dim")
        used = config.flag(f"enable_{name}") and config.flag("concat_input")  # otherwise they are separate inputs
        fields: Fields = {"ids": Ids(own=f"input_{name}_ids"), "use": "joined"} if used else {"unused": True}
        more.append(Named(name, Embedding(rows, size, table="other", **fields)))
        joined += size if used else 0
    if config.flag("concat_input"):
        more.append(Named("join", Linear(joined, width)))
    stack = encoder(config)
    token, *rest = stack.inputs
    stack = replace(stack, inputs=(token, *more, *rest))
    if config.head_kind() == "pretraining":  # only the contrastive loss uses the pooler
        head = Named("head", tied_head(config, width))
        return encoder_model(config, stack, [pooler(width, dropped=True), *transform(config, width), head])
    return with_head(config, stack)


def roformer(config: Config) -> Architecture:
    """Read a RoFormer config [su2021]. Rotary positions use a stored table, and embeddings may be narrow."""
    narrow = config.optional_size("embedding_size") or config.d_model
    rotary: Fields = {"rope": Rope(interleaved=True), "kv": Kv(rope=True) if config.flag("rotary_value") else None}
    stack = encoder(config, narrow=narrow, attention=bert_attention(config, **rotary), positions=False)
    rows = config.size("max_position_embeddings")
    angles = Named("position", Embedding(rows, config.d_model // config.n_heads, table="position", use="angles"))
    stack = replace(stack, inputs=(*stack.inputs, angles))
    return encoder_model(config, stack, []) if config.head_kind() == "none" else with_head(config, stack, narrow)


def rembert(config: Config) -> Architecture:
    """Read a RemBERT config [chung2020]. The narrow input embedding and the wide output embedding are never tied."""
    stack = encoder(config, narrow=config.size("input_embedding_size"))
    out = config.size("output_embedding_size")
    if config.head_kind() == "none":
        return with_head(config, _untied(stack))
    head = Named("head", Head(config.vocab, out, bias=True))
    return encoder_model(config, _untied(stack), [*transform(config, stack.d_model, out), head])


def _untied(stack: Stack) -> Stack:
    first, *rest = stack.inputs
    return replace(stack, inputs=(Named(first.name, replace(first.layer, share=None)), *rest))  # type: ignore[type-var]


def ibert(config: Config) -> Architecture:
    """Read an I-BERT config [kim2021]. I-BERT is RoBERTa with integer arithmetic, so its counts are the same."""
    config.ignore("force_dequant")
    config.unmodelled_unless("quant_mode", False)
    return with_head(config, skip_padding(config, encoder(config)), activation="gelu")


def mpnet(config: Config) -> Architecture:
    """Read an MPNet config [song2020]. All layers share one table of relative position biases."""
    attention = bert_attention(config, score_bias=Relative(config.size("relative_attention_num_buckets")))
    stack = skip_padding(config, encoder(config, segments=False, attention=attention), 1)
    return with_head(config, stack, activation="gelu")


def luke(config: Config) -> Architecture:
    """Read a LUKE config [yamada2020] for text without entities. Entity layers are stored but unused."""
    width, narrow, entities = (config.size(key) for key in ("hidden_size", "entity_emb_size", "entity_vocab_size"))
    stack = _untied(skip_padding(config, encoder(config)))
    if config.flag("use_entity_aware_attention"):
        query = Linear(width, width, unused=True)
        spare = tuple(Sublayer(f"{pair}_query", (Branch("query", query),)) for pair in ("w2e", "e2w", "e2e"))
        stack = _with_sublayers(stack, (*stack.runs[0].block.sublayers, *spare))
    share = ENTITIES if embedding_share(config) else None
    idle = [Named("entity", Embedding(entities, narrow, table="other", share=share, unused=True))]
    if narrow != width:
        idle.append(Named("entity_projection", Linear(narrow, width, bias=False, unused=True)))
    for table, key in (("position", "max_position_embeddings"), ("segment", "type_vocab_size")):
        idle.append(Named(f"entity_{table}", Embedding(config.size(key), width, table=table, unused=True)))
    idle.append(Named("entity_norm", replace(config.layernorm(width=width), unused=True)))
    stack = replace(stack, inputs=(*stack.inputs, *idle))
    if config.head_kind() == "none":
        return with_head(config, stack)
    head = Head(config.vocab, width, bias=True, unused_biases=0 if config.flag("tie_word_embeddings", True) else 1)
    outputs = [pooler(width, dropped=True), *transform(config, width, activation="gelu"), Named("head", head)]
    outputs.append(Named("entity_transform", Linear(width, narrow, unused=True)))
    outputs.append(Named("entity_transform_norm", replace(config.layernorm(width=narrow), unused=True)))
    outputs.append(Named("entity_head", Head(entities, narrow, share, bias=True, unused=True)))
    return encoder_model(config, stack, outputs)
