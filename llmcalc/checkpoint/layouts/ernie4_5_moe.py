"""ERNIE 4.5: the correction bias is a row of its own, the head may have a bias."""

from .glm4_moe import TEXT as GLM

TEXT = (
    GLM.replace(
        "mlp.gate.e_score_correction_bias <- moe.correction",
        "mlp.gate.moe_statics.e_score_correction_bias <- moe.correction | row",
    )
    + "lm_head.bias <- head.b"
)
