"""Which keys an attention's queries reach: what is kept of earlier tokens, its mask, and an indexer that chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.declaration import Declaration
from .indexer import Indexer

if TYPE_CHECKING:
    from .attention import Attention


def keep(layer: Attention, declaration: Declaration) -> None:
    """The cache of keys and values, and the mask over them."""
    kept = "s" if layer.cross else "t"
    if (layer.causal or layer.cross) and not layer.kv_reused and layer.implemented_cache != "none":
        copied = layer.implemented_cache == "query_heads"
        for heads, tags in (("g", ("model",)), ("h", ("torch",))) if copied else (("g", ()),):
            declaration.state(f"k[b {kept} {heads} e]", "kv", *tags)
            declaration.state(f"v[b {kept} {heads} v]", "kv", *tags)
    if layer.implemented_cache == "all_tokens":
        declaration.as_torch |= {"k": "c + q", "t": "c + q"}
    elif layer.chunk and layer.causal:
        declaration.as_torch |= {"k": "min(c, Z - 1) + q", "t": "min(c + q, Z - 1)"}
    if layer.causal and not layer.cross and not layer.prompt:
        declaration.mask = (
            f"window:{layer.window}" if layer.window else f"chunk:{layer.chunk}" if layer.chunk else "causal"
        )
    elif layer.window:
        declaration.mask = f"local:{layer.window}:{layer.window_ahead or layer.window}"


def index(layer: Attention, declaration: Declaration) -> None:
    """The indexer, if there is one, and how few keys it leaves."""
    if not layer.index_heads:
        return
    width, pooled = layer.index_dim or 0, layer.index_pooled
    fields = {"weighted": False, "key_norm": "rmsnorm", "query_norm": True, "block": layer.index_block}
    indexer = Indexer(layer.d_model, layer.index_heads, width, pooled=pooled, **fields)  # type: ignore[arg-type]
    declaration.include("indexer", indexer.declare())
    if layer.index_topk and declaration.mask == "causal":
        declaration.mask = f"window:{layer.index_topk}"  # as many pairs as with the nearest tokens
