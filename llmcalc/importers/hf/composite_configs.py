"""Models that see or hear: the config of the language model within theirs.

Most name its type in ``text_config``. Where they don't, or where its keys stand among their own (as in the first
Qwen2-VL configs), it is the type that their class has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NESTED = ("text_config", "llm_config", "language_config", "thinker_config", "vlm_config")
# the language model is the decoder, whatever its type
ENCODED = ("vision-encoder-decoder", "speech-encoder-decoder", "musicgen_melody")

# the language model's type: those whose it is
_TABLE = """
gemma pi0
gemma4_unified_text gemma4_unified
glm_image_text glm_image
llama perception_lm
nemotron_h nemo_speechlm
qwen2 fast_vlm vibevoice
qwen3_5_text jev
aimv2_text_model aimv2
altclip_text_model altclip
bridgetower_text_model bridgetower
clap_text_model clap
clip_text_model clip
clipseg_text_model clipseg
flava_text_model flava
groupvit_text_model groupvit
owlv2_text_model owlv2
owlvit_text_model owlvit
tipsv2_text_model tipsv2
videoprism_text_model videoprism
xclip_text_model xclip
siglip_text_model siglip
siglip2_text_model siglip2
metaclip_2_text_model metaclip_2
align_text_model align
chinese_clip_text_model chinese_clip
diffusion_gemma_text diffusion_gemma
muse_spark_text muse_spark
mistral_large4_text mistral_large4
glm5_next_text glm5_next
inkling_text inkling_mm_model
inkling2_text inkling2
inkling2_loop_text inkling2_loop
kosmos_2_text_model kosmos-2
kosmos_2_5_text_model kosmos-2.5
"""
_SIZES = "model_type hidden_size d_model embed_dim width depth num_layers num_hidden_layers"
USUAL = {whole: text for text, *wholes in map(str.split, _TABLE.strip().splitlines()) for whole in wholes}
_OWN = """
    vision_start_token_id vision_end_token_id vision_token_id image_token_id image_token_index video_token_id
    video_token_index audio_token_id audio_token_index projector_hidden_act vision_feature_layer
    vision_feature_select_strategy multimodal_projector_bias spatial_merge_size ignore_index image_seq_length
"""


def language_model(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The config of the language model within that of a larger one, however deep; None: there is none."""
    if data.get("model_type") in ENCODED:
        inner = data.get("decoder")
        return inner if isinstance(inner, Mapping) and isinstance(inner.get("model_type"), str) else None
    usual = USUAL.get(str(data.get("model_type")))
    for key in NESTED:
        inner = data.get(key)
        if not isinstance(inner, Mapping):
            continue
        deeper = language_model(inner)
        if deeper:
            return deeper
        if isinstance(inner.get("model_type"), str):
            return inner
        if usual:
            return {"model_type": usual, **inner}
    found = flat(data) if usual else None
    return {**found, "model_type": usual} if found else None


def flat(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """The keys of a language model that stand among those of the whole, as in the first configs; None: none do."""
    if any(key in data for key in NESTED) or "hidden_size" not in data:
        return None
    return {
        key: value
        for key, value in data.items()
        if not key.endswith("_config") and key not in _OWN.split() and key != "model_type"
    }


def towers(data: Mapping[str, Any]) -> list[str]:
    """What stands in a config beside its language model, by the keys of its parts, however deep."""
    if data.get("model_type") in ENCODED:
        parts = [key for key, value in data.items() if isinstance(value, Mapping) and "model_type" in value]
        return [key for key in parts if key != "decoder"]
    found = [key.removesuffix("_config") for key, value in data.items() if _is_part(key, value)]
    deeper = [name for key in NESTED if isinstance(data.get(key), Mapping) for name in towers(data[key])]
    return list(dict.fromkeys([*found, *deeper]))


def _is_part(key: str, value: object) -> bool:
    """Whether a key holds the config of a part that is no language model."""
    if not key.endswith("_config") or key in NESTED or not isinstance(value, Mapping):
        return False
    return any(size in value for size in _SIZES.split())
