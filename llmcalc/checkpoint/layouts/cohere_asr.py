"""Cohere's transcriber and Canary: Moonshine's names in a decoder with biases and a table of positions,
behind a FastConformer.
"""

from . import moonshine
from .parakeet import conformer

_BIASES = "\n".join(
    line.replace(".weight", ".bias").replace(".w", ".b")
    for line in moonshine.TEXT.splitlines()
    if line.startswith("model.decoder.layers") and "pre_norm" in line
)
PREFIX = moonshine.PREFIX
TEXT = f"""
{conformer("model.encoder.", "encoder")}
model.decoder.norm.bias <- norm.b
model.decoder.layers.{{i}}.input_layernorm.bias <- attention/pre_norm.b
model.decoder.pos_emb.weight <- position.w
model.decoder.embedding_layernorm.weight <- embedding_norm.w
model.decoder.embedding_layernorm.bias <- embedding_norm.b
model.decoder.proj.weight <- proj.w
model.decoder.proj.bias <- proj.b
proj_out.bias <- head.b
{_BIASES}
{moonshine.TEXT}
"""
