"""Names of published checkpoints where transformers 5 keeps tensors otherwise: experts one by one, older names.

A line: ``model_type``, then words that change the stored names of its layout, in their order: ``old/new`` replaces a
text; with several new ones, ``old/new,new``, the tensors that are stored as one are stored each on its own. A word without
a slash is one of the sets of words below. Where published checkpoints store as one what the layout keeps apart, ``MERGED``
has the rules.
"""

from __future__ import annotations

from functools import cache

_GATED = ".experts.gate_up_proj/.experts.{x}.%s.weight,.experts.{x}.%s.weight .experts.down_proj/.experts.{x}.%s.weight"
_SETS = {
    "experts": _GATED % ("gate_proj", "up_proj", "down_proj"),
    "w1w3w2": _GATED % ("w1", "w3", "w2"),
    "ungated": ".experts.up_proj/.experts.{x}.up_proj.weight .experts.down_proj/.experts.{x}.down_proj.weight",
    "block_sparse": ".mlp./.block_sparse_moe.",
    "granite": """.experts.gate_up_proj/.input_linear.weight .experts.down_proj/.output_linear.weight
        .router.weight/.router.layer.weight""",
    "beside_a_tower": """model.language_model./language_model.model. lm_head./language_model.lm_head.
        model.multi_modal_projector./multi_modal_projector.""",
    "convolutions": ".conv1d.weight/.q_conv1d.weight,.k_conv1d.weight,.v_conv1d.weight",
}
_TABLE = """
gpt_neox           lm_head./embed_out.
lara_mini          .linear_attn.norm./.linear_attn.out_norm.
mamba_ssm          backbone.embeddings./backbone.embedding.
mixtral            w1w3w2 block_sparse
minimax            w1w3w2 block_sparse
minimax_m2         w1w3w2 .mlp.gate.e_score/.mlp.e_score block_sparse
phimoe             w1w3w2 .mlp.router./.mlp.gate. block_sparse
granitemoe         granite
granitemoeshared   granite
granitemoehybrid   granite
hy_v3              experts .mlp.gate.weight/.mlp.router.gate.weight .mlp.gate.e_score_correction_bias/.mlp.expert_bias
                   .mlp.shared_experts./.mlp.shared_mlp.
exaone_moe         experts .mlp.gate.e_score/.mlp.e_score
mimo_v2_flash      experts .self_attn.sinks/.self_attn.attention_sink_bias
laguna             experts .mlp.gate.e_score/.mlp.experts.e_score .mlp.shared_experts./.mlp.shared_expert.
ernie4_5_moe       experts .mlp.gate.moe_statics./.mlp.moe_statics.
sarvam_moe         experts model.embed_tokens./model.word_embeddings. .self_attn./.attention. .attention.o_proj./.attention.dense.
                   .q_norm./.query_layernorm. .k_norm./.key_layernorm. .e_score_correction_bias/.expert_bias
axk1               experts .mlp.post_mlp_layernorm./.post_mlp_layernorm.
axk2               experts .mlp.fc1./.W_down. .mlp.fc2./.W_up. .q_gate_proj./.q_b_proj.
aria_text          .experts.gate_up_proj/.experts.fc1.weight .experts.down_proj/.experts.fc2.weight
nemotron_h         ungated model./backbone.
nemotron_h_omni    ungated language_model.model./language_model.backbone. multi_modal_projector.layer_norm./mlp1.0.
                   multi_modal_projector.linear_1./mlp1.1. multi_modal_projector.linear_2./mlp1.3.
                   vision_final_layernorm./vision_projector.vision_final_layernorm. audio_tower./sound_encoder.encoder.
                   embed_audio.layer_norm./sound_projection.norm. embed_audio.linear_1./sound_projection.linear1.
                   embed_audio.linear_2./sound_projection.linear2. vision_model.encoder.layer./vision_model.radio_model.model.blocks.
                   .attention.o_proj./.attn.proj. vision_model.embeddings./vision_model.radio_model.model.patch_generator.
                   .video_patch_projection./.video_embedder. .patch_projection./.embedder. .position_embedding/.pos_embed
                   .cls_register_token/.cls_token.token
kimi_linear        w1w3w2 convolutions .mlp./.block_sparse_moe. .forget_gate./.
bailing_hybrid     experts convolutions .forget_gate./. model.embed_tokens./model.word_embeddings. .self_attn./.attention.
                   .attention.o_proj./.attention.dense. .e_score_correction_bias/.expert_bias
olmo_hybrid        convolutions
lfm2_moe           .experts.gate_up_proj/.experts.{x}.w1.weight,.experts.{x}.w3.weight
                   .experts.down_proj/.experts.{x}.w2.weight
lfm3               .self_attn.g_proj./.self_attn.gate_proj.
flint              experts .self_attn.sinks/.self_attn.softmax_offset
kolibri1           experts .mlp.gate.e_score_correction_bias/.moe.router.expert_bias .post_self_attn_layernorm./.post_attn_norm. .post_mlp_layernorm./.post_ffn_norm.
exaone             model.embed_tokens./transformer.wte. model.layers./transformer.h. model.norm./transformer.ln_f.
                   .self_attn.o_proj./.attn.attention.out_proj. .self_attn./.attn.attention. .input_layernorm./.ln_1.
                   .post_attention_layernorm./.ln_2. .gate_proj./.c_fc_0. .up_proj./.c_fc_1. .mlp.down_proj./.mlp.c_proj.
llava              beside_a_tower model.vision_tower./vision_tower.vision_model.
llava_next         beside_a_tower model.vision_tower./vision_tower.vision_model.
                   model.image_newline/image_newline
llava_onevision    beside_a_tower model.vision_tower./vision_tower.vision_model.
                   model.image_newline/image_newline
vipllava           beside_a_tower model.vision_tower./vision_tower.vision_model.
paligemma          beside_a_tower model.vision_tower./vision_tower.vision_model.
gemma3             beside_a_tower model.vision_tower./vision_tower.vision_model.
mistral3           beside_a_tower model.vision_tower./vision_tower.
internvl           beside_a_tower model.vision_tower./vision_tower.
mllama             beside_a_tower model.vision_model./vision_model.
qwen2_vl           model.language_model./model. model.visual./visual.
qwen2_5_vl         model.language_model./model. model.visual./visual.
qwen3_omni_moe_text experts
unlimited_ocr_text experts
kimi_k25           experts model.language_model/language_model.model lm_head/language_model.lm_head
                   model.vision_tower.patch_embed.pos_emb.position_embeddings/vision_tower.patch_embed.pos_emb.weight
                   model.vision_tower.patch_embed/vision_tower.patch_embed
                   model.vision_tower.layers./vision_tower.encoder.blocks. model.vision_tower./vision_tower.encoder.
                   .attn.proj./.wo. .norm1./.norm0. .norm2./.norm1. .mlp.fc1./.mlp.fc0. .mlp.fc2./.mlp.fc1.
                   model.mm_projector.in_proj./mm_projector.proj.0. model.mm_projector.out_proj./mm_projector.proj.2.
                   model.mm_projector./mm_projector.
deepseek_v4        w1w3w2 .shared_experts.gate_proj./.shared_experts.w1. .shared_experts.down_proj./.shared_experts.w2.
                   .shared_experts.up_proj./.shared_experts.w3. .gate.e_score_correction_bias/.gate.bias
                   .compressor.indexer.scorer.weights_proj./.indexer.weights_proj. .compressor.indexer.q_b_proj./.indexer.wq_b.
                   .compressor.indexer./.indexer.compressor. .compressor.kv_norm./.compressor.norm.
                   .compressor.gate_proj./.compressor.wgate. .compressor.kv_proj./.compressor.wkv. .position_bias/.ape
                   .self_attn.q_a_proj./.attn.wq_a. .self_attn.q_b_proj./.attn.wq_b. .self_attn.kv_proj./.attn.wkv.
                   .self_attn.o_a_proj./.attn.wo_a. .self_attn.o_b_proj./.attn.wo_b. .self_attn.sinks/.attn.attn_sink
                   .self_attn.q_a_norm./.attn.q_norm. .self_attn./.attn. .mlp./.ffn. .input_layernorm./.attn_norm.
                   .post_attention_layernorm./.ffn_norm. .attn_hc./.hc_attn_ .ffn_hc./.hc_ffn_
                   model.hc_head.hc_/hc_head_ model.embed_tokens./embed. lm_head./head. model./
hy_v4              experts .sinks/.learnable_sink_param .self_attn.gate_proj/.self_attn.linear_gate
                   .attn_hc./.hc_pre.hc_attn_layer.hc_ .ffn_hc./.hc_pre.hc_mlp_layer.hc_
                   .hc_head.hc_/.hc_pre.hc_head.hc_head_
nomic_bert         layers.{i}/encoder.layers.{i} .embeddings.LayerNorm./.emb_ln. .self_attn.o_proj./.attn.out_proj.
                   .up_proj./.fc11. .gate_proj./.fc12. .down_proj./.fc2. .post_attention_layernorm./.norm1.
                   .post_mlp_layernorm./.norm2.
jina_embeddings_v3 layers.{i}/encoder.layers.{i} .embeddings.LayerNorm./.emb_ln. .self_attn.o_proj./.mixer.out_proj.
                   .post_attention_layernorm./.norm1. .post_mlp_layernorm./.norm2.
gte                layers.{i}/encoder.layer.{i} .self_attn.o_proj./.attention.o_proj.
                   .post_attention_layernorm./.attn_ln. .post_mlp_layernorm./.mlp_ln. lm_head.layer_norm./lm_head.norm.
qwen2_audio        beside_a_tower model.audio_tower./audio_tower.
audioflamingo3     beside_a_tower model.audio_tower./audio_tower.
musicflamingo      beside_a_tower model.audio_tower./audio_tower.
voxtral_realtime   beside_a_tower model.audio_tower./audio_tower.
glmasr             beside_a_tower model.audio_tower./audio_tower.
aya_vision         beside_a_tower model.vision_tower./vision_tower.vision_model.
got_ocr2           beside_a_tower model.vision_tower./vision_tower.vision_model.
qwen2_5_omni_thinker model.language_model./model. model.visual./visual. model.audio_tower./audio_tower.
llava_next_video   beside_a_tower model.vision_tower./vision_tower.vision_model. model.image_newline/image_newline
qwen3_omni_moe_thinker experts model.language_model./model. model.visual./visual. model.audio_tower./audio_tower.
glm4v_moe          experts
cohere_asr         encoder.subsampling.layers./encoder.pre_encode.conv. encoder.subsampling.linear./encoder.pre_encode.out.
                   model.encoder.layers.{i}.self_attn.q_proj/model.encoder.layers.{i}.self_attn.linear_q
                   model.encoder.layers.{i}.self_attn.k_proj/model.encoder.layers.{i}.self_attn.linear_k
                   model.encoder.layers.{i}.self_attn.v_proj/model.encoder.layers.{i}.self_attn.linear_v
                   model.encoder.layers.{i}.self_attn.o_proj/model.encoder.layers.{i}.self_attn.linear_out
                   .relative_k_proj/.linear_pos .bias_u/.pos_bias_u .bias_v/.pos_bias_v .conv.norm./.conv.batch_norm.
                   model.{side}.layers./model.decoder.layers. proj_out./log_softmax.mlp.layer0.
                   decoder.pos_emb.weight/transf_decoder._embedding.position_embedding.pos_enc
                   decoder.embed_tokens./transf_decoder._embedding.token_embedding.
                   decoder.embedding_layernorm./transf_decoder._embedding.layer_norm. decoder.proj./encoder_decoder_proj.
                   decoder.norm./transf_decoder._decoder.final_layer_norm. decoder.layers./transf_decoder._decoder.layers.
                   decoder.layers.{i}.self_attn./decoder.layers.{i}.first_sub_layer. .encoder_attn./.second_sub_layer.
                   sub_layer.q_proj/sub_layer.query_net sub_layer.k_proj/sub_layer.key_net
                   sub_layer.v_proj/sub_layer.value_net sub_layer.o_proj/sub_layer.out_projection
                   .mlp.fc1./.third_sub_layer.dense_in. .mlp.fc2./.third_sub_layer.dense_out.
                   .input_layernorm./.layer_norm_1. .post_attention_layernorm./.layer_norm_2. .final_layernorm./.layer_norm_3.
dots3_note         vision_tower.blocks.{i}.mlp.experts.gate_up_proj/vision_tower.blocks.{i}.mlp.experts.{x}.fc1.weight,vision_tower.blocks.{i}.mlp.experts.{x}.fc3.weight
                   vision_tower.blocks.{i}.mlp.experts.down_proj/vision_tower.blocks.{i}.mlp.experts.{x}.fc2.weight experts
                   vision_tower.blocks.{i}.mlp.gate_proj./vision_tower.blocks.{i}.mlp.fc1. vision_tower.blocks.{i}.mlp.down_proj./vision_tower.blocks.{i}.mlp.fc2.
                   vision_tower.blocks.{i}.mlp.up_proj./vision_tower.blocks.{i}.mlp.fc3. vision_tower.blocks.{i}.mlp.gate.weight/vision_tower.blocks.{i}.mlp.gate_weight
                   .mlp.e_score_correction_bias/.mlp.router_bias .norm1./.norm_1. .norm2./.norm_2.
                   model.vision_tower.norm./model.vision_tower.post_trunk_norm. .merger./.adapter. model.vision_tower./vision_encoder.
                   audio_tower.adapter.norm./audio_tower.audio_adapter.proj.0. audio_tower.adapter.fc1./audio_tower.audio_adapter.proj.1.
                   audio_tower.adapter.fc2./audio_tower.audio_adapter.proj.3. audio_tower.layer_norm./audio_tower.dots_encoder.speech_encoder.layer_norm.
                   audio_tower.conv_stem.conv_out./audio_tower.dots_encoder.speech_encoder.conv_out.
                   audio_tower.conv_stem.convs.0./audio_tower.dots_encoder.speech_encoder.conv2d1.
                   audio_tower.conv_stem.convs.1./audio_tower.dots_encoder.speech_encoder.conv2d2.
                   audio_tower.conv_stem.convs.2./audio_tower.dots_encoder.speech_encoder.conv2d3.
                   audio_tower.layers./audio_tower.dots_encoder.speech_encoder.layers. speech_encoder.layers.{i}.self_attn.o_proj./speech_encoder.layers.{i}.self_attn.out_proj.
                   speech_encoder.layers.{i}.input_layernorm./speech_encoder.layers.{i}.self_attn_layer_norm.
                   speech_encoder.layers.{i}.post_attention_layernorm./speech_encoder.layers.{i}.final_layer_norm.
                   speech_encoder.layers.{i}.mlp.gate_up_proj./speech_encoder.layers.{i}.fc1. speech_encoder.layers.{i}.mlp.down_proj./speech_encoder.layers.{i}.fc2.
                   model.audio_tower./audio_encoder. model.language_model./model.
qwen2_5_omni       thinker.model.audio_tower./thinker.audio_tower. thinker.model.visual./thinker.visual. thinker.model.language_model./thinker.model.
qwen3_omni_moe     experts thinker.model.audio_tower./thinker.audio_tower. thinker.model.visual./thinker.visual. thinker.model.language_model./thinker.model.
kyutai_speech_to_text codec_model.encoder.{n}/codec_model.{n} codec_model.decoder.{n}/codec_model.{n}
                   codec_model.encoder.encoder_seanet./codec_model.encoder. codec_model.decoder.decoder_seanet./codec_model.decoder.
moshi              audio_encoder.encoder.{n}/audio_encoder.{n} audio_encoder.decoder.{n}/audio_encoder.{n}
                   audio_encoder.encoder.encoder_seanet./audio_encoder.encoder. audio_encoder.decoder.decoder_seanet./audio_encoder.decoder.
emu3               model.text_model./text_model.model. lm_head./text_model.lm_head. model.vqmodel./vqmodel.
paddleocr_vl       model.language_model./model. model.visual./visual. model.projector./mlp_AR.
hyperclovax_vision_v2 lm_head./model.language_model.lm_head. model.projector./model.vision_projector.
cosmos3_omni       model.language_model./ model.visual./ .self_attn.q_proj./.self_attn.to_q. .self_attn.k_proj./.self_attn.to_k.
                   .self_attn.v_proj./.self_attn.to_v. .self_attn.o_proj./.self_attn.to_out. .self_attn.q_norm./.self_attn.norm_q.
                   .self_attn.k_norm./.self_attn.norm_k.
aria               beside_a_tower model.vision_tower./vision_tower.vision_model.
                   .experts.gate_up_proj/.experts.fc1.weight .experts.down_proj/.experts.fc2.weight
fuyu               beside_a_tower model.vision_tower./vision_tower.vision_model.
                   model.vision_embed_tokens./vision_embed_tokens.
ultravbert         projection_head./head.
dory               model./backbone. .embed_tokens./.embeddings. .self_attn.gate_proj./.self_attn.g_proj.
glm5_next_text     experts convolutions .forget_gate./. .attn_hc./.hc_attn_ .ffn_hc./.hc_ffn_
mistral_large4_text w1w3w2 .mlp.experts./.experts. .mlp.gate.weight/.gate.weight .mlp.shared_experts./.shared_experts. .mlp./.feed_forward.
                   .self_attn./.attention. .softmax_scaling.scale/.ssmax_scaling.s .softmax_scaling.bias/.ssmax_scaling.b
                   .kv_a_proj_with_mqa./.wkv_a_with_mqa. .kv_a_layernorm./.kv_a_norm. .kv_b_proj./.wkv_b. .attention.q_proj./.attention.wq.
                   .input_layernorm./.attention_norm. .post_attention_layernorm./.ffn_norm.
t5gemma2           model.encoder.text_model./model.encoder.
colpali            vlm.language_model./vlm.language_model.model.
minimax_m3_vl      model.language_model./language_model.model. lm_head./language_model.lm_head. model.vision_tower./vision_tower.vision_model.
                   vision_model.layers./vision_model.encoder.layers. model.multi_modal_projector.merge_linear_/patch_merge_mlp.linear_
                   model.multi_modal_projector./multi_modal_projector. w1w3w2 .mlp.gate.e_score/.mlp.e_score
                   .shared_experts.gate_up_proj.weight/.shared_experts.gate_proj.weight,.shared_experts.up_proj.weight
                   language_model.model.layers.{i}.mlp./language_model.model.layers.{i}.block_sparse_moe.
shieldgemma2       model.model.language_model./model.model.language_model.model.
video_llava        beside_a_tower model.{side}/{side}
hunyuan_vl         model.vision_tower.patch_merger.proj_conv./vit.perceive.proj.0. model.vision_tower.patch_merger.proj_out./vit.perceive.proj.2.
                   model.vision_tower.patch_merger./vit.perceive. model.vision_tower./vit. vit.layers.{i}.layer_norm1./vit.layers.{i}.input_layernorm.
                   vit.layers.{i}.layer_norm2./vit.layers.{i}.post_attention_layernorm. .mlp.fc1./.mlp.dense_h_to_4h.
                   .mlp.fc2./.mlp.dense_4h_to_h. model.language_model./model.
step3p7            model.vision_model./vision_model. model.multi_modal_projector./vit_large_projector. model.language_model./model.
                   .embeddings.patch_embedding.weight/.conv1.weight .embeddings.position_embedding.weight/.positional_embedding
                   vision_model.layers./vision_model.transformer.resblocks. .pre_layernorm./.ln_pre. .downsampler/.vit_downsampler
                   .lambda_1/.ls_1.gamma .lambda_2/.ls_2.gamma resblocks.{i}.mlp.fc1./resblocks.{i}.mlp.c_fc.
                   resblocks.{i}.mlp.fc2./resblocks.{i}.mlp.c_proj. resblocks.{i}.self_attn./resblocks.{i}.attn.
                   .layernorm_before./.ln_1. .layernorm_after./.ln_2. .mlp.gate.e_score_correction_bias/.moe.router_bias
                   .mlp.gate.weight/.moe.gate.weight .mlp.shared_experts./.share_expert. .mlp.experts.down_proj/.moe.down_proj.weight
                   .mlp.experts.gate_up_proj/.moe.gate_proj.weight,.moe.up_proj.weight
qianfan_ocr        model.vision_tower.layers./vision_model.encoder.layers. model.vision_tower./vision_model. model.language_model./language_model.model.
                   lm_head./language_model.lm_head. .lambda_1/.ls1 .lambda_2/.ls2 .attention.projection_layer./.attn.proj.
                   .layernorm_before./.norm1. .layernorm_after./.norm2. .embeddings.cls_token/.embeddings.class_embedding
                   .embeddings.position_embeddings/.embeddings.position_embedding
                   .embeddings.patch_embeddings.projection./.embeddings.patch_embedding.
                   model.multi_modal_projector.layer_norm./mlp1.0. model.multi_modal_projector.linear_1./mlp1.1.
                   model.multi_modal_projector.linear_2./mlp1.3.
tipsv2_text_model  embeddings.token_embedding./token_embedding. encoder.layers./transformer.resblocks. final_layer_norm./ln_final.
                   .layer_norm1./.ln_1. .layer_norm2./.ln_2. .self_attn./.attn. .mlp.fc1./.mlp.c_fc. .mlp.fc2./.mlp.c_proj.
lfm3_vl            .vision_tower.patch_embed./.vision_tower.patchifier. vision_tower.layers.{i}.self_attn.q_norm./vision_tower.layers.{i}.self_attn.q_layernorm.
                   vision_tower.layers.{i}.self_attn.k_norm./vision_tower.layers.{i}.self_attn.k_layernorm.
"""
_EXPERTS = """
afmoe beam cohere2_moe deepseek deepseek_v2 deepseek_v3 deepseek_v32 dots1 flex_olmo glm4_moe glm4_moe_lite glm_moe_dsa
hunyuan_v1_moe jamba kimi_k2 longcat_flash mellum olmoe qwen2_moe qwen3_5_moe qwen3_5_moe_text qwen3_moe qwen3_next qwen4_exp_text
sarvam_mla solar_open
"""
_QKV = """
{m}%s.weight <- attention.wq attention.wk attention.wv
{m}%s.bias <- attention.bq attention.bk attention.bv
"""


def _qkv(name: str) -> str:
    return _QKV % (name, name)


def _side_by_side(layer: str, weight: str, bias: str, note: str = "") -> str:
    return f"""
{layer}.{weight} <- attention.wq attention.wk attention.wv{note}
{layer}.{bias} <- attention.bq attention.bk attention.bv{note}
"""


MERGED = {
    "lara_mini": "{m}layers.{i}.linear_attn.in_proj.weight <- gated_delta_net.wq gated_delta_net.wk gated_delta_net.wv"
    " gated_delta_net.wz gated_delta_net.wb gated_delta_net.wa\n",
    "sarvam_moe": _qkv("layers.{i}.attention.query_key_value"),
    "nomic_bert": _qkv("encoder.layers.{i}.attn.Wqkv"),
    "jina_embeddings_v3": _qkv("encoder.layers.{i}.mixer.Wqkv"),
    "step3p7": _side_by_side(
        "vision_model.transformer.resblocks.{i}.attn", "in_proj_weight", "in_proj_bias", " | tower"
    ),
    "qianfan_ocr": _side_by_side("vision_model.encoder.layers.{i}.attn", "qkv.weight", "qkv.bias", " | tower"),
    "tipsv2_text_model": _side_by_side("transformer.resblocks.{i}.attn", "in_proj_weight", "in_proj_bias"),
    "kimi_k25": _QKV.replace("{m}", "")
    % ("vision_tower.encoder.blocks.{i}.wqkv", "vision_tower.encoder.blocks.{i}.wqkv"),
    "nemotron_h_omni": "vision_model.radio_model.model.blocks.{i}.attn.qkv.weight"
    " <- attention.wq attention.wk attention.wv | vision\n"
    "vision_model.radio_model.model.blocks.{i}.attn.qkv.bias <- attention.bq attention.bk attention.bv | vision\n",
    "gte": _qkv("encoder.layer.{i}.attention.qkv_proj")
    + "{m}encoder.layer.{i}.mlp.up_gate_proj.weight <- mlp.wu mlp.wg\n",
}


@cache
def _words() -> dict[str, tuple[str, ...]]:
    lines: list[list[str]] = [[name, "experts"] for name in _EXPERTS.split()]
    for line in _TABLE.strip().splitlines():
        if line.startswith(" "):
            lines[-1] += line.split()
        else:
            lines.append(line.split())
    return {family: tuple(one for word in words for one in _SETS.get(word, word).split()) for family, *words in lines}


def published(text: str, family: str) -> str:
    r"""The text of a layout with the names that checkpoints of a family were published under.

    >>> published("a.mlp.experts.gate_up_proj <- moe.wg moe.wu", "mixtral").splitlines()[0]
    'a.block_sparse_moe.experts.{x}.w1.weight <- moe.wg'
    """
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    for word in _words().get(family, ()):
        old, _, new = word.partition("/")
        lines = [changed for line in lines for changed in _changed(line, old, new.split(","))]
    first = next((line for line in lines if "layers.{i}" in line or "layer.{i}" in line), "")
    prefix = first[: max(first.find("encoder.layer"), 0) or max(first.find("layers.{i}"), 0)]
    return MERGED.get(family, "").replace("{m}", prefix) + "\n".join(lines)


def _changed(line: str, old: str, new: list[str]) -> list[str]:
    stored, _, rest = line.partition(" <- ")
    parts, bar, notes = rest.partition("|")
    names = parts.split()
    if old not in stored or ("{x}" in new[0] and "{x}" in stored):
        return [line]
    if len(new) == 1:
        return [f"{stored.replace(old, new[0])} <- {rest}"]
    if len(names) != len(new):
        return [line]
    return [f"{stored.replace(old, one)} <- {name} {bar}{notes}".rstrip() for one, name in zip(new, names, strict=True)]
