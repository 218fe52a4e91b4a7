"""BioGPT: OPT's blocks under names of its own."""

from .opt import BLOCK, NORMS, OUTER

PREFIX = "biogpt."
TEXT = (BLOCK + NORMS.replace("{place}", "pre_norm") + OUTER).replace("{m}.final", "{m}.").replace("{m}", "biogpt")
TEXT = TEXT.replace("biogpt._layer_norm", "biogpt.layer_norm").replace("lm_head", "output_projection")
