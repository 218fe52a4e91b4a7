"""Vision-language models: LLaVA, PaliGemma, Gemma 3 and 4, Qwen-VL, Llama, Kimi, Mistral, InternVL, GLM-4V and more."""

from __future__ import annotations

from dataclasses import replace

from ....core.architecture import Architecture, Named
from ....layers import Head
from .. import projectors
from ..composite_models import CompositeModel, Part, read_composite, vision_language
from ..config import Config


def read(config: Config) -> Architecture:
    """A vision-language model of the table."""
    return read_composite(config, MODELS[config.model_type])


def gemma3(config: Config) -> Architecture:
    """Gemma 3, and ShieldGemma 2, whose class for classification wraps it."""
    wrapped = config.class_name() == "ShieldGemma2ForImageClassification"
    if wrapped:
        config.override("architectures", None)
    found = read(config)
    return replace(found, layout="shieldgemma2") if wrapped else found


def video_llava(config: Config) -> Architecture:
    """Video-LLaVA [lin2023video]: one encoder for images and one for videos, with one projector."""
    found = read(config)
    *language, encoder = found.stacks
    if encoder.role != "tower":
        return found
    images, videos = replace(encoder, name="image_tower"), replace(encoder, name="video_tower")
    videos = replace(videos, outputs=encoder.outputs[:1])
    note = "both encoders are counted for the same number of patches; an image runs only the first"
    text = found.layout.partition(">")[2]
    stacks = (*language, images, videos)
    return replace(found, stacks=stacks, layout=f"video_llava>{text}", notes=(*found.notes, note))


def _without_logit_scale(config: Config, text: Architecture) -> Architecture:
    """The language model without a factor on its logits."""
    outputs = [
        Named(name, replace(layer, input_scale=1.0) if isinstance(layer, Head) else layer)
        for name, layer in text.main.outputs
    ]
    return replace(text, stacks=(replace(text.main, outputs=tuple(outputs)), *text.stacks[1:]))


CLIP, SIGLIP = "clip_vision_model", "siglip_vision_model"
# keys that the first files of Idefics 3 and SmolVLM have in the language model's config
_IDEFICS = """
    _flash_attn_2_enabled is_llama_config neftune_noise_alpha perceiver_config pixel_shuffle_factor qk_layer_norms
    use_resampler transformers.js_config
"""
_RESIZED = "not counted: the matrix product by which transformers resizes the table of positions"
_TILES = "patches are those of one tile; the tables for tiles and the padding of tiles are not counted as work"
_GEMMA4 = (
    Part("vision_config", "gemma4_vision", projectors.gemma4, optional=True),
    Part("audio_config", "gemma4_audio", projectors.gemma4_audio, optional=True),
)
MODELS: dict[str, CompositeModel] = {
    "llava": vision_language("llama", CLIP, projectors.llava, any_encoder=True, tie="either", in_place=True),
    "llava_next": vision_language("llama", CLIP, projectors.llava_next, any_encoder=True),
    "llava_next_video": vision_language("llama", CLIP, projectors.llava_next, any_encoder=True, tie="either"),
    "llava_onevision": vision_language("qwen2", SIGLIP, projectors.llava_next, any_encoder=True, tie="either"),
    "video_llava": vision_language("llama", CLIP, projectors.llava, any_encoder=True),
    "vipllava": vision_language("llama", CLIP, projectors.vipllava, any_encoder=True, in_place=True),
    "paligemma": vision_language("gemma", SIGLIP, projectors.paligemma, any_encoder=True,
        dropped="use_bidirectional_attention num_image_tokens"),
    "gemma3": vision_language("gemma3_text", SIGLIP, projectors.gemma3, any_encoder=True),
    "shieldgemma2": vision_language("gemma3_text", SIGLIP, projectors.gemma3, any_encoder=True, tie="unless_denied"),
    "gemma4": CompositeModel("gemma4_text", _GEMMA4, layout=None, tie="outer"),
    "mistral3": vision_language("mistral", "pixtral", projectors.mistral3, any_encoder=True, in_place=True),
    "idefics3": vision_language("llama", "idefics3_vision", projectors.idefics3, any_encoder=True, dropped=_IDEFICS,
        in_place=True),
    "smolvlm": vision_language("llama", "smolvlm_vision", projectors.idefics3, any_encoder=True, dropped=_IDEFICS,
        in_place=True),
    "internvl": vision_language("qwen2", "internvl_vision", projectors.internvl, any_encoder=True, in_place=True),
    "llama4": vision_language("llama4_text", "llama4_vision_model", projectors.llama4, any_encoder=True, tie="inner"),
    "mllama": vision_language("mllama_text_model", "mllama_vision_model", projectors.mllama, tie="inner", note=_TILES),
    "qwen2_vl": vision_language("qwen2_vl_text", "qwen2_vl_vision", any_encoder=True, tie="either"),
    "qwen2_5_vl": vision_language("qwen2_5_vl_text", "qwen2_5_vl_vision", any_encoder=True, tie="either"),
    "qwen3_vl": vision_language("qwen3_vl_text", "qwen3_vl_vision", layout=None),
    "qwen3_vl_moe": vision_language("qwen3_vl_moe_text", "qwen3_vl_moe_vision", layout=None),
    "qwen3_5": vision_language("qwen3_5_text", "qwen3_5_vision", layout=None),
    "qwen3_5_moe": vision_language("qwen3_5_moe_text", "qwen3_5_moe_vision", layout=None),
    "qwen4_exp": vision_language("qwen4_exp_text", "qwen4_exp_vision", layout="qwen3_vl_visual"),
    "cosmos3_omni": vision_language("qwen3_vl_text", "qwen3_vl_vision", layout="qwen3_vl_visual"),
    "cohere_compass": vision_language("cohere_compass_text", "cohere_compass_vision", layout="qwen3_vl_visual"),
    "exaone4_5": vision_language("exaone4", "exaone4_5_vision", layout="qwen2_vl"),
    "hyperclovax_vision_v2": vision_language("hyperclovax", "qwen2_5_vl_vision", projectors.one_layer),
    "kimi_k25": vision_language("deepseek_v3", "kimi_k25_vision", projectors.kimi_k25, layout=None, tie="outer"),
    "kimi_k3": vision_language("kimi_linear", "kimi_k3_vision", projectors.kimi_k3, layout=None),
    "glm4v": vision_language("glm4v_text", "glm4v_vision", projectors.glm4v, tie="either"),
    "glm46v": vision_language("glm4v_text", "glm4v_vision", projectors.glm4v, layout="glm4v"),
    "glmga": vision_language("glm4v_text", "glm4v_vision", projectors.glm4v, layout="glm4v"),
    "glm4v_moe": vision_language("glm4v_moe_text", "glm4v_moe_vision", projectors.glm4v, layout="glm4v", tie="either"),
    "video_llama_3": vision_language("qwen2", "video_llama_3_vision", projectors.two_layers, tie="either"),
    "deepseek_vl": vision_language("llama", SIGLIP, projectors.two_layers, in_place=True),
    "qianfan_ocr": vision_language("qwen3", "qianfan_ocr_vision", projectors.internvl, in_place=True),
    "lighton_ocr": vision_language("qwen3", "pixtral", projectors.mistral3, in_place=True),
    "aya_vision": vision_language("cohere2", SIGLIP, projectors.cohere, adjust=_without_logit_scale),
    "cohere2_vision": vision_language("cohere2", SIGLIP, projectors.cohere, layout="clip", adjust=_without_logit_scale),
    "lfm2_vl": vision_language("lfm2", "siglip2_vision_model", projectors.lfm2_vl, note=_RESIZED),
}  # fmt: skip
