"""StableLM: LLaMA's names, with a norm for each head."""

from .llama import ATTENTION, MLP, NORMS, OUTER, PREFIX

__all__ = ["PREFIX", "TEXT"]

TEXT = (
    (OUTER + NORMS + ATTENTION + MLP)
    .replace("q_norm.weight", "q_layernorm.norms.{x}.weight")
    .replace("k_norm.weight", "k_layernorm.norms.{x}.weight")
)
