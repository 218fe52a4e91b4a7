"""Types of configs that are no language model's, so that what is said of them can be of use."""

from __future__ import annotations

import re

from .composite_configs import USUAL

# by what their input is; a name that ends as a part of a larger model does is not repeated here
_TABLE = {
    "images": """
        apertus1p5_vision_tokenizer beit bit chameleon_vqgan chmv2 conditional_detr convnext convnextv2 cvt d_fine
        dab-detr data2vec-vision deformable_detr deimv2 deit depth_anything depth_pro detr dinat dinov2
        dinov2_with_registers dinov3_convnext dinov3_vit donut-swin dpt edgetam edgetam_video efficientloftr
        efficientnet emu3_vqgan eomt eomt_dinov3 flava_image_codebook flava_image_model focalnet glm_image_vqmodel
        glpn hgnet_v2 hiera ijepa imagegpt janus_vqgan levit lightglue lw_detr lw_detr_vit mask2former maskformer
        maskformer-swin mgp-str mlcd mobilenet_v1 mobilenet_v2 mobilevit mobilevitv2 omdet-turbo oneformer
        pixio pixtral poolformer pp_doclayout_v2 pp_doclayout_v3 pp_doclayout_v4 pp_lcnet pp_lcnet_v3
        pp_lcnet_v4 pp_ocrv5_mobile_det pp_ocrv5_mobile_rec pp_ocrv5_server_det pp_ocrv5_server_rec
        pp_ocrv6_medium_det pp_ocrv6_small_det pp_ocrv6_small_rec pp_ocrv6_tiny_rec prompt_depth_anything pvt pvt_v2
        radio regnet resnet rf_detr rf_detr_dinov2 rt_detr rt_detr_resnet rt_detr_v2 sam sam2 sam2_video sam3
        sam3_tracker sam3_tracker_video sam3_video sam3_vit_model sam_hq sapiens2 segformer seggpt slanet slanext
        superglue superpoint swiftformer swin swin2sr swinv2 table-transformer textnet timesformer timm_backbone
        timm_wrapper tipsv2_dpt upernet uvdoc uvdoc_backbone videomae videomt vit vit_mae vit_msn vitdet vitmatte
        vitpose vitpose_backbone vivit vjepa2 yolos zoedepth
    """,
    "sound": """
        audio-spectrogram-transformer audioflamingo3_encoder bark csm dac data2vec-audio dia encodec
        fastspeech2_conformer fastspeech2_conformer_hifigan fastspeech2_conformer_with_hifigan gradium_phonon_tts
        granite_speech5_ctc granite_speech5_encoder granite_speech_encoder granite_speech_plus_encoder higgs_audio_v2
        higgs_audio_v2_tokenizer hubert lasr_ctc lasr_encoder mimi nemotron3_5_asr nemotron3_diarization
        nemotron_asr_streaming neucodec omniasr_ctc parakeet_ctc parakeet_encoder parakeet_rnnt parakeet_tdt
        pe_audio_video_encoder pocket_tts pocket_tts_audio_tokenizer pocket_tts_audio_tokenizer_decoder
        pocket_tts_audio_tokenizer_encoder qwen2_5_omni_token2wav sew sew-d speecht5_hifigan unispeech unispeech-sat
        univnet vibevoice_acoustic_tokenizer vits wav2vec2 wav2vec2-bert wav2vec2-conformer wavlm wavtokenizer xcodec
        xcodec2
    """,
    "time series": """
        autoformer informer patchtsmixer patchtst time_series_transformer timesfm timesfm2_5
    """,
}
# parts of such models, and models of both text and something else that are read by neither's rules
_MORE = {
    "images": """
        deepseek_ocr2_encoder edgetam_mask_decoder edgetam_prompt_encoder edgetam_video_mask_decoder
        edgetam_video_prompt_encoder grounding-dino idefics2_perceiver idefics_perciever mm-grounding-dino
        molmo2_adapter nougat pe_video pe_video_encoder sam2_hiera_det_model sam3_lite_text tvp vision-text-dual-encoder
        sapiens2_head
    """,
    "sound": """
        canary canary_decoder cohere_asr csm_depth_decoder_model dia_decoder dia_encoder
        fun_asr_nano_encoder glmasr_encoder mimi_decoder mimi_encoder moonshine_streaming_encoder
        moshi_depth nemotron3_5_transcribe_word_timestamp nemotron_asr_streaming_encoder pe_audio_video pop2piano
        qwen2_5_omni_bigvgan qwen2_5_omni_dit qwen2_5_omni_talker qwen3_asr_encoder
        qwen3_omni_moe_talker_code_predictor qwen3_omni_moe_talker_text speech_to_text
        vibevoice_acoustic_tokenizer_decoder vibevoice_acoustic_tokenizer_encoder vibevoice_diffusion voxtral_encoder
        voxtral_realtime_encoder wavtokenizer_encoder
    """,
    "actions": "decision_transformer",
    "protein folding": "esmfold2",
}
ENCODED_MODALITIES = ("images", "sound")  # what stands in front of a language model
_SEGMENTING = re.compile(r"(sam\d?|sam_hq)_\w*(mask_decoder|prompt_encoder|geometry_encoder|detr_(en|de)coder)")
_PARTS = {
    "images": ("_vision", "_vision_model", "_vision_encoder"),
    "sound": ("_audio", "_audio_model", "_audio_encoder"),
}


def modality(model_type: str) -> str | None:
    """What a model of this type is of instead of language, such as images, sound or time series; None: nothing is
    known.
    """
    if model_type in USUAL:
        return None
    if _SEGMENTING.fullmatch(model_type):
        return "images"
    for name in {**_TABLE, **_MORE}:
        types = f"{_TABLE.get(name, '')} {_MORE.get(name, '')}"
        if model_type in types.split() or model_type.endswith(_PARTS.get(name, ())):
            return name
    return None
