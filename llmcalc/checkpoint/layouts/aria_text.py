"""Aria: experts stored as [expert, in, out]."""

from .glm4_moe import TEXT as GLM

TEXT = (
    GLM.replace("mlp.gate.weight", "mlp.router.weight")
    .replace("experts.gate_up_proj <- moe.wg moe.wu", "experts.gate_up_proj <- moe.wg moe.wu | transposed")
    .replace("experts.down_proj <- moe.wd", "experts.down_proj <- moe.wd | transposed")
)
