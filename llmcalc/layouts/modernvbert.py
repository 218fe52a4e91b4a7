"""ModernVBERT: SigLIP's tower, the language model under ``text_model``, its head beside it."""

from .clip import encoder

BEHIND = "model.text_model."
RENAMED = (("head.", "projection_head."), ("decoder.", "lm_head."))
TOWER = encoder("model.vision_model")
for number, place in enumerate(("attention", "mlp")):
    TOWER = TOWER.replace(f"sublayer{number}.pre_norm", f"{place}.pre_norm")
TEXT = TOWER + "model.connector.modality_projection.weight <- connector.w"
