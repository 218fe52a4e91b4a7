"""Which ``model_type`` is read by which function. A family is one line here and one function in a file beside it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from ....core.architecture import Architecture
from ..config import Config


class Family(NamedTuple):
    """How a ``model_type`` is read, and the layout of its stored tensors."""

    model_type: str
    module: str
    function: str
    layout: str

    def read(self, config: Config) -> Architecture:
        """The architecture of a config of this family."""
        function: Callable[[Config], Architecture] = getattr(import_module(f".{self.module}", __name__), self.function)
        return function(config)


# model_type: file.function [layout, if it is not the model_type's own]
_TABLE = """
llama             llama.llama
mistral           llama.mistral       llama
qwen2             llama.qwen2         llama
qwen3             llama.qwen3         llama
gemma             gemma.gemma         llama
gemma2            gemma.gemma2
gemma3_text       gemma.gemma3        gemma2
mixtral           moe.mixtral
qwen3_moe         moe.qwen3_moe       mixtral
gpt_oss           moe.gpt_oss
qwen2_moe         moe.qwen2_moe       qwen3_next
minimax_m2        moe.minimax_m2      mixtral
phimoe            moe.phimoe
olmoe             moe.olmoe           mixtral
flex_olmo         moe.flex_olmo
hunyuan_v1_moe    moe.hunyuan_v1_moe
granitemoe        granite_moe.granitemoe
granitemoeshared  granite_moe.granitemoe granitemoe
granitemoe_swa    granite_moe.granitemoe_swa granitemoe
dots1             moe_shared.dots1    glm4_moe
solar_open        moe_shared.solar_open glm4_moe
ernie4_5_moe      moe_shared.ernie4_5_moe
hy_v3             moe_shared.hy_v3    glm4_moe
exaone_moe        moe_shared.exaone_moe glm4_moe
mimo_v2_flash     moe_shared.mimo_v2_flash glm4_moe
laguna            moe_shared.laguna   glm4_moe
afmoe             moe_shared.afmoe
glm4_moe          deepseek.glm4_moe
sarvam_moe        deepseek.sarvam_moe glm4_moe
glm4_moe_lite     deepseek.glm4_moe_lite deepseek_v3
sarvam_mla        deepseek.deepseek_v3 deepseek_v3
youtu             deepseek.youtu      deepseek_v3
minicpm3          deepseek.minicpm3   deepseek_v3
deepseek_v32      dsa.deepseek_v32
glm_moe_dsa       dsa.glm_moe_dsa     deepseek_v32
axk1              dsa.axk1            deepseek_v32
axk2              dsa.axk2
qwen3_5_text      qwen3_5.qwen3_5     qwen3_5
qwen3_5_moe_text  qwen3_5.qwen3_5_moe qwen3_5
llama4_text       llama4.llama4
jetmoe            moe_special.jetmoe
minimax           moe_special.minimax
longcat_flash     moe_special.longcat_flash
cohere2_moe       moe_special.cohere2_moe glm4_moe
dbrx              moe_special.dbrx
beam              moe_special.beam
qwen3_vl_text     llama.qwen3         llama
qwen3_vl_moe_text moe.qwen3_moe       mixtral
qwen3_vl          multimodal.qwen3_vl
qwen3_vl_moe      multimodal.qwen3_vl qwen3_vl
qwen3_5           multimodal.qwen3_vl qwen3_vl
qwen3_5_moe       multimodal.qwen3_vl qwen3_vl
gemma4            multimodal.gemma4
llava             seeing.llava
llava_next        seeing.llava_next
llava_onevision   seeing.llava_next
vipllava          seeing.vipllava
paligemma         seeing.paligemma
gemma3            seeing.gemma3
mistral3          seeing.mistral3
idefics3          seeing.idefics3
smolvlm           seeing.idefics3
internvl          seeing.internvl
qwen2_vl          seeing.qwen2_vl
qwen2_5_vl        seeing.qwen2_vl
llama4            seeing.llama4
mllama            seeing.mllama
qwen2_audio       hearing.hears
audioflamingo3    hearing.hears
musicflamingo     hearing.hears
voxtral           hearing.hears
voxtral_realtime  hearing.hears
glmasr            hearing.hears
qwen3_asr         hearing.hears
omniasr           hearing.hears
vibevoice_asr     stages.vibevoice_asr
fun_asr_nano      hearing.fun_asr_nano
granite_speech    hearing.granite_speech
granite_speech_plus hearing.granite_speech
gemma3n           hearing.gemma3n
phi4_multimodal   hearing.phi4_multimodal
qwen2_5_omni_thinker omni.thinker
qwen3_omni_moe_thinker omni.thinker
qwen2_5_omni      omni.omni
qwen3_omni_moe    omni.omni
moss_transcribe_diarize hearing.hears
glm4v             sighted.whole
glm46v            sighted.whole
glmga             sighted.whole
glm4v_moe         sighted.whole
glm_ocr           sighted.whole
ernie4_5_vl_moe   sighted.whole
paddleocr_vl      sighted.whole
video_llama_3     sighted.whole
exaone4_5         sighted.whole
hyperclovax_vision_v2 sighted.whole
ovis2             sighted.whole
step3p7           sighted.whole
minimax_m3_vl     sighted.whole
hunyuan_vl        sighted.whole
hy_v4_vl          sighted.whole
cosmos3_edge      sighted.whole
cosmos3_omni      sighted.whole
qwen4_exp         sighted.whole
cohere_compass    sighted.whole
qianfan_ocr       sighted.whole
lighton_ocr       sighted.whole
aya_vision        sighted.whole
cohere2_vision    sighted.whole
lfm2_vl           sighted.whole
deepseek_vl       sighted.whole
muse_glimmer      sighted.whole
modernvbert       sighted.whole
ultravbert        sighted.whole
llava_next_video  seeing.llava_next
got_ocr2          sam.got_ocr2
pp_chart2table    sam.got_ocr2
unlimited_ocr     sam.unlimited_ocr
deepseek_vl_hybrid sam.deepseek_vl_hybrid
idefics2          resampled.idefics2
aria              resampled.aria
molmo2            resampled.molmo2
minicpmv4_6       minicpm_v.minicpm_v
minicpmv4_7       minicpm_v.minicpm_v
minicpm_ocr       minicpm_v.minicpm_v
fuyu              sighted.fuyu
video_llava       seeing.video_llava
shieldgemma2      seeing.gemma3
granite_docling   sighted.whole
lfm3_vl           sighted.whole
blip-2            blip2.blip2
instructblip      blip2.blip2
instructblipvideo blip2.blip2
deepseek_ocr2     sam.deepseek_ocr2
janus             janus.janus
kimi_k25          multimodal.kimi_k25
kimi_k3           multimodal.kimi_k3
kimi_k2           deepseek.deepseek_v3 deepseek_v3
deepseek_v4       streams.deepseek_v4
deepseek_ref      streams.deepseek_v4 deepseek_v4
hy_v4             streams.hy_v4
qwen4_exp_text    streams.qwen4
dots3_note_text   dots.dots3_note
minimax_m3_vl_text minimax.minimax_m3
minimax_m3        minimax.minimax_m3  minimax_m3_vl_text
aria_text         moe_shared.aria
deepseek_v2       deepseek.deepseek_v2  deepseek_v3
deepseek_v3       deepseek.deepseek_v3
qwen3_next        hybrid.qwen3_next
jamba             hybrid.jamba
nemotron_h        hybrid.nemotron_h
nemotron-nas      hybrid.nemotron_nas llama
bamba             mamba_hybrids.bamba jamba
granitemoehybrid  mamba_hybrids.granitemoehybrid
falcon_h1         mamba_hybrids.falcon_h1 jamba
kimi_linear       kimi.kimi_linear
bailing_hybrid    linear.bailing_hybrid
olmo_hybrid       linear.olmo_hybrid
lara_mini         linear.lara_mini
zaya              zaya.zaya
xlstm             recurrent.xlstm
recurrent_gemma   recurrent.recurrent_gemma
zamba             zamba.zamba
zamba2            zamba.zamba2
lfm2              lfm.lfm2
lfm2_moe          lfm.lfm2_moe        lfm2
lfm3              lfm.lfm3
mamba             ssm.mamba
falcon_mamba      ssm.falcon_mamba    mamba
mamba2            ssm.mamba2
rwkv              ssm.rwkv
gpt2              gpt.gpt2
openai-gpt        gpt.openai_gpt
bert              bert.bert
roberta           bert.roberta
camembert         bert.roberta
xlm-roberta       bert.roberta         camembert
data2vec-text     bert.roberta
ernie             bert.ernie
roberta-prelayernorm bert.prenorm
megatron-bert     bert.bare_prenorm
xlm-roberta-xl    bert.xlm_roberta_xl
bert-generation   bert.bert_generation
distilbert        bert_kin.distilbert
electra           bert_kin.electra
layoutlm          bert_kin.layoutlm
roc_bert          bert_kin.roc_bert
roformer          bert_kin.roformer
rembert           bert_kin.rembert
ibert             bert_kin.ibert
mpnet             bert_kin.mpnet
esm               bert_kin.esm
luke              bert_kin.luke
splinter          questions.splinter
canine            canine.canine
dpr               questions.dpr
markuplm          pages.markuplm
layoutlmv2        pages.layoutlmv2
layoutxlm         pages.layoutlmv2    layoutlmv2
layoutlmv3        pages.layoutlmv3
lilt              pages.lilt
bros              pages.bros
udop              udop.udop
visual_bert       images_and_text.visual_bert
blip_2_qformer    qformer.blip2       blip_2_queries
instructblip_qformer qformer.instructblip blip_2_qformer
instructblipvideo_qformer qformer.instructblip blip_2_qformer
vilt              images_and_text.vilt
lxmert            images_and_text.lxmert
colpali           retrieval.retrieval
colqwen2          retrieval.retrieval
colmodernvbert    retrieval.retrieval
xmod              bert_blocks.xmod
mobilebert        bert_blocks.mobilebert
convbert          bert_blocks.convbert
squeezebert       bert_blocks.squeezebert
fnet              long_encoders.fnet
nystromformer     long_encoders.nystromformer
yoso              long_encoders.yoso
mra               long_encoders.mra
longformer        long_encoders.longformer
xlnet             xlnet.xlnet
xlm               xlnet.xlm
flaubert          xlnet.xlm           xlm
deberta           deberta.deberta
deberta-v2        deberta.deberta_v2
neomme            neomme.neomme
modernbert-decoder encoders.modernbert_decoder
funnel            funnel.funnel
perceiver         perceiver.perceiver
big_bird          long_encoders.big_bird
reformer          reformer.reformer
modernbert        encoders.modernbert
eurobert          encoders.eurobert    llama
ultrabert         encoders.ultrabert
nomic_bert        encoders.nomic_bert
gte               encoders.gte
jina_embeddings_v3 encoders.jina
esmc              encoders.esmc
albert            bert.albert
t5                t5.t5
mt5               t5.mt5              t5
umt5              t5.umt5             t5
longt5            t5.longt5
pop2piano         t5.pop2piano        t5
pix2struct_text_model t5.pix2struct
switch_transformers t5.switch
bart              bart.bart
plbart            bart.bart           bart
mbart             bart.mbart          bart
pegasus           bart.pegasus        bart
blenderbot        bart.pegasus        bart
blenderbot-small  bart.blenderbot_small bart
m2m_100           bart.m2m_100        bart
marian            bart.marian         bart
mvp               bart.mvp
pegasus_x         bart_long.pegasus_x
led               bart_long.led
bigbird_pegasus   bart_long.bigbird_pegasus
nllb-moe          translation.nllb_moe
fsmt              translation.fsmt
encoder-decoder   composed.encoder_decoder
t5gemma           composed.t5gemma
t5gemma2          t5gemma2.t5gemma2
t5gemma2_encoder  t5gemma2.encoder
t5gemma2_text     t5gemma2.text       t5gemma2_encoder
trocr             decoders.trocr
speech_to_text    speech.speech_to_text
moonshine         speech.moonshine
moonshine_streaming moonshine.streaming
speecht5          speecht5.speecht5
cohere_asr        speech.cohere_asr
canary            speech.canary       cohere_asr
pp_formulanet_text speech.pp_formulanet
pp_formulanet     captions.pp_formulanet
musicgen          music.musicgen
musicgen_decoder  music.decoder
musicgen_melody_decoder music.melody_decoder musicgen_decoder
whisper           decoders.whisper
prophetnet        decoders.prophetnet
seamless_m4t      translation.seamless_text
seamless_m4t_v2   translation.seamless_text seamless_m4t
arcee             llama_kin.arcee     llama
nemotron          llama_kin.nemotron  llama
jais2             llama_kin.jais2     llama
seed_oss          llama_kin.seed_oss  llama
helium            llama_kin.helium    llama
ernie4_5          llama_kin.ernie4_5  llama
granite           llama_kin.granite   llama
granite_swa       llama_kin.granite_swa llama
hyperclovax       llama_kin.hyperclovax
smollm3           llama_kin.smollm3   llama
ministral         llama_kin.ministral llama
ministral3        llama.mistral       llama
cwm               llama_kin.cwm       llama
hunyuan_v1_dense  llama_kin.hunyuan
apertus           llama_kin.apertus
nanochat          llama_kin.nanochat
bitnet            llama_kin.bitnet
vaultgemma        llama_kin.vaultgemma
exaone            llama.llama         llama
internlm3         llama.llama         llama
mimo              remote.mimo         llama
chatglm           remote.chatglm
baichuan          remote.baichuan
internlm          remote.internlm2    llama
internlm2         remote.internlm2
qwen              remote.qwen
minicpm           remote.minicpm      llama
orion             remote.orion        llama
xverse            llama.llama         llama
skywork           llama.llama         llama
aquila            llama.llama         llama
Yi                llama.llama         llama
Dream             llama.qwen2         llama
stablelm_epoch    phi.stablelm        stablelm
deepseek          remote_moe.deepseek glm4_moe
bailing_moe       remote_moe.bailing_moe
bailing_moe_v2    remote_moe.bailing_moe_v2 bailing_moe
minimax_text_01   remote_moe.minimax_text_01 minimax
minimax_m1        remote_moe.minimax_text_01 minimax
openelm           remote_moe.openelm
mamba_ssm         original.mamba_ssm  mamba
mistral_params    original.mistral_params
llama_params      original.llama_params mistral_params
iquestcoder       llama.llama         llama
gpt-sw3           gpt.gpt2            gpt2
gpt_neox          neox.gpt_neox
gpt_neox_japanese neox.gpt_neox_japanese
persimmon         neox.persimmon
bloom             neox.bloom
falcon            neox.falcon
mpt               neox.mpt
gptj              gptj.gptj
codegen           gptj.gptj
ctrl              gptj.ctrl
gpt_neo           gpt_neo.gpt_neo
gpt_bigcode       gpt_neo.gpt_bigcode
opt               opt.opt
biogpt            opt.biogpt
xglm              opt.xglm
phi               phi.phi
phi3              phi.phi3
starcoder2        phi.starcoder2
stablelm          phi.stablelm
olmo              olmo.olmo           llama
olmo2             olmo.olmo2
olmo3             olmo.olmo3          olmo2
exaone4           olmo.exaone4        olmo2
cohere            cohere.cohere       llama
cohere2           cohere.cohere2      llama
cohere_compass_text cohere.cohere_compass llama
glm               glm.glm
glm4              glm.glm4            glm
mellum            moe_windowed.mellum mixtral
flint             moe_windowed.flint
kolibri1          moe_windowed.kolibri1
gemma4_text       gemma4.gemma4
gemma4_unified_text gemma4.gemma4       gemma4_text
gemma4_assistant  gemma4_assistant.assistant
gemma4_unified_assistant gemma4_assistant.assistant gemma4_assistant
gemma3n_text      gemma3n.gemma3n
qwen2_vl_text     llama.qwen2         llama
qwen2_5_vl_text   llama.qwen2         llama
qwen2_5_omni_text llama.qwen2         llama
emu3_text_model   llama.llama         llama
paddleocr_vl_text llama_kin.paddleocr llama
granite_docling_text llama_kin.granite llama
granite4_vision_text llama_kin.granite llama
cosmos3_edge_text llama_kin.arcee
glm4v_text        glm.glm4            glm
glm_image_text    glm.glm_image       glm
glm4v_moe_text    deepseek.glm4_moe   glm4_moe
hy_v4_vl_text     streams.hy_v4       hy_v4
glm_ocr_text      glm.glm_ocr         glm
hunyuan_vl_text   llama_kin.hunyuan   hunyuan_v1_dense
qwen3_omni_moe_text moe.qwen3_moe     mixtral
mistral4          deepseek.mistral4   deepseek_v3
deepseek_ocr2_text deepseek.deepseek_ocr glm4_moe
unlimited_ocr_text deepseek.deepseek_ocr glm4_moe
tapas             bert_kin.tapas
git               seeing.git
clip_text_model   clip_text.clip
metaclip_2_text_model clip_text.metaclip_2 clip_text_model
siglip_text_model clip_text.siglip    clip_text_model
siglip2_text_model clip_text.siglip   clip_text_model
xclip_text_model  clip_text.clip      clip_text_model
clipseg_text_model clip_text.clip     clip_text_model
groupvit_text_model clip_text.clip    owlvit_text_model
owlvit_text_model clip_text.clip
owlv2_text_model  clip_text.clip      owlvit_text_model
flava_text_model  text_towers.flava
altclip_text_model text_towers.altclip
clap_text_model   text_towers.clap
bridgetower_text_model text_towers.bridgetower
aimv2_text_model  text_towers.aimv2
tipsv2_text_model text_towers.tipsv2  clip_text_model
videoprism_text_model text_towers.videoprism
clvp_encoder      text_towers.clvp
clvp_decoder      clvp.decoder
clvp              clvp.whole
molmo2_text       llama_seen.molmo2
moshi             moshi.moshi
kyutai_speech_to_text llama_seen.kyutai
diffusion_gemma_text gemma4.diffusion_gemma gemma4_text
chameleon         llama_seen.chameleon
emu3              coded.emu3
evolla            evolla.evolla
florence2         florence.florence2
blip              captions.blip
pix2struct        captions.pix2struct
dots3_note        dots_note.dots3_note
nemotron_h_omni   nemotron_omni.nemotron_h_omni
granite4_vision   granite_vision.granite4_vision
apertus1p5        coded.apertus
step3p5           step.step3p5  glm4_moe
ernie4_5_vl_moe_text moe_shared.ernie4_5_vl
blip_text_model   bert_kin.blip_text bert
align_text_model  bert_kin.text_tower bert
chinese_clip_text_model bert_kin.text_tower bert
muse_glimmer_text muse.muse_glimmer
diffllama         llama_far.diffllama
doge              llama_far.doge
cpmant            llama_far.cpmant
mllama_text_model llama_far.mllama
kosmos_2_text_model seen_text.kosmos
kosmos_2_5_text_model seen_text.kosmos kosmos_2_text_model
voxtral_realtime_text seen_text.voxtral_realtime
idefics           idefics.idefics
apertus1p5_text   llama_far.apertus_text apertus
dory              looped.dory
hrm_text          looped.hrm_text
blt               blt.blt
muse_spark_text   newest.muse_spark
mistral_large4_text newest.mistral_large4
glm5_next_text    newest.glm5_next
inkling_text      inkling.inkling
inkling2_text     inkling2.inkling2
inkling2_loop_text inkling2.inkling2_loop inkling2_text
"""


def _parse(line: str) -> Family:
    model_type, target, *layout = line.split()
    module, _, function = target.partition(".")
    return Family(model_type, module, function, layout[0] if layout else model_type)


_FAMILIES = {entry.model_type: entry for entry in map(_parse, _TABLE.strip().splitlines())}


def find(model_type: str) -> Family | None:
    """The family of a ``model_type``, or None."""
    return _FAMILIES.get(model_type)


def names() -> list[str]:
    """All ``model_type``s that are understood."""
    return list(_FAMILIES)
